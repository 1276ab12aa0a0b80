-- name: collect_statements (min_version=108)
-- pg_stat_statements of this database without texts (they are a file, read whole each time).
-- The versions are the extension's, major * 100 + minor. I/O times are NULL while
-- track_io_timing is off, plans while pg_stat_statements.track_planning is.
SELECT /* dbopt */
       s.queryid, s.userid::bigint AS userid, 1 AS toplevel, s.userid::regrole::text AS role,
       CASE WHEN %(planning)s THEN s.plans END AS plans,
       CASE WHEN %(planning)s THEN (s.total_plan_time * 1000)::bigint END AS total_plan_us,
       s.calls, (s.total_exec_time * 1000)::bigint AS total_exec_us, s.rows,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN (s.blk_read_time * 1000)::bigint END AS shared_blk_read_us,
       CASE WHEN %(timed)s THEN (s.blk_write_time * 1000)::bigint END AS shared_blk_write_us,
       s.wal_records, s.wal_fpi, s.wal_bytes::bigint AS wal_bytes,
       (s.min_exec_time * 1000)::bigint AS min_exec_us,
       (s.max_exec_time * 1000)::bigint AS max_exec_us,
       (s.stddev_exec_time * 1000)::bigint AS stddev_exec_us,
       CASE WHEN %(planning)s THEN (s.max_plan_time * 1000)::bigint END AS max_plan_us
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: collect_statements (min_version=109)
-- As before, and whether a statement was sent by the client or by a function.
SELECT /* dbopt */
       s.queryid, s.userid::bigint AS userid, s.toplevel::int AS toplevel, s.userid::regrole::text AS role,
       CASE WHEN %(planning)s THEN s.plans END AS plans,
       CASE WHEN %(planning)s THEN (s.total_plan_time * 1000)::bigint END AS total_plan_us,
       s.calls, (s.total_exec_time * 1000)::bigint AS total_exec_us, s.rows,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN (s.blk_read_time * 1000)::bigint END AS shared_blk_read_us,
       CASE WHEN %(timed)s THEN (s.blk_write_time * 1000)::bigint END AS shared_blk_write_us,
       s.wal_records, s.wal_fpi, s.wal_bytes::bigint AS wal_bytes,
       (s.min_exec_time * 1000)::bigint AS min_exec_us,
       (s.max_exec_time * 1000)::bigint AS max_exec_us,
       (s.stddev_exec_time * 1000)::bigint AS stddev_exec_us,
       CASE WHEN %(planning)s THEN (s.max_plan_time * 1000)::bigint END AS max_plan_us
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: collect_statements (min_version=110)
-- As before, with JIT, and I/O times of temporary files.
SELECT /* dbopt */
       s.queryid, s.userid::bigint AS userid, s.toplevel::int AS toplevel, s.userid::regrole::text AS role,
       CASE WHEN %(planning)s THEN s.plans END AS plans,
       CASE WHEN %(planning)s THEN (s.total_plan_time * 1000)::bigint END AS total_plan_us,
       s.calls, (s.total_exec_time * 1000)::bigint AS total_exec_us, s.rows,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN (s.blk_read_time * 1000)::bigint END AS shared_blk_read_us,
       CASE WHEN %(timed)s THEN (s.blk_write_time * 1000)::bigint END AS shared_blk_write_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_read_time * 1000)::bigint END AS temp_blk_read_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_write_time * 1000)::bigint END AS temp_blk_write_us,
       s.wal_records, s.wal_fpi, s.wal_bytes::bigint AS wal_bytes,
       s.jit_functions, (s.jit_generation_time * 1000)::bigint AS jit_generation_us,
       s.jit_inlining_count, (s.jit_inlining_time * 1000)::bigint AS jit_inlining_us,
       s.jit_optimization_count,
       (s.jit_optimization_time * 1000)::bigint AS jit_optimization_us,
       s.jit_emission_count, (s.jit_emission_time * 1000)::bigint AS jit_emission_us,
       (s.min_exec_time * 1000)::bigint AS min_exec_us,
       (s.max_exec_time * 1000)::bigint AS max_exec_us,
       (s.stddev_exec_time * 1000)::bigint AS stddev_exec_us,
       CASE WHEN %(planning)s THEN (s.max_plan_time * 1000)::bigint END AS max_plan_us
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: collect_statements (min_version=111)
-- As before, with I/O times of local blocks, and since when each entry counts.
SELECT /* dbopt */
       s.queryid, s.userid::bigint AS userid, s.toplevel::int AS toplevel, s.userid::regrole::text AS role,
       s.stats_since,
       CASE WHEN %(planning)s THEN s.plans END AS plans,
       CASE WHEN %(planning)s THEN (s.total_plan_time * 1000)::bigint END AS total_plan_us,
       s.calls, (s.total_exec_time * 1000)::bigint AS total_exec_us, s.rows,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN (s.shared_blk_read_time * 1000)::bigint END AS shared_blk_read_us,
       CASE WHEN %(timed)s THEN (s.shared_blk_write_time * 1000)::bigint END AS shared_blk_write_us,
       CASE WHEN %(timed)s THEN (s.local_blk_read_time * 1000)::bigint END AS local_blk_read_us,
       CASE WHEN %(timed)s THEN (s.local_blk_write_time * 1000)::bigint END AS local_blk_write_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_read_time * 1000)::bigint END AS temp_blk_read_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_write_time * 1000)::bigint END AS temp_blk_write_us,
       s.wal_records, s.wal_fpi, s.wal_bytes::bigint AS wal_bytes,
       s.jit_functions, (s.jit_generation_time * 1000)::bigint AS jit_generation_us,
       s.jit_inlining_count, (s.jit_inlining_time * 1000)::bigint AS jit_inlining_us,
       s.jit_optimization_count,
       (s.jit_optimization_time * 1000)::bigint AS jit_optimization_us,
       s.jit_emission_count, (s.jit_emission_time * 1000)::bigint AS jit_emission_us,
       s.jit_deform_count, (s.jit_deform_time * 1000)::bigint AS jit_deform_us,
       (s.min_exec_time * 1000)::bigint AS min_exec_us,
       (s.max_exec_time * 1000)::bigint AS max_exec_us,
       (s.stddev_exec_time * 1000)::bigint AS stddev_exec_us,
       CASE WHEN %(planning)s THEN (s.max_plan_time * 1000)::bigint END AS max_plan_us,
       extract(epoch FROM s.minmax_stats_since)::bigint AS minmax_stats_since_at
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: collect_statements (min_version=112)
-- As before, with full WAL buffers and parallel workers.
SELECT /* dbopt */
       s.queryid, s.userid::bigint AS userid, s.toplevel::int AS toplevel, s.userid::regrole::text AS role,
       s.stats_since,
       CASE WHEN %(planning)s THEN s.plans END AS plans,
       CASE WHEN %(planning)s THEN (s.total_plan_time * 1000)::bigint END AS total_plan_us,
       s.calls, (s.total_exec_time * 1000)::bigint AS total_exec_us, s.rows,
       s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.temp_blks_written,
       CASE WHEN %(timed)s THEN (s.shared_blk_read_time * 1000)::bigint END AS shared_blk_read_us,
       CASE WHEN %(timed)s THEN (s.shared_blk_write_time * 1000)::bigint END AS shared_blk_write_us,
       CASE WHEN %(timed)s THEN (s.local_blk_read_time * 1000)::bigint END AS local_blk_read_us,
       CASE WHEN %(timed)s THEN (s.local_blk_write_time * 1000)::bigint END AS local_blk_write_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_read_time * 1000)::bigint END AS temp_blk_read_us,
       CASE WHEN %(timed)s THEN (s.temp_blk_write_time * 1000)::bigint END AS temp_blk_write_us,
       s.wal_records, s.wal_fpi, s.wal_bytes::bigint AS wal_bytes, s.wal_buffers_full,
       s.jit_functions, (s.jit_generation_time * 1000)::bigint AS jit_generation_us,
       s.jit_inlining_count, (s.jit_inlining_time * 1000)::bigint AS jit_inlining_us,
       s.jit_optimization_count,
       (s.jit_optimization_time * 1000)::bigint AS jit_optimization_us,
       s.jit_emission_count, (s.jit_emission_time * 1000)::bigint AS jit_emission_us,
       s.jit_deform_count, (s.jit_deform_time * 1000)::bigint AS jit_deform_us,
       s.parallel_workers_to_launch, s.parallel_workers_launched,
       (s.min_exec_time * 1000)::bigint AS min_exec_us,
       (s.max_exec_time * 1000)::bigint AS max_exec_us,
       (s.stddev_exec_time * 1000)::bigint AS stddev_exec_us,
       CASE WHEN %(planning)s THEN (s.max_plan_time * 1000)::bigint END AS max_plan_us,
       extract(epoch FROM s.minmax_stats_since)::bigint AS minmax_stats_since_at
  FROM {schema}.pg_stat_statements(false) AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.queryid IS NOT NULL
 ORDER BY s.total_exec_time DESC, s.queryid
 LIMIT %(limit)s

-- name: collect_statement_texts
-- The texts of those queryids; the server reads its whole file for it, so only new ones are asked.
-- One queryid may have several: with track = all, what EXPLAIN looks at has EXPLAIN's own text.
SELECT /* dbopt */ queryid, userid::bigint AS userid, 1 AS toplevel, query
  FROM {schema}.pg_stat_statements(true)
 WHERE queryid = ANY (%(queryids)s::bigint[])
   AND query IS NOT NULL
   AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())

-- name: collect_statement_texts (min_version=109)
-- As before, with the level.
SELECT /* dbopt */ queryid, userid::bigint AS userid, toplevel::int AS toplevel, query
  FROM {schema}.pg_stat_statements(true)
 WHERE queryid = ANY (%(queryids)s::bigint[])
   AND query IS NOT NULL
   AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())

-- name: collect_statements_info (min_version=109)
-- How often entries were evicted to make room, and since when all count.
SELECT /* dbopt */ dealloc, stats_reset FROM {schema}.pg_stat_statements_info
