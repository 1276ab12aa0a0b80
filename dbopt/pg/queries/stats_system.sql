-- name: collect_bgwriter
-- pg_stat_bgwriter without what belongs to checkpoints.
SELECT /* dbopt */
       buffers_clean, maxwritten_clean, buffers_alloc, buffers_backend, buffers_backend_fsync,
       stats_reset
  FROM pg_catalog.pg_stat_bgwriter

-- name: collect_bgwriter (min_version=17)
-- As before; what backends wrote is in pg_stat_io now.
SELECT /* dbopt */ buffers_clean, maxwritten_clean, buffers_alloc, stats_reset
  FROM pg_catalog.pg_stat_bgwriter

-- name: collect_checkpointer
-- What pg_stat_checkpointer says, from pg_stat_bgwriter, by the names of 17. Restartpoints of a
-- standby are counted as checkpoints there.
SELECT /* dbopt */
       checkpoints_timed AS num_timed, checkpoints_req AS num_requested,
       (checkpoint_write_time * 1000)::bigint AS write_us,
       (checkpoint_sync_time * 1000)::bigint AS sync_us,
       buffers_checkpoint AS buffers_written, stats_reset
  FROM pg_catalog.pg_stat_bgwriter

-- name: collect_checkpointer (min_version=17)
-- pg_stat_checkpointer. num_timed counts those that were skipped for want of work, too.
SELECT /* dbopt */
       num_timed, num_requested, restartpoints_timed, restartpoints_req, restartpoints_done,
       (write_time * 1000)::bigint AS write_us, (sync_time * 1000)::bigint AS sync_us,
       buffers_written, stats_reset
  FROM pg_catalog.pg_stat_checkpointer

-- name: collect_checkpointer (min_version=18)
-- As before, with those that were done, and pages of the SLRU caches.
SELECT /* dbopt */
       num_timed, num_requested, num_done,
       restartpoints_timed, restartpoints_req, restartpoints_done,
       (write_time * 1000)::bigint AS write_us, (sync_time * 1000)::bigint AS sync_us,
       buffers_written, slru_written, stats_reset
  FROM pg_catalog.pg_stat_checkpointer

-- name: collect_wal
-- Where the WAL stands, in bytes since its beginning: written, or replayed on a standby.
SELECT /* dbopt */
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
           - '0/0')::bigint AS lsn_bytes,
       NULL::timestamptz AS stats_reset

-- name: collect_wal (min_version=14)
-- As before, with pg_stat_wal. Times are NULL while track_wal_io_timing is off.
SELECT /* dbopt */
       wal_records, wal_fpi, wal_bytes::bigint AS wal_bytes, wal_buffers_full,
       wal_write, wal_sync,
       CASE WHEN %(wal_timed)s THEN (wal_write_time * 1000)::bigint END AS wal_write_us,
       CASE WHEN %(wal_timed)s THEN (wal_sync_time * 1000)::bigint END AS wal_sync_us,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
           - '0/0')::bigint AS lsn_bytes,
       stats_reset
  FROM pg_catalog.pg_stat_wal

-- name: collect_wal (min_version=18)
-- As before; writes and syncs of WAL are in pg_stat_io now.
SELECT /* dbopt */
       wal_records, wal_fpi, wal_bytes::bigint AS wal_bytes, wal_buffers_full,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
           - '0/0')::bigint AS lsn_bytes,
       stats_reset
  FROM pg_catalog.pg_stat_wal

-- name: collect_wal_directory
-- The files of pg_wal and their bytes. Needs pg_monitor.
SELECT /* dbopt */ count(*) AS files, coalesce(sum(size), 0)::bigint AS size_bytes
  FROM pg_ls_waldir()

