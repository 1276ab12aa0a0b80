SELECT o_orderkey FROM orders WHERE o_comment LIKE '%special%requests%';
