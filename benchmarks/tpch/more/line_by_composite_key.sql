SELECT l_quantity, l_extendedprice FROM lineitem WHERE l_orderkey = 1 AND l_linenumber = 2;
