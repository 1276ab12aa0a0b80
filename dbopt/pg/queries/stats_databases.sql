-- name: collect_database
-- pg_stat_database: each database of the server, and datid 0 for what all of them share. I/O
-- times are NULL while track_io_timing is off, checksum failures without checksums.
-- Source: docs, "pg_stat_database".
SELECT /* dbopt */
       datid::bigint AS datid, coalesce(datname::text, '') AS datname,
       xact_commit, xact_rollback, blks_read, blks_hit,
       CASE WHEN %(timed)s THEN (blk_read_time * 1000)::bigint END AS blk_read_us,
       CASE WHEN %(timed)s THEN (blk_write_time * 1000)::bigint END AS blk_write_us,
       tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts,
       temp_files, temp_bytes, deadlocks, checksum_failures,
       coalesce(numbackends, 0) AS numbackends,
       extract(epoch FROM checksum_last_failure)::bigint AS checksum_last_failure_at,
       extract(epoch FROM stats_reset)::bigint AS stats_reset_at
  FROM pg_catalog.pg_stat_database
 ORDER BY xact_commit DESC NULLS LAST, datid
 LIMIT %(limit)s

-- name: collect_database (min_version=14)
-- As before, with sessions and what their time was.
SELECT /* dbopt */
       datid::bigint AS datid, coalesce(datname::text, '') AS datname,
       xact_commit, xact_rollback, blks_read, blks_hit,
       CASE WHEN %(timed)s THEN (blk_read_time * 1000)::bigint END AS blk_read_us,
       CASE WHEN %(timed)s THEN (blk_write_time * 1000)::bigint END AS blk_write_us,
       tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts,
       temp_files, temp_bytes, deadlocks, checksum_failures,
       (session_time * 1000)::bigint AS session_us, (active_time * 1000)::bigint AS active_us,
       (idle_in_transaction_time * 1000)::bigint AS idle_in_transaction_us,
       sessions, sessions_abandoned, sessions_fatal, sessions_killed,
       coalesce(numbackends, 0) AS numbackends,
       extract(epoch FROM checksum_last_failure)::bigint AS checksum_last_failure_at,
       extract(epoch FROM stats_reset)::bigint AS stats_reset_at
  FROM pg_catalog.pg_stat_database
 ORDER BY xact_commit DESC NULLS LAST, datid
 LIMIT %(limit)s

-- name: collect_database (min_version=18)
-- As before, with parallel workers.
SELECT /* dbopt */
       datid::bigint AS datid, coalesce(datname::text, '') AS datname,
       xact_commit, xact_rollback, blks_read, blks_hit,
       CASE WHEN %(timed)s THEN (blk_read_time * 1000)::bigint END AS blk_read_us,
       CASE WHEN %(timed)s THEN (blk_write_time * 1000)::bigint END AS blk_write_us,
       tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts,
       temp_files, temp_bytes, deadlocks, checksum_failures,
       (session_time * 1000)::bigint AS session_us, (active_time * 1000)::bigint AS active_us,
       (idle_in_transaction_time * 1000)::bigint AS idle_in_transaction_us,
       sessions, sessions_abandoned, sessions_fatal, sessions_killed,
       parallel_workers_to_launch, parallel_workers_launched,
       coalesce(numbackends, 0) AS numbackends,
       extract(epoch FROM checksum_last_failure)::bigint AS checksum_last_failure_at,
       extract(epoch FROM stats_reset)::bigint AS stats_reset_at
  FROM pg_catalog.pg_stat_database
 ORDER BY xact_commit DESC NULLS LAST, datid
 LIMIT %(limit)s

-- name: collect_database_conflicts
-- pg_stat_database_conflicts: statements that a standby cancelled to replay WAL, by cause.
SELECT /* dbopt */
       datid::bigint AS datid, datname::text AS datname,
       confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock
  FROM pg_catalog.pg_stat_database_conflicts
 ORDER BY datid
 LIMIT %(limit)s

-- name: collect_database_conflicts (min_version=16)
-- As before, with logical slots that were made invalid.
SELECT /* dbopt */
       datid::bigint AS datid, datname::text AS datname,
       confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock,
       confl_active_logicalslot
  FROM pg_catalog.pg_stat_database_conflicts
 ORDER BY datid
 LIMIT %(limit)s

-- name: collect_database_storage
-- Each database's size (NULL where our role may not ask: it needs CONNECT or
-- pg_read_all_stats), the ages of its oldest transaction and multixact, its limit (-1: none).
SELECT /* dbopt */
       d.oid::bigint AS datid, d.datname::text AS datname,
       CASE WHEN %(reads_all)s OR has_database_privilege(d.oid, 'CONNECT')
            THEN pg_database_size(d.oid) END AS size_bytes,
       age(d.datfrozenxid) AS xid_age, mxid_age(d.datminmxid) AS mxid_age,
       d.datconnlimit, d.datallowconn::int AS datallowconn
  FROM pg_catalog.pg_database AS d
 ORDER BY d.oid
 LIMIT %(limit)s
