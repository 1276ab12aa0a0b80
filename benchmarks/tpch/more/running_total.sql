SELECT o_orderdate, sum(o_totalprice) OVER (ORDER BY o_orderdate, o_orderkey) FROM orders WHERE o_custkey = 370;
