SELECT c_custkey, c_name FROM customer WHERE c_custkey + 1 = 100;