-- name: collect_io
-- pg_stat_io; bytes are operations times op_bytes. Times are NULL while track_io_timing is off.
SELECT /* dbopt */
       backend_type, object, context,
       reads, reads * op_bytes AS read_bytes,
       CASE WHEN %(timed)s THEN (read_time * 1000)::bigint END AS read_us,
       writes, writes * op_bytes AS write_bytes,
       CASE WHEN %(timed)s THEN (write_time * 1000)::bigint END AS write_us,
       writebacks, CASE WHEN %(timed)s THEN (writeback_time * 1000)::bigint END AS writeback_us,
       extends, extends * op_bytes AS extend_bytes,
       CASE WHEN %(timed)s THEN (extend_time * 1000)::bigint END AS extend_us,
       hits, evictions, reuses,
       fsyncs, CASE WHEN %(timed)s THEN (fsync_time * 1000)::bigint END AS fsync_us,
       stats_reset
  FROM pg_catalog.pg_stat_io
 ORDER BY backend_type, object, context
 LIMIT %(limit)s

-- name: collect_io (min_version=18)
-- As before, with bytes as they were, and WAL, whose times hang on track_wal_io_timing.
SELECT /* dbopt */
       backend_type, object, context,
       reads, read_bytes::bigint AS read_bytes,
       CASE WHEN t.timed THEN (read_time * 1000)::bigint END AS read_us,
       writes, write_bytes::bigint AS write_bytes,
       CASE WHEN t.timed THEN (write_time * 1000)::bigint END AS write_us,
       writebacks, CASE WHEN t.timed THEN (writeback_time * 1000)::bigint END AS writeback_us,
       extends, extend_bytes::bigint AS extend_bytes,
       CASE WHEN t.timed THEN (extend_time * 1000)::bigint END AS extend_us,
       hits, evictions, reuses,
       fsyncs, CASE WHEN t.timed THEN (fsync_time * 1000)::bigint END AS fsync_us,
       stats_reset
  FROM pg_catalog.pg_stat_io
  CROSS JOIN LATERAL (SELECT CASE WHEN object = 'wal' THEN %(wal_timed)s ELSE %(timed)s END
                          AS timed) AS t
 ORDER BY backend_type, object, context
 LIMIT %(limit)s

-- name: collect_slru
-- pg_stat_slru: each of the caches, by the server's name of it, which changed in 17.
SELECT /* dbopt */
       name, blks_zeroed, blks_hit, blks_read, blks_written, blks_exists, flushes, truncates,
       stats_reset AS stats_since
  FROM pg_catalog.pg_stat_slru
 ORDER BY name
 LIMIT %(limit)s

-- name: collect_archiver
-- pg_stat_archiver. archiving: 0 where archive_mode is off, or this standby does not archive.
SELECT /* dbopt */
       last_failed_wal, archived_count, failed_count,
       (CASE current_setting('archive_mode') WHEN 'off' THEN false WHEN 'always' THEN true
             ELSE NOT pg_is_in_recovery() END)::int AS archiving,
       extract(epoch FROM last_archived_time)::bigint AS last_archived_at,
       extract(epoch FROM last_failed_time)::bigint AS last_failed_at,
       stats_reset
  FROM pg_catalog.pg_stat_archiver

-- name: collect_recovery_prefetch
-- pg_stat_recovery_prefetch: what recovery reads ahead, and why not.
SELECT /* dbopt */
       prefetch, hit, skip_init, skip_new, skip_fpw, skip_rep,
       wal_distance::bigint AS wal_distance_bytes, block_distance, io_depth, stats_reset
  FROM pg_catalog.pg_stat_recovery_prefetch

-- name: collect_settings
-- What the server was told: settings that are not the default, as all sessions get them, not as
-- our own does. Our own startup options hide what the server has of the same settings.
SELECT /* dbopt */
       name, reset_val AS setting, coalesce(unit, '') AS unit,
       CASE source WHEN 'session' THEN 'unknown' ELSE source END AS source,
       pending_restart::int AS pending_restart
  FROM pg_catalog.pg_settings
 WHERE context <> 'internal'
   AND (source NOT IN ('default', 'override', 'client', 'user', 'database user', 'session')
        OR (source = 'session' AND reset_val IS DISTINCT FROM boot_val))
 ORDER BY name
 LIMIT %(limit)s
