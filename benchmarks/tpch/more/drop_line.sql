DELETE FROM lineitem WHERE l_orderkey = 1 AND l_linenumber = 3;
