SELECT DISTINCT l_partkey, l_suppkey FROM lineitem;
