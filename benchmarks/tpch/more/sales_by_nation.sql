SELECT n.n_name, count(*), sum(l.l_extendedprice) FROM lineitem AS l
JOIN orders AS o ON o.o_orderkey = l.l_orderkey
JOIN customer AS c ON c.c_custkey = o.o_custkey
JOIN nation AS n ON n.n_nationkey = c.c_nationkey
GROUP BY n.n_name ORDER BY 3 DESC;
