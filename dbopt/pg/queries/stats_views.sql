-- name: stats_database
-- This database's counters. Times are NULL, not zero, while track_io_timing is off.
SELECT /* dbopt */
       datname::text AS database, numbackends, xact_commit, xact_rollback, blks_read, blks_hit,
       CASE WHEN %(timed)s THEN blk_read_time END AS blk_read_ms,
       CASE WHEN %(timed)s THEN blk_write_time END AS blk_write_ms,
       tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts,
       temp_files, temp_bytes, deadlocks, stats_reset
  FROM pg_catalog.pg_stat_database
 WHERE datname = current_database()

-- name: stats_tables
-- Counters of this database's tables but the temporary ones and dbopt's own. A table that is
-- locked exclusively has no size here: to ask for it would wait for the lock.
-- Sizes are bytes, of the table with its TOAST and its maps, without its indexes.
SELECT /* dbopt */
       s.relid, s.schemaname::text AS schema, s.relname::text AS name,
       s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0) AS idx_scan,
       coalesce(s.idx_tup_fetch, 0) AS idx_tup_fetch,
       s.n_tup_ins, s.n_tup_upd, s.n_tup_del, s.n_tup_hot_upd,
       s.vacuum_count + s.autovacuum_count AS vacuums,
       s.analyze_count + s.autoanalyze_count AS analyzes,
       s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze,
       CASE WHEN l.relation IS NULL THEN pg_table_size(s.relid) END AS bytes
  FROM pg_catalog.pg_stat_user_tables AS s
  JOIN pg_catalog.pg_class AS c ON c.oid = s.relid AND c.relpersistence <> 't'
  LEFT JOIN (SELECT DISTINCT relation FROM pg_catalog.pg_locks
              WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation'
                AND database = (SELECT oid FROM pg_catalog.pg_database
                                 WHERE datname = current_database())) AS l
         ON l.relation = s.relid
 WHERE s.schemaname <> 'dbopt'
 ORDER BY s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)
        + s.n_tup_ins + s.n_tup_upd + s.n_tup_del DESC, s.relid
 LIMIT %(limit)s

-- name: stats_indexes
-- Counters of this database's indexes but those of temporary tables and dbopt's own.
-- Sizes are bytes; NULL while the index is locked exclusively.
SELECT /* dbopt */
       s.indexrelid, s.relid, s.schemaname::text AS schema, s.relname::text AS "table",
       s.indexrelname::text AS name, s.idx_scan, s.idx_tup_read, s.idx_tup_fetch,
       CASE WHEN l.relation IS NULL THEN pg_relation_size(s.indexrelid) END AS bytes
  FROM pg_catalog.pg_stat_user_indexes AS s
  JOIN pg_catalog.pg_class AS c ON c.oid = s.indexrelid AND c.relpersistence <> 't'
  LEFT JOIN (SELECT DISTINCT relation FROM pg_catalog.pg_locks
              WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation'
                AND database = (SELECT oid FROM pg_catalog.pg_database
                                 WHERE datname = current_database())) AS l
         ON l.relation = s.indexrelid
 WHERE s.schemaname <> 'dbopt'
 ORDER BY s.idx_scan DESC, s.indexrelid
 LIMIT %(limit)s

-- name: stats_activity
-- Sessions of this database's clients by state and wait, dbopt's own left out; no query text.
-- Without pg_read_all_stats other roles' states are NULL: "hidden". Times are seconds.
SELECT /* dbopt */
       coalesce(state, 'hidden') AS state, coalesce(wait_event_type, '') AS wait_event_type,
       count(*)::int AS sessions,
       max(extract(epoch FROM clock_timestamp() - xact_start))::float8 AS longest_transaction_s
  FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database()
   AND pid <> pg_backend_pid()
   AND coalesce(backend_type, 'client backend') = 'client backend'
   AND coalesce(application_name, '') NOT LIKE 'dbopt%%'
 GROUP BY 1, 2
 ORDER BY 3 DESC, 1, 2
 LIMIT %(limit)s
