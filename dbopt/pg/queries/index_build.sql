-- name: index_progress
-- What the session `pid` does for an index: its phase, in blocks or tuples of that phase, and who
-- holds it up. current_locker_pid is the holder that it waits for between its phases (old
-- snapshots and writers); pg_blocking_pids names those that hold a lock it wants, with 0 for a
-- prepared transaction, which no session holds: those are known by the lock that they hold, and
-- current_locker_pid is then who prepared it, perhaps, and does something else by now.
-- pg_blocking_pids stops the lock manager for a moment, so only a session that waits for a lock is
-- asked about (docs: functions-info), or one whose state is hidden.
-- An autovacuum worker is known, where its state is hidden, as one that vacuums and has no user.
-- No row of a blocker is NULL in pid but that of a prepared transaction, which has `gid`.
-- Source: pg_stat_progress_create_index (docs: progress-reporting), pg_locks, pg_prepared_xacts.
WITH waits AS MATERIALIZED (
       SELECT CASE WHEN EXISTS (SELECT FROM pg_stat_get_activity(%(pid)s) a
                                 WHERE a.wait_event_type = 'Lock' OR a.state IS NULL)
                   THEN pg_blocking_pids(%(pid)s) ELSE '{}' END AS pids
), sessions AS (
       SELECT DISTINCT b.pid
         FROM (SELECT unnest(w.pids) AS pid FROM waits w
               UNION ALL
               SELECT p.current_locker_pid::integer
                 FROM pg_stat_progress_create_index p, waits w
                WHERE p.pid = %(pid)s AND 0 <> ALL (w.pids)) AS b
        WHERE b.pid <> 0 AND b.pid <> %(pid)s
), blockers AS (
       SELECT s.pid, NULL::text AS gid, a.usename::text AS "user", a.application_name AS application,
              a.state,
              CASE WHEN a.state IS NULL AND a.usename IS NULL
                    AND (EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = s.pid)
                         OR EXISTS (SELECT FROM pg_stat_progress_analyze v WHERE v.pid = s.pid))
                   THEN 'autovacuum worker' ELSE a.backend_type END AS backend,
              a.query LIKE 'autovacuum:%%wraparound%%' AS wraparound,
              extract(epoch FROM clock_timestamp() - a.xact_start) AS transaction_age,
              CASE WHEN %(queries)s THEN a.query END AS query
         FROM sessions s
         LEFT JOIN pg_stat_activity a ON a.pid = s.pid
        UNION ALL
       SELECT NULL, x.gid, x.owner::text, NULL, NULL, NULL, false,
              extract(epoch FROM clock_timestamp() - x.prepared), NULL
         FROM waits w
         JOIN pg_locks wanted ON wanted.pid = %(pid)s AND NOT wanted.granted
         JOIN pg_locks held
           ON held.pid IS NULL AND held.granted AND held.locktype = wanted.locktype
          AND held.relation IS NOT DISTINCT FROM wanted.relation
          AND held.transactionid IS NOT DISTINCT FROM wanted.transactionid
         JOIN pg_locks own
           ON own.locktype = 'transactionid' AND own.granted AND own.pid IS NULL
          AND own.virtualtransaction = held.virtualtransaction
         JOIN pg_prepared_xacts x ON x.transaction = own.transactionid
        WHERE 0 = ANY (w.pids)
)
SELECT p.phase,
       p.blocks_total, p.blocks_done, p.tuples_total, p.tuples_done,
       p.lockers_total, p.lockers_done,
       (SELECT coalesce(jsonb_agg(to_jsonb(b) ORDER BY b.pid, b.gid), '[]') FROM blockers b)
           AS blockers
  FROM (SELECT %(pid)s AS pid) AS session
  LEFT JOIN pg_stat_progress_create_index p ON p.pid = session.pid;

