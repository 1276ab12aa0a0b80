SELECT c_custkey, c_name FROM customer WHERE c_phone = '25-989-741-2988';
