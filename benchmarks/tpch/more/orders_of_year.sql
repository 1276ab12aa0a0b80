SELECT count(*), sum(o_totalprice) FROM orders WHERE extract(year FROM o_orderdate) = 1995;
