SELECT s_name AS name, s_phone AS phone FROM supplier WHERE s_nationkey = 3 UNION SELECT c_name, c_phone FROM customer WHERE c_nationkey = 3;