-- name: index_queue
-- The sessions that wait for a table or index which the session `pid` has locked: for how many
-- seconds (NULL before PostgreSQL 14), whether others have to wait too meanwhile, and whether the
-- session itself waits for them (a deadlock, unless one of both gives way); and who they are, as
-- index_progress tells it of blockers.
-- SHARE UPDATE EXCLUSIVE is what VACUUM, ANALYZE and other builds want: nobody queues behind it.
-- Source: pg_locks, pg_stat_activity (docs: explicit-locking).
WITH locks AS MATERIALIZED (
       SELECT l.pid, l.relation, l.mode, l.granted,
              (to_jsonb(l) ->> 'waitstart')::timestamptz AS since
         FROM pg_locks l
        WHERE l.locktype = 'relation'
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
)
SELECT w.pid,
       extract(epoch FROM clock_timestamp() - w.since) AS waited,
       w.mode <> 'ShareUpdateExclusiveLock'
           OR EXISTS (SELECT FROM pg_locks o
                       WHERE NOT o.granted AND o.pid <> w.pid
                         AND w.pid = ANY (pg_blocking_pids(o.pid))) AS blocks,
       w.pid = ANY (pg_blocking_pids(%(pid)s))
           OR EXISTS (SELECT FROM pg_stat_progress_create_index p
                       WHERE p.pid = %(pid)s AND p.current_locker_pid = w.pid) AS mutual,
       NULL::text AS gid, a.usename::text AS "user", a.application_name AS application, a.state,
       a.backend_type AS backend, false AS wraparound,
       extract(epoch FROM clock_timestamp() - a.xact_start) AS transaction_age,
       CASE WHEN %(queries)s THEN a.query END AS query
  FROM locks w
  LEFT JOIN pg_stat_activity a ON a.pid = w.pid
 WHERE NOT w.granted
   AND w.relation IN (SELECT h.relation FROM locks h WHERE h.pid = %(pid)s AND h.granted)
   AND %(pid)s = ANY (pg_blocking_pids(w.pid))
 ORDER BY w.since NULLS LAST, w.pid;

-- name: index_builder
-- Who else builds an index on the table now, or may: a role that may not see other sessions sees
-- that they build, not what, but also the lock on the table that each build has until its end. `own`
-- says that it is the same role's and has the same application_name.
-- Source: pg_stat_progress_create_index, pg_locks.
SELECT p.pid,
       coalesce(a.usename::text, '') AS "user",
       coalesce(a.application_name, '') AS application,
       coalesce(a.usename = current_user
                AND a.application_name = current_setting('application_name'), false) AS own
  FROM pg_stat_progress_create_index p
  LEFT JOIN pg_stat_activity a ON a.pid = p.pid
 WHERE p.pid <> pg_backend_pid()
   AND p.datname = current_database()
   AND (p.relid = %(table)s::oid
        OR p.relid IS NULL
           AND EXISTS (SELECT FROM pg_locks l
                        WHERE l.pid = p.pid AND l.granted AND l.locktype = 'relation'
                          AND l.relation = %(table)s::oid AND l.database = p.datid
                          AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock')))
 ORDER BY p.pid
 LIMIT 1;

-- name: index_session_cancel
-- Cancel what a session of one's own role runs.
SELECT pg_cancel_backend(%(pid)s);

-- name: index_partition
-- The schema and name of a table that is a partition of another now; no row where it is none.
-- Source: pg_inherits.
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.inhrelid = %(table)s::oid AND i.inhparent = %(parent)s::oid;

-- name: index_partition_tree
-- A partitioned table and all below it, from the top down: oid, schema, name, the table that each
-- is a partition of (null: the top), and its kind in pg_class (r, p, f).
-- Source: pg_partition_tree.
SELECT t.relid::oid::bigint AS oid, n.nspname AS schema, c.relname AS name,
       CASE WHEN t.level > 0 THEN t.parentrelid::oid::bigint END AS parent, c.relkind AS kind
  FROM pg_partition_tree(%(table)s::oid::regclass) AS t
  JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY t.level, n.nspname, c.relname;
