-- name: collect_replication
-- pg_stat_replication: each walsender, and how far its receiver is behind in bytes and time.
-- Times are NULL where all is caught up; hidden without pg_read_all_stats. Our own position is
-- read after the row's, so that no lag is negative.
SELECT /* dbopt */
       r.pid, r.application_name, r.usename::text AS usename, host(r.client_addr) AS client_addr,
       r.state, r.sync_state, s.slot_name::text AS slot_name,
       (w.lsn - r.sent_lsn)::bigint AS sent_lag_bytes,
       (w.lsn - r.write_lsn)::bigint AS write_lag_bytes,
       (w.lsn - r.flush_lsn)::bigint AS flush_lag_bytes,
       (w.lsn - r.replay_lsn)::bigint AS replay_lag_bytes,
       (extract(epoch FROM r.write_lag) * 1000000)::bigint AS write_lag_us,
       (extract(epoch FROM r.flush_lag) * 1000000)::bigint AS flush_lag_us,
       (extract(epoch FROM r.replay_lag) * 1000000)::bigint AS replay_lag_us,
       extract(epoch FROM r.backend_start)::bigint AS backend_start_at,
       extract(epoch FROM r.reply_time)::bigint AS reply_at,
       age(r.backend_xmin)::bigint AS xmin_age
  FROM pg_catalog.pg_stat_replication AS r
  LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
  CROSS JOIN LATERAL (SELECT CASE WHEN r.pid IS NULL THEN NULL
                                  WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                                  ELSE pg_current_wal_lsn() END AS lsn) AS w
 ORDER BY r.pid
 LIMIT %(limit)s

-- name: collect_wal_receiver
-- One row: how a standby receives WAL and how far its replay is behind. replay_delay_us is 0
-- where all that was received is replayed, since an idle primary sends no commits.
SELECT /* dbopt */
       r.status, r.sender_host, r.sender_port, r.slot_name,
       (r.pid IS NOT NULL)::int AS receiving, pg_is_wal_replay_paused()::int AS replay_paused,
       (r.latest_end_lsn - w.received)::bigint AS receive_lag_bytes,
       CASE WHEN w.received <= w.replayed THEN 0
            ELSE (w.received - w.replayed)::bigint END AS replay_lag_bytes,
       CASE WHEN w.received <= w.replayed THEN 0
            ELSE (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
                  * 1000000)::bigint END AS replay_delay_us,
       extract(epoch FROM r.last_msg_receipt_time)::bigint AS last_msg_receipt_at,
       extract(epoch FROM r.latest_end_time)::bigint AS latest_end_at
  FROM (SELECT pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed) AS w
  LEFT JOIN pg_catalog.pg_stat_wal_receiver AS r ON true
 WHERE pg_is_in_recovery()

-- name: collect_replication_slots
-- pg_replication_slots: the WAL that each keeps, in bytes; what may still be written until it
-- is lost (max_slot_wal_keep_size); the age of the rows that it keeps.
SELECT /* dbopt */
       s.slot_name::text AS slot_name, coalesce(s.plugin::text, '') AS plugin, s.slot_type,
       coalesce(s.database::text, '') AS datname, s.wal_status,
       s.active::int AS active, s.temporary::int AS temporary,
       (w.lsn - s.restart_lsn)::bigint AS retained_bytes, s.safe_wal_size AS safe_wal_bytes,
       (w.lsn - s.confirmed_flush_lsn)::bigint AS confirmed_lag_bytes,
       age(s.xmin)::bigint AS xmin_age, age(s.catalog_xmin)::bigint AS catalog_xmin_age
  FROM pg_catalog.pg_replication_slots AS s
  CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END AS lsn) AS w
 ORDER BY s.slot_name
 LIMIT %(limit)s

-- name: collect_replication_slots (min_version=16)
-- As before, with whether recovery's conflict made a logical slot invalid.
SELECT /* dbopt */
       s.slot_name::text AS slot_name, coalesce(s.plugin::text, '') AS plugin, s.slot_type,
       coalesce(s.database::text, '') AS datname, s.wal_status,
       s.active::int AS active, s.temporary::int AS temporary,
       (w.lsn - s.restart_lsn)::bigint AS retained_bytes, s.safe_wal_size AS safe_wal_bytes,
       (w.lsn - s.confirmed_flush_lsn)::bigint AS confirmed_lag_bytes,
       age(s.xmin)::bigint AS xmin_age, age(s.catalog_xmin)::bigint AS catalog_xmin_age,
       s.conflicting::int AS conflicting
  FROM pg_catalog.pg_replication_slots AS s
  CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END AS lsn) AS w
 ORDER BY s.slot_name
 LIMIT %(limit)s

-- name: collect_replication_slots (min_version=17)
-- As before, with since when nobody uses it, and why it is invalid.
SELECT /* dbopt */
       s.slot_name::text AS slot_name, coalesce(s.plugin::text, '') AS plugin, s.slot_type,
       coalesce(s.database::text, '') AS datname, s.wal_status, s.invalidation_reason,
       s.active::int AS active, s.temporary::int AS temporary,
       (w.lsn - s.restart_lsn)::bigint AS retained_bytes, s.safe_wal_size AS safe_wal_bytes,
       (w.lsn - s.confirmed_flush_lsn)::bigint AS confirmed_lag_bytes,
       age(s.xmin)::bigint AS xmin_age, age(s.catalog_xmin)::bigint AS catalog_xmin_age,
       extract(epoch FROM s.inactive_since)::bigint AS inactive_since_at,
       s.conflicting::int AS conflicting
  FROM pg_catalog.pg_replication_slots AS s
  CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END AS lsn) AS w
 ORDER BY s.slot_name
 LIMIT %(limit)s

