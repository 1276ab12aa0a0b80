UPDATE part SET p_retailprice = p_retailprice * 1.01;
