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

-- name: alembic_stay
-- Lets the session idle for as long as a build takes; the setting, and its value until now, in its
-- own unit. No row where there is no such limit.
SELECT s.name, s.setting, set_config(s.name, '0', false) AS now
  FROM pg_catalog.pg_settings s
 WHERE s.name = 'idle_session_timeout' AND s.setting <> '0';
