SELECT date_trunc('month', o_orderdate) AS month, count(*), sum(o_totalprice) FROM orders GROUP BY 1 ORDER BY 1;
