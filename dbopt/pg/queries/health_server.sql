-- name: health_settings
-- Every parameter of the server: its value for this session, unit, source, whether a restart waits.
-- Rows of pg_settings that need pg_read_all_settings are not there for others.
SELECT /* dbopt */ name::text, setting::text, coalesce(unit, '')::text AS unit,
       source::text, coalesce(boot_val, '')::text AS boot_val, pending_restart
  FROM pg_catalog.pg_settings

-- name: health_server
-- What the server, this database and our role are: one row. Ages are transactions, sizes bytes.
-- bytes: the database's relations, as the catalog last knew them, since asking each file is slow.
SELECT /* dbopt */
       current_setting('server_version_num')::int AS version_num,
       pg_is_in_recovery() AS in_recovery,
       clock_timestamp() AS now,
       pg_postmaster_start_time() AS started_at,
       current_database()::text AS database,
       current_user::text AS role,
       r.rolsuper AS is_superuser,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AS reads_all_settings,
       current_setting('block_size')::int AS block_size,
       (SELECT sum(relpages::bigint) * current_setting('block_size')::int
          FROM pg_catalog.pg_class)::bigint AS bytes,
       coalesce((SELECT min(rolname) FROM pg_catalog.pg_roles WHERE rolname IN
          ('rdsadmin', 'cloudsqlsuperuser', 'azure_pg_admin', 'alloydbsuperuser', 'doadmin')),
          '')::text AS managed_by,
       coalesce(e.extversion, '')::text AS statements_version,
       coalesce(n.nspname, '')::text AS statements_schema
  FROM pg_catalog.pg_roles AS r
  LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'pg_stat_statements'
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
 WHERE r.rolname = current_user

-- name: health_databases
-- Each database: age of its oldest transaction ids, counters since stats_reset, and limits. One
-- without a name, said to be a template, stands for the tables that all share.
SELECT /* dbopt */ coalesce(d.datname, '')::text AS name,
       coalesce(d.datallowconn, false) AS allows_connections,
       coalesce(d.datistemplate, true) AS template,
       coalesce(d.datconnlimit, -1) AS connection_limit,
       coalesce(age(d.datfrozenxid), 0)::bigint AS xid_age,
       coalesce(mxid_age(d.datminmxid), 0)::bigint AS mxid_age,
       s.numbackends AS sessions, s.xact_commit AS commits, s.xact_rollback AS rollbacks,
       s.blks_hit AS blocks_hit, s.blks_read AS blocks_read,
       s.blk_read_time::float8 AS read_ms, s.deadlocks, s.temp_files, s.temp_bytes,
       coalesce(s.checksum_failures, 0) AS checksum_failures,
       extract(epoch FROM now() - greatest(s.stats_reset,
           CASE WHEN s.stats_reset IS NULL THEN pg_postmaster_start_time() END))::float8
           AS counted_seconds,
       ''::text AS collation_recorded, ''::text AS collation_actual
  FROM pg_catalog.pg_stat_database AS s
  LEFT JOIN pg_catalog.pg_database AS d ON s.datid = d.oid

-- name: health_databases (min_version=15)
-- As before; also the version of the collation that the database was made with, and today's.
SELECT /* dbopt */ coalesce(d.datname, '')::text AS name,
       coalesce(d.datallowconn, false) AS allows_connections,
       coalesce(d.datistemplate, true) AS template,
       coalesce(d.datconnlimit, -1) AS connection_limit,
       coalesce(age(d.datfrozenxid), 0)::bigint AS xid_age,
       coalesce(mxid_age(d.datminmxid), 0)::bigint AS mxid_age,
       s.numbackends AS sessions, s.xact_commit AS commits, s.xact_rollback AS rollbacks,
       s.blks_hit AS blocks_hit, s.blks_read AS blocks_read,
       s.blk_read_time::float8 AS read_ms, s.deadlocks, s.temp_files, s.temp_bytes,
       coalesce(s.checksum_failures, 0) AS checksum_failures,
       extract(epoch FROM now() - greatest(s.stats_reset,
           CASE WHEN s.stats_reset IS NULL THEN pg_postmaster_start_time() END))::float8
           AS counted_seconds,
       coalesce(d.datcollversion, '')::text AS collation_recorded,
       coalesce(pg_database_collation_actual_version(d.oid), '')::text AS collation_actual
  FROM pg_catalog.pg_stat_database AS s
  LEFT JOIN pg_catalog.pg_database AS d ON s.datid = d.oid

-- name: health_checkpoints
-- Checkpoints by the clock and those that WAL's volume (or somebody) asked for: one row.
SELECT /* dbopt */ checkpoints_timed AS timed, checkpoints_req AS requested,
       extract(epoch FROM now() - stats_reset)::float8 AS counted_seconds
  FROM pg_catalog.pg_stat_bgwriter

-- name: health_checkpoints (min_version=17)
-- The same, from the view that they moved to.
SELECT /* dbopt */ num_timed AS timed, num_requested AS requested,
       extract(epoch FROM now() - stats_reset)::float8 AS counted_seconds
  FROM pg_catalog.pg_stat_checkpointer

-- name: health_roles
-- Each role that may log in. expires_in is seconds, NULL where its password does not expire.
SELECT /* dbopt */ r.rolname::text AS name, r.rolsuper AS superuser,
       r.rolconnlimit AS connection_limit,
       CASE WHEN isfinite(r.rolvaliduntil)
            THEN extract(epoch FROM r.rolvaliduntil - now())::float8 END AS expires_in
  FROM pg_catalog.pg_roles AS r
 WHERE r.rolcanlogin

-- name: health_passwords
-- Roles whose password is stored as MD5. Readable by superusers; the secret itself is not read.
SELECT /* dbopt */ rolname::text AS name FROM pg_catalog.pg_authid
 WHERE rolcanlogin AND rolpassword LIKE 'md5%%'

-- name: health_statements
-- Times that pg_stat_statements evicted entries, since its reset (extension 1.9 and later).
SELECT /* dbopt */ dealloc AS evictions,
       extract(epoch FROM now() - stats_reset)::float8 AS counted_seconds
  FROM {schema}.pg_stat_statements_info
