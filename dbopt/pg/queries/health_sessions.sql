-- name: health_sessions
-- Each session but our own. Seconds; xmin_age in transactions. `doing` is what an autovacuum worker
-- works on; no other text is read, since it may hold literals.
-- blocked_by: pids, asked for only of the 200 that have waited longest for a lock, since asking
-- holds the lock manager up.
SELECT /* dbopt */ a.pid, coalesce(a.datname, '')::text AS database,
       coalesce(a.usename, '')::text AS username,
       coalesce(a.application_name, '')::text AS application,
       coalesce(a.backend_type, '')::text AS kind, coalesce(a.state, '')::text AS state,
       coalesce(a.wait_event_type, '')::text AS wait_type,
       coalesce(a.wait_event, '')::text AS wait_event,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_seconds,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_seconds,
       age(a.backend_xmin)::bigint AS xmin_age,
       coalesce(r.rolsuper, false) AS superuser,
       CASE WHEN a.backend_type = 'autovacuum worker' THEN left(a.query, 200) ELSE '' END AS doing,
       CASE WHEN a.wait_event_type = 'Lock' AND a.place <= 200 THEN pg_blocking_pids(a.pid)
            ELSE ARRAY[]::int[] END AS blocked_by
  FROM (SELECT *, row_number() OVER (PARTITION BY wait_event_type ORDER BY state_change) AS place
          FROM pg_catalog.pg_stat_activity) AS a
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
 WHERE a.pid <> pg_backend_pid()

-- name: health_waits
-- Locks that are waited for: by whom, in what mode, for what. Since when is not told before 14.
SELECT /* dbopt */ l.pid, l.mode::text AS mode, l.locktype::text AS kind,
       coalesce(CASE WHEN l.database = d.oid OR l.database = 0 THEN l.relation::regclass::text END,
                '')::text AS relation,
       NULL::float8 AS seconds
  FROM pg_catalog.pg_locks AS l, pg_catalog.pg_database AS d
 WHERE NOT l.granted AND d.datname = current_database()

-- name: health_waits (min_version=14)
-- The same, with the time waited in seconds.
SELECT /* dbopt */ l.pid, l.mode::text AS mode, l.locktype::text AS kind,
       coalesce(CASE WHEN l.database = d.oid OR l.database = 0 THEN l.relation::regclass::text END,
                '')::text AS relation,
       extract(epoch FROM clock_timestamp() - l.waitstart)::float8 AS seconds
  FROM pg_catalog.pg_locks AS l, pg_catalog.pg_database AS d
 WHERE NOT l.granted AND d.datname = current_database()

-- name: health_prepared
-- Prepared transactions, and the seconds since they were prepared.
SELECT /* dbopt */ gid::text, owner::text, database::text,
       extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds,
       age(transaction)::bigint AS xid_age
  FROM pg_catalog.pg_prepared_xacts
