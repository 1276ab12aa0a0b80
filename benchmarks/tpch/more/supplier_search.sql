SELECT s_suppkey, s_name FROM supplier WHERE s_comment LIKE '%Customer%Complaints%';
