SELECT o_orderkey, o_totalprice FROM orders WHERE o_orderkey::text = '12345';
