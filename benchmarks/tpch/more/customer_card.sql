SELECT c.c_name,
    (SELECT count(*) FROM orders AS o WHERE o.o_custkey = c.c_custkey) AS orders,
    (SELECT max(o.o_orderdate) FROM orders AS o WHERE o.o_custkey = c.c_custkey) AS latest,
    (SELECT sum(o.o_totalprice) FROM orders AS o WHERE o.o_custkey = c.c_custkey) AS spent
FROM customer AS c WHERE c.c_custkey = 370;
