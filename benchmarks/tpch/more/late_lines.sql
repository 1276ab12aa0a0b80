SELECT l_orderkey, l_linenumber FROM lineitem WHERE l_receiptdate > l_commitdate AND l_shipdate <> l_commitdate AND l_returnflag NOT IN ('N', 'A');
