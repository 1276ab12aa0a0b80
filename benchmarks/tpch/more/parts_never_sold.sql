SELECT p_partkey FROM part WHERE p_partkey NOT IN (SELECT l_partkey FROM lineitem);
