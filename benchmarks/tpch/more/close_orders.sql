UPDATE orders SET o_orderstatus = 'F' FROM customer WHERE c_custkey = o_custkey AND c_mktsegment = 'BUILDING' AND o_orderstatus = 'O';
