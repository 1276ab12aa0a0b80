-- name: server_info
-- What this server, this database and our role allow: one row. Needs no privilege.
-- A parameter of pg_stat_statements exists only where the library is preloaded.
SELECT /* dbopt */
       current_setting('server_version_num')::int AS version_num,
       pg_is_in_recovery() AS in_recovery,
       current_database()::text AS database,
       coalesce(host(inet_server_addr()), 'local') || ':' || current_setting('port') AS address,
       clock_timestamp() AS now,
       pg_postmaster_start_time() AS started_at,
       current_user::text AS role,
       pg_has_role(current_user, 'pg_monitor', 'USAGE') AS is_monitor,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       current_setting('track_io_timing')::bool AS track_io_timing,
       current_setting('track_counts')::bool AS track_counts,
       current_setting('pg_stat_statements.max', true) IS NOT NULL AS statements_loaded,
       coalesce(e.extversion, '') AS statements_version,
       coalesce(n.nspname::text, '') AS statements_schema,
       d.stats_reset,
       coalesce(current_setting('track_wal_io_timing', true)::bool, false) AS track_wal_io_timing,
       current_setting('track_functions') AS track_functions,
       current_setting('track_activities')::bool AS track_activities,
       pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AS reads_all_settings,
       coalesce(current_setting('pg_stat_statements.track', true), 'none') AS statements_track,
       coalesce(current_setting('pg_stat_statements.track_planning', true), 'off')::bool
           AS statements_planning,
       coalesce(current_setting('compute_query_id', true), 'on') <> 'off' AS computes_query_id
  FROM pg_catalog.pg_stat_database AS d
  LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'pg_stat_statements'
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
 WHERE d.datname = current_database()
