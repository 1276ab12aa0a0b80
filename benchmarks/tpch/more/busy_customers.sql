SELECT o_custkey, count(*) FROM orders GROUP BY o_custkey HAVING count(*) > 25 ORDER BY 2 DESC;
