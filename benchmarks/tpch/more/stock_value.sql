SELECT s.s_name, sum(ps.ps_supplycost * ps.ps_availqty) FROM supplier AS s JOIN partsupp AS ps ON ps.ps_suppkey = s.s_suppkey WHERE s.s_suppkey = 10 GROUP BY s.s_name;
