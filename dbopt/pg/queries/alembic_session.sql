-- name: alembic_session
-- Who and where a session is: its process, login and current role, search path, and a text that no
-- other database has, on this server or another.
SELECT pg_backend_pid() AS pid, session_user::text AS login, current_user::text AS role,
       current_setting('search_path') AS path,
       extract(epoch FROM pg_postmaster_start_time())::text || ' ' ||
         (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()) AS place;

-- name: alembic_transaction
-- The id of the transaction that this statement runs in: two statements outside of one have two.
SELECT pg_backend_pid() AS pid, min(l.virtualtransaction) AS transaction
  FROM pg_catalog.pg_locks l
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'virtualxid';

-- name: alembic_store
-- Whether dbopt's tables for runs are in this database, and whether this role may write them all.
-- to_regclass would raise where the role may not use the schema.
SELECT count(*) > 0 AS there,
       coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE')
         AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')),
         false) AS writable
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
 WHERE n.nspname = 'dbopt' AND c.relname IN ('index_run', 'index_step', 'managed_index');

-- name: alembic_stay
-- Lets the session idle for as long as a build takes; the setting, and its value until now, in its
-- own unit. No row where there is no such limit.
SELECT s.name, s.setting, set_config(s.name, '0', false) AS now
  FROM pg_catalog.pg_settings s
 WHERE s.name = 'idle_session_timeout' AND s.setting <> '0';

-- name: alembic_versions
-- Alembic's version tables that this role may read, whatever they are called: one column,
-- version_num.
SELECT c.oid::regclass::text AS name
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num'
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relnatts = 1
   AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT');
