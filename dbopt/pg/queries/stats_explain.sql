-- name: explain_parameters
-- How many parameters the statement has that explain.py has just prepared.
SELECT /* dbopt */ cardinality(parameter_types) AS count
  FROM pg_catalog.pg_prepared_statements
 WHERE name = 'dbopt_explain'

-- name: explain_role
-- Who we are, and whether that is a role that may run programs or write files on the server.
-- Source: docs, "Predefined Roles".
SELECT /* dbopt */ current_user::text AS role,
       current_setting('is_superuser')::bool
       OR pg_has_role('pg_execute_server_program', 'MEMBER')
       OR pg_has_role('pg_write_server_files', 'MEMBER') AS powerful
