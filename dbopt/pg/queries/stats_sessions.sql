-- name: collect_activity
-- Clients' sessions of all databases by user, application, state and kind of wait, dbopt's own
-- left out; no query text. Without pg_read_all_stats other roles' states are NULL: "hidden".
-- The longest transaction, statement, and time in the state, in microseconds.
SELECT /* dbopt */
       coalesce(datname::text, '') AS datname, coalesce(usename::text, '') AS usename,
       coalesce(application_name, '') AS application_name,
       coalesce(state, 'hidden') AS state, coalesce(wait_event_type, '') AS wait_event_type,
       count(*) AS sessions,
       (max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000000)::bigint
           AS longest_transaction_us,
       (max(extract(epoch FROM clock_timestamp() - query_start))
           FILTER (WHERE state = 'active') * 1000000)::bigint AS longest_query_us,
       (max(extract(epoch FROM clock_timestamp() - state_change)) * 1000000)::bigint
           AS longest_state_us
  FROM pg_catalog.pg_stat_activity
 WHERE pid <> pg_backend_pid()
   AND coalesce(backend_type, 'client backend') = 'client backend'
   AND coalesce(application_name, '') NOT LIKE 'dbopt%%'
 GROUP BY 1, 2, 3, 4, 5
 ORDER BY 6 DESC, 1, 2, 3, 4, 5
 LIMIT %(limit)s

-- name: collect_connections
-- How many of the server's connections are taken, and how many are encrypted; our own counts.
-- Without pg_read_all_stats what other roles' sessions are is hidden.
SELECT /* dbopt */
       count(*) FILTER (WHERE coalesce(a.backend_type, 'client backend') = 'client backend')
           AS sessions,
       current_setting('max_connections')::bigint AS max_connections,
       current_setting('superuser_reserved_connections')::bigint AS superuser_reserved_connections,
       current_setting('reserved_connections', true)::bigint AS reserved_connections,
       CASE WHEN %(reads_all)s THEN count(*) FILTER (WHERE s.ssl) END AS ssl,
       CASE WHEN %(reads_all)s THEN count(*) FILTER (WHERE g.encrypted) END AS gss,
       CASE WHEN %(reads_all)s THEN count(*) FILTER (WHERE a.backend_type = 'autovacuum worker')
            END AS autovacuum_workers,
       CASE WHEN %(reads_all)s THEN count(*) FILTER (WHERE a.backend_type = 'parallel worker')
            END AS parallel_workers,
       CASE WHEN %(reads_all)s THEN count(*) FILTER (WHERE a.backend_type = 'walsender')
            END AS walsenders
  FROM pg_catalog.pg_stat_activity AS a
  LEFT JOIN pg_catalog.pg_stat_ssl AS s ON s.pid = a.pid
  LEFT JOIN pg_catalog.pg_stat_gssapi AS g ON g.pid = a.pid

-- name: collect_xmin_horizon
-- The oldest snapshot of each kind of holder: no VACUUM removes what was deleted after it.
-- session, prepared, standby (by hot_standby_feedback), slot, catalog (of a logical slot).
WITH holders AS (
    SELECT 'session' AS holder,
           coalesce(nullif(application_name, ''), backend_type, '') AS name,
           greatest(age(backend_xmin), age(backend_xid)) AS xid_age, xact_start AS since
      FROM pg_catalog.pg_stat_activity
     WHERE pid <> pg_backend_pid()
       AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'walsender')
    UNION ALL
    SELECT 'prepared', coalesce(database::text, ''), age(transaction), prepared
      FROM pg_catalog.pg_prepared_xacts
    UNION ALL
    SELECT 'standby', coalesce(application_name, ''), age(backend_xmin), NULL
      FROM pg_catalog.pg_stat_replication
    UNION ALL
    SELECT 'slot', slot_name::text, age(xmin), NULL FROM pg_catalog.pg_replication_slots
    UNION ALL
    SELECT 'catalog', slot_name::text, age(catalog_xmin), NULL
      FROM pg_catalog.pg_replication_slots
)
SELECT /* dbopt */
       DISTINCT ON (holder) holder, name, xid_age::bigint AS xid_age,
       (extract(epoch FROM clock_timestamp() - since) * 1000000)::bigint AS held_us
  FROM holders
 WHERE xid_age IS NOT NULL
 ORDER BY holder, xid_age DESC, since
 LIMIT %(limit)s

