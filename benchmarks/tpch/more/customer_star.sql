SELECT * FROM customer WHERE c_custkey = 42 LIMIT 1;
