INSERT INTO region (r_regionkey, r_name, r_comment) SELECT r_regionkey + 100, r_name, r_comment FROM region;
