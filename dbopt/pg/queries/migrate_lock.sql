-- name: migration_session
-- A session that outlives idle timeouts and role settings that would cut a build, and that the
-- server gives up soon if its host is gone. Settings that this server lacks are left out.
-- A transaction that is left open (dbopt itself was stopped) ends after a minute. Asking for a size
-- or a definition waits for who has locked the table, but not for ever; a build has its own limits.
-- synchronous_commit = off would let a crash forget an index that was reported as valid; local waits
-- for this server's disk and for no standby. Any other value stays the operator's.
-- The system's own names come first, whatever the role's search_path says.
SELECT pg_catalog.set_config(name, CASE name
         WHEN 'tcp_keepalives_idle' THEN '10' WHEN 'tcp_keepalives_interval' THEN '5'
         WHEN 'tcp_keepalives_count' THEN '3'
         WHEN 'idle_in_transaction_session_timeout' THEN '60000'
         WHEN 'lock_timeout' THEN '5000'
         WHEN 'synchronous_commit' THEN 'local'
         WHEN 'search_path' THEN 'pg_catalog, ' || setting ELSE '0' END, false)
  FROM pg_catalog.pg_settings
 WHERE name IN ('tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count',
                'idle_session_timeout', 'transaction_timeout', 'lock_timeout', 'statement_timeout',
                'idle_in_transaction_session_timeout')
    OR name = 'synchronous_commit' AND setting = 'off'
    OR name = 'search_path' AND setting LIKE '%pg_catalog%' AND setting NOT LIKE 'pg_catalog%';

-- name: migration_client
-- How often the server looks, while a statement runs, whether its client is still there (from
-- PostgreSQL 14 on). Fails with 22023 where its system cannot tell.
SELECT pg_catalog.set_config(name, '1s', false)
  FROM pg_catalog.pg_settings
 WHERE name = 'client_connection_check_interval';

-- name: migration_lock_held
-- Whether this session holds the lock (classid, objid are the halves of the 64-bit key).
-- Source: pg_locks.
SELECT count(*) > 0 AS held
  FROM pg_catalog.pg_locks l
 WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.pid = pg_backend_pid()
   AND l.classid::bigint = (%(key)s::bigint >> 32) & 4294967295
   AND l.objid::bigint = %(key)s::bigint & 4294967295;

-- name: migration_lock_holder
-- Who holds the lock in this database, and how many seconds ago that session began. User,
-- application and address are hidden from a role that may not see other roles' sessions.
-- Source: pg_locks, pg_stat_activity.
SELECT a.pid, a.usename AS "user", a.application_name AS application, a.client_addr::text AS address,
       extract(epoch FROM clock_timestamp() - a.backend_start)::float8 AS seconds
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND l.classid::bigint = (%(key)s::bigint >> 32) & 4294967295
   AND l.objid::bigint = %(key)s::bigint & 4294967295;

-- name: migration_server
-- What this server is to one who wants to change it: a standby, or a session that only reads.
SELECT pg_is_in_recovery() AS standby,
       current_setting('transaction_read_only')::boolean AS read_only;
