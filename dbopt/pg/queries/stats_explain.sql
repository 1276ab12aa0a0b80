-- name: explain_parameters
-- How many parameters the statement has that explain.py has just prepared.
SELECT /* dbopt */ cardinality(parameter_types) AS count
  FROM pg_catalog.pg_prepared_statements
 WHERE name = 'dbopt_explain'
