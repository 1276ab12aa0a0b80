SELECT n.n_name, r.r_name FROM nation AS n JOIN region AS r ON r.r_regionkey = n.n_regionkey ORDER BY n.n_name;
