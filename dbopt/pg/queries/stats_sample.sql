-- name: sample_sessions
-- What each session that is at work, or holds a transaction, does at this moment; a row each.
-- Moments are epoch seconds of the server's clock; state is NULL where it is hidden from us.
SELECT /* dbopt */
       pid, coalesce(datname, '')::text AS database, coalesce(usename, '')::text AS "user",
       CASE backend_type WHEN 'client backend' THEN application_name ELSE backend_type END
         AS application,
       state, coalesce(wait_event_type, '') AS wait_event_type,
       coalesce(wait_event, '') AS wait_event, NULL::bigint AS queryid, query,
       extract(epoch FROM query_start)::float8 AS query_start,
       extract(epoch FROM clock_timestamp())::float8 AS now,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) END AS blocked_by
  FROM pg_catalog.pg_stat_activity
 WHERE pid <> pg_backend_pid()
   AND (state IS NULL OR state <> 'idle')
   AND (backend_type IN ('client backend', 'parallel worker', 'autovacuum worker', 'walsender')
        OR backend_type IS NULL)
   AND application_name NOT LIKE 'dbopt%%'
   AND coalesce(wait_event_type, '') <> 'Activity'
 LIMIT %(limit)s

-- name: sample_sessions (min_version=14)
-- As before, with the identity that pg_stat_statements gives the query, and its leader's.
SELECT /* dbopt */
       pid, coalesce(datname, '')::text AS database, coalesce(usename, '')::text AS "user",
       CASE backend_type WHEN 'client backend' THEN application_name ELSE backend_type END
         AS application,
       state, coalesce(wait_event_type, '') AS wait_event_type,
       coalesce(wait_event, '') AS wait_event, query_id AS queryid, query,
       extract(epoch FROM query_start)::float8 AS query_start,
       extract(epoch FROM clock_timestamp())::float8 AS now,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) END AS blocked_by
  FROM pg_catalog.pg_stat_activity
 WHERE pid <> pg_backend_pid()
   AND (state IS NULL OR state <> 'idle')
   AND (backend_type IN ('client backend', 'parallel worker', 'autovacuum worker', 'walsender')
        OR backend_type IS NULL)
   AND application_name NOT LIKE 'dbopt%%'
   AND coalesce(wait_event_type, '') <> 'Activity'
 LIMIT %(limit)s

-- name: sample_locks
-- Of some sessions that wait for a lock: which, on what. Relations of this database by name.
SELECT /* dbopt */ DISTINCT ON (l.pid)
       l.pid, l.mode,
       CASE WHEN l.locktype = 'relation' OR l.locktype = 'tuple' OR l.locktype = 'page'
            THEN coalesce((SELECT n.nspname || '.' || c.relname
                             FROM pg_catalog.pg_class AS c
                             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                            WHERE c.oid = l.relation), l.relation::text)
            ELSE l.locktype END AS object
  FROM pg_catalog.pg_locks AS l
 WHERE NOT l.granted AND l.pid = ANY(%(pids)s::int[])
 ORDER BY l.pid

-- name: sample_longest
-- The bytes that pg_stat_activity holds of a query's text at most.
SELECT /* dbopt */ setting::int - 1 AS longest
  FROM pg_catalog.pg_settings WHERE name = 'track_activity_query_size'
