SELECT a.n_name, b.n_name FROM nation AS a CROSS JOIN nation AS b WHERE a.n_nationkey < b.n_nationkey;
