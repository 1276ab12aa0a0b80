SELECT n.n_name, best.c_name, best.c_acctbal FROM nation AS n
CROSS JOIN LATERAL (SELECT c.c_name, c.c_acctbal FROM customer AS c WHERE c.c_nationkey = n.n_nationkey ORDER BY c.c_acctbal DESC LIMIT 3) AS best;
