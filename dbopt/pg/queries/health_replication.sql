-- name: health_slots
-- Replication slots. retained: bytes of WAL kept for it; wal_status NULL: nothing is.
SELECT /* dbopt */ s.slot_name::text AS name, s.slot_type::text AS kind,
       coalesce(s.database, '')::text AS database, s.active,
       coalesce(s.wal_status, '')::text AS wal_status, s.safe_wal_size AS safe_bytes,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint AS retained_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin))::bigint AS xmin_age,
       ''::text AS invalid, NULL::float8 AS inactive_seconds
  FROM pg_catalog.pg_replication_slots AS s
 WHERE NOT s.temporary

-- name: health_slots (min_version=16)
-- The same; also whether recovery conflicts have made a logical slot useless.
SELECT /* dbopt */ s.slot_name::text AS name, s.slot_type::text AS kind,
       coalesce(s.database, '')::text AS database, s.active,
       coalesce(s.wal_status, '')::text AS wal_status, s.safe_wal_size AS safe_bytes,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint AS retained_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin))::bigint AS xmin_age,
       CASE WHEN s.conflicting THEN 'conflicting' ELSE '' END AS invalid,
       NULL::float8 AS inactive_seconds
  FROM pg_catalog.pg_replication_slots AS s
 WHERE NOT s.temporary

-- name: health_slots (min_version=17)
-- The same; also why it is invalid, and for how long nobody has used it.
SELECT /* dbopt */ s.slot_name::text AS name, s.slot_type::text AS kind,
       coalesce(s.database, '')::text AS database, s.active,
       coalesce(s.wal_status, '')::text AS wal_status, s.safe_wal_size AS safe_bytes,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint AS retained_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin))::bigint AS xmin_age,
       coalesce(s.invalidation_reason, CASE WHEN s.conflicting THEN 'conflicting' END, '')::text
           AS invalid,
       extract(epoch FROM clock_timestamp() - s.inactive_since)::float8 AS inactive_seconds
  FROM pg_catalog.pg_replication_slots AS s
 WHERE NOT s.temporary

-- name: health_replicas
-- Who streams from here. Bytes behind, NULL where our role may not see; seconds as the standby says.
SELECT /* dbopt */ r.pid, coalesce(r.application_name, '')::text AS name,
       coalesce(host(r.client_addr), 'local')::text AS address, coalesce(r.state, '')::text AS state,
       coalesce(r.sync_state, '')::text AS sync_state,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, r.replay_lsn)::bigint AS behind_bytes,
       extract(epoch FROM r.replay_lag)::float8 AS behind_seconds,
       age(r.backend_xmin)::bigint AS xmin_age
  FROM pg_catalog.pg_stat_replication AS r

-- name: health_recovery
-- A standby's own look at itself: one row; none on a primary. behind_seconds is 0 where all is
-- replayed that was received, since a primary that writes nothing sends no time. wants_receiver is
-- NULL where our role may not see primary_conninfo.
SELECT /* dbopt */ (SELECT count(*) FROM pg_catalog.pg_stat_wal_receiver)::int AS receivers,
       (SELECT setting <> '' FROM pg_catalog.pg_settings WHERE name = 'primary_conninfo')
           AS wants_receiver,
       pg_is_wal_replay_paused() AS paused,
       CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8
            AS behind_seconds,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint AS behind_bytes
 WHERE pg_is_in_recovery()

-- name: health_archiver
-- WAL archiving: one row. Seconds since the last success and the last failure.
SELECT /* dbopt */ archived_count AS archived, failed_count AS failed,
       extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS archived_ago,
       extract(epoch FROM clock_timestamp() - last_failed_time)::float8 AS failed_ago
  FROM pg_catalog.pg_stat_archiver

-- name: health_subscriptions
-- Subscriptions of this database: whether one runs. Errors are not counted before 15.
SELECT /* dbopt */ s.subname::text AS name, s.subenabled AS enabled,
       EXISTS (SELECT FROM pg_catalog.pg_stat_subscription AS w
                WHERE w.subid = s.oid AND w.pid IS NOT NULL) AS running,
       NULL::bigint AS apply_errors, NULL::bigint AS sync_errors
  FROM pg_catalog.pg_subscription AS s, pg_catalog.pg_database AS d
 WHERE s.subdbid = d.oid AND d.datname = current_database()

-- name: health_subscriptions (min_version=15)
-- The same, with the errors of applying and of the first copy.
SELECT /* dbopt */ s.subname::text AS name, s.subenabled AS enabled,
       EXISTS (SELECT FROM pg_catalog.pg_stat_subscription AS w
                WHERE w.subid = s.oid AND w.pid IS NOT NULL) AS running,
       e.apply_error_count AS apply_errors, e.sync_error_count AS sync_errors
  FROM pg_catalog.pg_subscription AS s
  JOIN pg_catalog.pg_database AS d ON s.subdbid = d.oid
  LEFT JOIN pg_catalog.pg_stat_subscription_stats AS e ON e.subid = s.oid
 WHERE d.datname = current_database()

-- name: health_unidentified
-- Tables that publish updates or deletes and have nothing that tells a row: an UPDATE of one fails.
-- Without pg_publication_tables, which locks each table.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS name,
       p.pubname::text AS publication
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_publication AS p ON (p.pubupdate OR p.pubdelete)
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384
   AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary))
   AND (p.puballtables OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_rel AS r
         WHERE r.prpubid = p.oid AND (r.prrelid = c.oid OR c.relispartition AND r.prrelid IN (
               SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))))

-- name: health_unidentified (min_version=15)
-- The same, with publications of whole schemas.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS name,
       p.pubname::text AS publication
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_publication AS p ON (p.pubupdate OR p.pubdelete)
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384
   AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary))
   AND (p.puballtables
        OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS s
                    WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel AS r
                    WHERE r.prpubid = p.oid AND (r.prrelid = c.oid OR c.relispartition
                      AND r.prrelid IN (
                          SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))))
