-- name: stats_statements (min_version=108)
-- pg_stat_statements of this database without texts (they are a file, read whole each time).
-- The versions are the extension's, major * 100 + minor. Times are milliseconds; I/O times are
-- NULL while track_io_timing is off.
SELECT /* dbopt */
       s.queryid, s.userid, true AS toplevel, s.userid::regrole::text AS role,
       NULL::timestamptz AS stats_since,
       s.calls, s.total_exec_time AS total_ms, s.rows, s.plans, s.total_plan_time AS plan_ms,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN s.blk_read_time END AS blk_read_ms,
       CASE WHEN %(timed)s THEN s.blk_write_time END AS blk_write_ms,
       s.wal_bytes::bigint AS wal_bytes, s.max_exec_time AS max_ms
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: stats_statements (min_version=109)
-- As before, and whether a statement was sent by the client or by a function.
SELECT /* dbopt */
       s.queryid, s.userid, s.toplevel, s.userid::regrole::text AS role,
       NULL::timestamptz AS stats_since,
       s.calls, s.total_exec_time AS total_ms, s.rows, s.plans, s.total_plan_time AS plan_ms,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN s.blk_read_time END AS blk_read_ms,
       CASE WHEN %(timed)s THEN s.blk_write_time END AS blk_write_ms,
       s.wal_bytes::bigint AS wal_bytes, s.max_exec_time AS max_ms
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: stats_statements (min_version=111)
-- As before; the I/O times have other names, and each entry says since when it counts.
SELECT /* dbopt */
       s.queryid, s.userid, s.toplevel, s.userid::regrole::text AS role,
       s.stats_since,
       s.calls, s.total_exec_time AS total_ms, s.rows, s.plans, s.total_plan_time AS plan_ms,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN s.shared_blk_read_time END AS blk_read_ms,
       CASE WHEN %(timed)s THEN s.shared_blk_write_time END AS blk_write_ms,
       s.wal_bytes::bigint AS wal_bytes, s.max_exec_time AS max_ms
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: stats_statements_info (min_version=109)
-- How many entries were evicted, and when all counters were last reset.
SELECT /* dbopt */ dealloc, stats_reset FROM {schema}.pg_stat_statements_info

-- name: stats_statement_texts
-- The texts of some statements of this database.
SELECT /* dbopt */ DISTINCT ON (s.queryid) s.queryid, s.query
  FROM {schema}.pg_stat_statements(true) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid = ANY(%(queryids)s::bigint[]) AND s.query IS NOT NULL
 ORDER BY s.queryid