-- name: collect_locks
-- Locks by database ("": shared by all, or none's), mode and whether they are granted.
SELECT /* dbopt */
       coalesce(d.datname::text, '') AS datname, l.mode, l.granted::int AS granted,
       count(*) AS locks
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.database
 WHERE l.pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
 LIMIT %(limit)s

-- name: collect_locks (min_version=14)
-- As before, with the longest wait, in microseconds.
SELECT /* dbopt */
       coalesce(d.datname::text, '') AS datname, l.mode, l.granted::int AS granted,
       count(*) AS locks,
       (max(extract(epoch FROM clock_timestamp() - l.waitstart)) * 1000000)::bigint
           AS longest_wait_us
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.database
 WHERE l.pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
 LIMIT %(limit)s

-- name: collect_prepared_xacts
-- Prepared transactions by database, and the age of the oldest in time and transactions.
SELECT /* dbopt */
       database::text AS datname, count(*) AS prepared,
       (max(extract(epoch FROM clock_timestamp() - prepared)) * 1000000)::bigint AS oldest_us,
       max(age(transaction))::bigint AS oldest_xid_age
  FROM pg_catalog.pg_prepared_xacts
 GROUP BY database
 ORDER BY database
 LIMIT %(limit)s

-- name: collect_progress
-- Commands that report their progress: done of total, in the unit of their phase.
-- Names of relations in other databases are not known here.
WITH running AS (
    SELECT pid, 'VACUUM' AS command, datname, relid, phase, 'blocks' AS unit,
           heap_blks_scanned AS done, heap_blks_total AS total
      FROM pg_catalog.pg_stat_progress_vacuum
    UNION ALL
    SELECT pid, 'ANALYZE', datname, relid, phase, 'blocks',
           sample_blks_scanned, sample_blks_total
      FROM pg_catalog.pg_stat_progress_analyze
    UNION ALL
    SELECT pid, command, datname, relid, phase,
           CASE WHEN tuples_total > 0 THEN 'rows' ELSE 'blocks' END,
           CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END,
           CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END
      FROM pg_catalog.pg_stat_progress_create_index
    UNION ALL
    SELECT pid, command, datname, relid, phase, 'blocks', heap_blks_scanned, heap_blks_total
      FROM pg_catalog.pg_stat_progress_cluster
    UNION ALL
    SELECT pid, 'BASE BACKUP', NULL, NULL, phase, 'bytes', backup_streamed, backup_total
      FROM pg_catalog.pg_stat_progress_basebackup
)
SELECT /* dbopt */
       r.pid, r.command, coalesce(r.datname::text, '') AS datname,
       n.nspname::text AS schemaname, c.relname::text AS relname, r.relid::bigint AS relid,
       r.phase, r.unit, r.done, nullif(r.total, 0) AS total,
       (extract(epoch FROM clock_timestamp() - a.query_start) * 1000000)::bigint AS running_us
  FROM running AS r
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.relid AND r.datname = current_database()
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY r.pid, r.command
 LIMIT %(limit)s

-- name: collect_progress (min_version=14)
-- As before, with COPY.
WITH running AS (
    SELECT pid, 'VACUUM' AS command, datname, relid, phase, 'blocks' AS unit,
           heap_blks_scanned AS done, heap_blks_total AS total
      FROM pg_catalog.pg_stat_progress_vacuum
    UNION ALL
    SELECT pid, 'ANALYZE', datname, relid, phase, 'blocks',
           sample_blks_scanned, sample_blks_total
      FROM pg_catalog.pg_stat_progress_analyze
    UNION ALL
    SELECT pid, command, datname, relid, phase,
           CASE WHEN tuples_total > 0 THEN 'rows' ELSE 'blocks' END,
           CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END,
           CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END
      FROM pg_catalog.pg_stat_progress_create_index
    UNION ALL
    SELECT pid, command, datname, relid, phase, 'blocks', heap_blks_scanned, heap_blks_total
      FROM pg_catalog.pg_stat_progress_cluster
    UNION ALL
    SELECT pid, 'BASE BACKUP', NULL, NULL, phase, 'bytes', backup_streamed, backup_total
      FROM pg_catalog.pg_stat_progress_basebackup
    UNION ALL
    SELECT pid, command, datname, relid, 'copying', 'bytes', bytes_processed, bytes_total
      FROM pg_catalog.pg_stat_progress_copy
)
SELECT /* dbopt */
       r.pid, r.command, coalesce(r.datname::text, '') AS datname,
       n.nspname::text AS schemaname, c.relname::text AS relname, r.relid::bigint AS relid,
       r.phase, r.unit, r.done, nullif(r.total, 0) AS total,
       (extract(epoch FROM clock_timestamp() - a.query_start) * 1000000)::bigint AS running_us
  FROM running AS r
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.relid AND r.datname = current_database()
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY r.pid, r.command
 LIMIT %(limit)s

-- name: collect_progress (min_version=18)
-- As before, with the time that vacuum and analyze slept, while track_cost_delay_timing is on.
WITH running AS (
    SELECT pid, 'VACUUM' AS command, datname, relid, phase, 'blocks' AS unit,
           heap_blks_scanned AS done, heap_blks_total AS total, delay_time AS delay
      FROM pg_catalog.pg_stat_progress_vacuum
    UNION ALL
    SELECT pid, 'ANALYZE', datname, relid, phase, 'blocks',
           sample_blks_scanned, sample_blks_total, delay_time
      FROM pg_catalog.pg_stat_progress_analyze
    UNION ALL
    SELECT pid, command, datname, relid, phase,
           CASE WHEN tuples_total > 0 THEN 'rows' ELSE 'blocks' END,
           CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END,
           CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END, NULL
      FROM pg_catalog.pg_stat_progress_create_index
    UNION ALL
    SELECT pid, command, datname, relid, phase, 'blocks', heap_blks_scanned, heap_blks_total, NULL
      FROM pg_catalog.pg_stat_progress_cluster
    UNION ALL
    SELECT pid, 'BASE BACKUP', NULL, NULL, phase, 'bytes', backup_streamed, backup_total, NULL
      FROM pg_catalog.pg_stat_progress_basebackup
    UNION ALL
    SELECT pid, command, datname, relid, 'copying', 'bytes', bytes_processed, bytes_total, NULL
      FROM pg_catalog.pg_stat_progress_copy
)
SELECT /* dbopt */
       r.pid, r.command, coalesce(r.datname::text, '') AS datname,
       n.nspname::text AS schemaname, c.relname::text AS relname, r.relid::bigint AS relid,
       r.phase, r.unit, r.done, nullif(r.total, 0) AS total,
       (r.delay * 1000)::bigint AS delay_us,
       (extract(epoch FROM clock_timestamp() - a.query_start) * 1000000)::bigint AS running_us
  FROM running AS r
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.relid AND r.datname = current_database()
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY r.pid, r.command
 LIMIT %(limit)s

