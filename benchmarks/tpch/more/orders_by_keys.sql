SELECT o_orderkey, o_totalprice FROM orders WHERE o_orderkey IN (1, 2, 3, 4, 5, 6, 7, 32, 33, 34, 35, 36, 37, 38, 39, 64, 65, 66, 67, 68, 69, 70, 71, 96);
