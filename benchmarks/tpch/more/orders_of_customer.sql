SELECT o_orderkey, o_orderdate, o_totalprice FROM orders WHERE o_custkey = 370 ORDER BY o_orderdate DESC LIMIT 20;
