SELECT p_partkey, p_name FROM part WHERE p_name ILIKE '%green%' OR p_type LIKE '%COPPER' ORDER BY p_name LIMIT 50;
