SELECT p_partkey, p_name, p_retailprice FROM part ORDER BY p_partkey LIMIT 25;
