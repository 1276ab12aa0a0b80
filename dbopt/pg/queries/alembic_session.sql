-- name: alembic_session
-- Who and where a session is: its process, login and current role, search path, and a text that no
-- other database has, on this server or another.
SELECT pg_backend_pid() AS pid, session_user::text AS login, current_user::text AS role,
       current_setting('search_path') AS path,
       extract(epoch FROM pg_postmaster_start_time())::text || ' ' ||
         (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()) AS place;

-- name: alembic_transaction
-- Whether that session is in a transaction that does nothing now. Source: pg_stat_activity.
SELECT coalesce(bool_or(a.state LIKE 'idle in transaction%%'), false) AS open
  FROM pg_catalog.pg_stat_activity a WHERE a.pid = %(pid)s;
