SELECT c_custkey, c_name FROM customer AS c WHERE NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.o_custkey = c.c_custkey) ORDER BY c_custkey LIMIT 100;