-- name: collect_replication_slot_stats (min_version=14)
-- pg_stat_replication_slots: transactions that decoding spilled to disk, streamed, and in all.
SELECT /* dbopt */
       slot_name::text AS slot_name, spill_txns, spill_count, spill_bytes,
       stream_txns, stream_count, stream_bytes, total_txns, total_bytes,
       stats_reset AS stats_since
  FROM pg_catalog.pg_stat_replication_slots
 ORDER BY slot_name
 LIMIT %(limit)s

-- name: collect_subscriptions
-- pg_stat_subscription by subscription: its workers, and how far the apply worker is behind
-- what it knows to be there.
SELECT /* dbopt */
       s.subid::bigint AS subid, s.subname::text AS subname,
       count(s.pid) FILTER (WHERE s.relid IS NULL) AS workers,
       count(s.pid) FILTER (WHERE s.relid IS NOT NULL) AS sync_workers,
       max(s.latest_end_lsn - s.received_lsn) FILTER (WHERE s.relid IS NULL)::bigint AS lag_bytes,
       extract(epoch FROM max(s.last_msg_receipt_time))::bigint AS last_msg_receipt_at,
       extract(epoch FROM max(s.latest_end_time))::bigint AS latest_end_at
  FROM pg_catalog.pg_stat_subscription AS s
 GROUP BY s.subid, s.subname
 ORDER BY s.subid
 LIMIT %(limit)s

-- name: collect_subscriptions (min_version=15)
-- As before, with errors of pg_stat_subscription_stats.
SELECT /* dbopt */
       s.subid::bigint AS subid, s.subname::text AS subname,
       e.apply_error_count, e.sync_error_count,
       count(s.pid) FILTER (WHERE s.relid IS NULL) AS workers,
       count(s.pid) FILTER (WHERE s.relid IS NOT NULL) AS sync_workers,
       max(s.latest_end_lsn - s.received_lsn) FILTER (WHERE s.relid IS NULL)::bigint AS lag_bytes,
       extract(epoch FROM max(s.last_msg_receipt_time))::bigint AS last_msg_receipt_at,
       extract(epoch FROM max(s.latest_end_time))::bigint AS latest_end_at,
       e.stats_reset AS stats_since
  FROM pg_catalog.pg_stat_subscription AS s
  JOIN pg_catalog.pg_stat_subscription_stats AS e ON e.subid = s.subid
 GROUP BY s.subid, s.subname, e.apply_error_count, e.sync_error_count, e.stats_reset
 ORDER BY s.subid
 LIMIT %(limit)s

-- name: collect_subscriptions (min_version=16)
-- As before, with parallel apply workers, which have a leader.
SELECT /* dbopt */
       s.subid::bigint AS subid, s.subname::text AS subname,
       e.apply_error_count, e.sync_error_count,
       count(s.pid) FILTER (WHERE s.relid IS NULL AND s.leader_pid IS NULL) AS workers,
       count(s.pid) FILTER (WHERE s.relid IS NOT NULL) AS sync_workers,
       count(s.pid) FILTER (WHERE s.leader_pid IS NOT NULL) AS parallel_workers,
       max(s.latest_end_lsn - s.received_lsn)
           FILTER (WHERE s.relid IS NULL AND s.leader_pid IS NULL)::bigint AS lag_bytes,
       extract(epoch FROM max(s.last_msg_receipt_time))::bigint AS last_msg_receipt_at,
       extract(epoch FROM max(s.latest_end_time))::bigint AS latest_end_at,
       e.stats_reset AS stats_since
  FROM pg_catalog.pg_stat_subscription AS s
  JOIN pg_catalog.pg_stat_subscription_stats AS e ON e.subid = s.subid
 GROUP BY s.subid, s.subname, e.apply_error_count, e.sync_error_count, e.stats_reset
 ORDER BY s.subid
 LIMIT %(limit)s

-- name: collect_subscriptions (min_version=18)
-- As before, with conflicts.
SELECT /* dbopt */
       s.subid::bigint AS subid, s.subname::text AS subname,
       max(e.apply_error_count) AS apply_error_count, max(e.sync_error_count) AS sync_error_count,
       max(e.confl_insert_exists) AS confl_insert_exists,
       max(e.confl_update_origin_differs) AS confl_update_origin_differs,
       max(e.confl_update_exists) AS confl_update_exists,
       max(e.confl_update_missing) AS confl_update_missing,
       max(e.confl_delete_origin_differs) AS confl_delete_origin_differs,
       max(e.confl_delete_missing) AS confl_delete_missing,
       max(e.confl_multiple_unique_conflicts) AS confl_multiple_unique_conflicts,
       count(s.pid) FILTER (WHERE s.relid IS NULL AND s.leader_pid IS NULL) AS workers,
       count(s.pid) FILTER (WHERE s.relid IS NOT NULL) AS sync_workers,
       count(s.pid) FILTER (WHERE s.leader_pid IS NOT NULL) AS parallel_workers,
       max(s.latest_end_lsn - s.received_lsn)
           FILTER (WHERE s.relid IS NULL AND s.leader_pid IS NULL)::bigint AS lag_bytes,
       extract(epoch FROM max(s.last_msg_receipt_time))::bigint AS last_msg_receipt_at,
       extract(epoch FROM max(s.latest_end_time))::bigint AS latest_end_at,
       max(e.stats_reset) AS stats_since
  FROM pg_catalog.pg_stat_subscription AS s
  JOIN pg_catalog.pg_stat_subscription_stats AS e ON e.subid = s.subid
 GROUP BY s.subid, s.subname
 ORDER BY s.subid
 LIMIT %(limit)s
