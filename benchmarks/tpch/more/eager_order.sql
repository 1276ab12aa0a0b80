SELECT o.o_orderkey, o.o_orderdate, c.c_name, n.n_name, r.r_name, l.l_linenumber, l.l_quantity, p.p_name, s.s_name
FROM orders AS o
JOIN customer AS c ON c.c_custkey = o.o_custkey
JOIN nation AS n ON n.n_nationkey = c.c_nationkey
JOIN region AS r ON r.r_regionkey = n.n_regionkey
LEFT JOIN lineitem AS l ON l.l_orderkey = o.o_orderkey
LEFT JOIN part AS p ON p.p_partkey = l.l_partkey
LEFT JOIN supplier AS s ON s.s_suppkey = l.l_suppkey
WHERE o.o_orderkey = 7
ORDER BY l.l_linenumber;
