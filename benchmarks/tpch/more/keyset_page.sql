SELECT o_orderkey, o_totalprice FROM orders WHERE o_orderkey > 100000 ORDER BY o_orderkey LIMIT 25;
