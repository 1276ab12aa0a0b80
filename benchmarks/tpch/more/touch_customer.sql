UPDATE customer SET c_acctbal = c_acctbal + 10 WHERE c_custkey = 42;
