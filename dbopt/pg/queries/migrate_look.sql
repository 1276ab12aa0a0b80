-- name: look_server
-- The server and our own rights on it. `direct_host` is whether client and server have the same
-- address, or talk by a unix socket. Counts are of client sessions; -1 is no limit.
-- Source: pg_settings, pg_roles, pg_database (docs: monitoring-stats).
SELECT current_setting('server_version_num')::integer AS version_num,
       pg_is_in_recovery() AS in_recovery,
       current_setting('default_transaction_read_only')::boolean AS read_only,
       current_database()::text AS database,
       current_user::text AS role,
       has_database_privilege(current_database(), 'TEMPORARY') AS can_temp,
       coalesce(inet_client_addr() = inet_server_addr(), true) AS direct_host,
       (SELECT count(*) FROM pg_stat_activity a
         WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL) AS sessions,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = current_user) AS role_sessions,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database())
           AS database_sessions,
       (SELECT CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END FROM pg_roles r
         WHERE r.rolname = current_user) AS role_limit,
       (SELECT d.datconnlimit FROM pg_database d WHERE d.datname = current_database())
           AS database_limit;

-- name: look_settings
-- Parameters as a session of ours begins with them, in the parameter's unit; who may not read
-- one does not get its row.
-- Source: pg_settings.
SELECT name, reset_val AS value, coalesce(unit, '') AS unit
  FROM pg_settings
 WHERE name IN ('data_directory', 'maintenance_work_mem', 'max_connections',
                'max_parallel_maintenance_workers', 'max_prepared_transactions',
                'max_slot_wal_keep_size', 'reserved_connections', 'superuser_reserved_connections',
                'temp_file_limit', 'default_tablespace', 'wal_level');

-- name: look_tables
-- The tables of those schemas and names: what we may do with each, where it lies and what the
-- statistics say. Bytes are of the last VACUUM or ANALYZE. `namesakes` are the other schemas of
-- the search_path with a table of that name. `writes` are rows since `stats_since`.
-- Source: pg_class, pg_stat_user_tables, pg_stat_database.
SELECT c.oid::bigint AS oid,
       w.schema,
       w.name,
       c.relkind = 'p' AS partitioned,
       greatest(c.reltuples, s.n_live_tup, 0)::float8 AS rows,
       c.reltuples >= 0 OR c.relkind = 'p' AS analyzed,
       c.relpages::bigint * current_setting('block_size')::integer AS size_bytes,
       pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(c.relowner, 'usage') AS owned,
       has_schema_privilege(n.oid, 'CREATE') AS can_create,
       c.reltablespace::bigint AS tablespace,
       c.relpersistence = 'u' AS unlogged,
       (coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0) + coalesce(s.n_tup_del, 0))::float8
           AS writes,
       coalesce(s.seq_tup_read, 0)::float8 AS seq_tup_read,
       ARRAY(SELECT o.nspname::text
               FROM pg_class twin JOIN pg_namespace o ON o.oid = twin.relnamespace
              WHERE twin.relname = c.relname AND twin.relkind IN ('r', 'p', 'm')
                AND o.nspname = ANY (current_schemas(false)) AND twin.oid <> c.oid
              ORDER BY 1) AS namesakes
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'p', 'm')
 ORDER BY w.schema, w.name;

-- name: look_sizes
-- Bytes of those tables now; waits for whoever holds ACCESS EXCLUSIVE on one.
-- Source: pg_relation_size.
SELECT t.oid, coalesce(pg_relation_size(t.oid::oid), 0)::bigint AS size_bytes
  FROM unnest(%(tables)s::bigint[]) AS t (oid);

-- name: look_columns
-- The columns of a table for estimates: length (-1: varies) and alignment of the type, whether
-- btree may merge equal keys, and from the last ANALYZE mean bytes, the share of nulls, distinct
-- values (negative: a share of the rows) and elements of a value. NULL where there is none.
-- Deduplication is not for numbers whose equal values may differ, nor containers
-- (docs: btree, "Deduplication").
-- Source: pg_attribute, pg_type, pg_stats.
SELECT a.attname::text AS name,
       a.attlen::integer AS length,
       a.attalign::text AS alignment,
       t.typname::text AS type,
       t.typtype NOT IN ('c', 'r', 'm') AND t.typelem = 0
           AND t.typname NOT IN ('numeric', 'float4', 'float8', 'jsonb')
           AND coalesce(co.collisdeterministic, true) AS dedups,
       s.avg_width::float8 AS width,
       s.null_frac::float8 AS null_share,
       s.n_distinct::float8 AS n_distinct,
       (s.elem_count_histogram)[array_upper(s.elem_count_histogram, 1)]::float8 AS elements
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_stats s ON s.schemaname = %(schema)s AND s.tablename = %(table)s
                      AND s.attname = a.attname AND NOT s.inherited
 WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped;

-- name: look_names
-- What has one of those names and is no index: an index cannot have it then.
-- Source: pg_class.
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
                      WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                      WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'relation' END AS kind
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
 WHERE c.relkind NOT IN ('i', 'I')
 ORDER BY 1, 2;

-- name: look_tablespaces
-- Tablespaces, the directory of each ("" for the data directory's own) and whether we may use it.
-- Source: pg_tablespace, pg_tablespace_location().
SELECT s.oid::bigint AS oid,
       s.spcname::text AS name,
       pg_tablespace_location(s.oid) AS path,
       s.oid = d.dattablespace AS is_default,
       s.oid = d.dattablespace OR has_tablespace_privilege(s.oid, 'CREATE') AS can_create
  FROM pg_tablespace s, pg_database d
 WHERE d.datname = current_database() AND s.spcname <> 'pg_global';

-- name: look_sessions
-- Sessions of this database that hold a lock on one of those relations, or a snapshot that a
-- concurrent build waits for. `held` is the locks they have, `snapshot` whether a build waits for
-- their snapshot: not of a vacuum or an autovacuum, nor (since 14) of a concurrent build of a
-- plain index, nor of another database. A READ COMMITTED transaction that is idle has none. Age in
-- seconds of the transaction. `hidden`: this role may not see what it does.
-- Source: pg_stat_activity, pg_locks; GetCurrentVirtualXIDs (src/backend/storage/ipc/procarray.c)
-- as WaitForOlderSnapshots (src/backend/commands/indexcmds.c) calls it.
SELECT a.pid,
       coalesce(a.usename, '')::text AS "user",
       coalesce(a.application_name, '')::text AS application,
       coalesce(a.state, '')::text AS state,
       coalesce(a.backend_type, '')::text AS kind,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS age,
       a.backend_xmin IS NOT NULL
           AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender')
           AND NOT coalesce(doing.harmless, false) AS snapshot,
       coalesce(doing.what, '') AS doing,
       coalesce(a.backend_type = 'autovacuum worker'
                AND a.query LIKE '%%(to prevent wraparound)%%', false) AS wraparound,
       coalesce(a.backend_type IS NULL AND a.state IS NULL, false) AS hidden,
       coalesce(held.locks, '[]') AS locks,
       CASE WHEN %(queries)s AND a.backend_type = 'client backend' THEN left(a.query, 2000)
            ELSE '' END AS query
  FROM pg_stat_activity a
  LEFT JOIN (SELECT l.pid,
                    jsonb_agg(DISTINCT jsonb_build_array(l.relation::bigint, l.mode)) AS locks
               FROM pg_locks l
              WHERE l.locktype = 'relation' AND l.granted
                AND l.database = (SELECT d.oid FROM pg_database d
                                   WHERE d.datname = current_database())
                AND l.relation = ANY (%(relations)s::oid[])
              GROUP BY l.pid) AS held ON held.pid = a.pid
  LEFT JOIN (SELECT p.pid, 'vacuum' AS what, true AS harmless FROM pg_stat_progress_vacuum p
              UNION ALL
             SELECT p.pid, 'analyze', false FROM pg_stat_progress_analyze p
              UNION ALL
             SELECT p.pid, 'index build',
                    current_setting('server_version_num')::integer >= 140000
                    AND p.command LIKE '%%CONCURRENTLY'
                    AND EXISTS (SELECT FROM pg_index i
                                 WHERE i.indexrelid = p.index_relid
                                   AND i.indexprs IS NULL AND i.indpred IS NULL)
               FROM pg_stat_progress_create_index p) AS doing ON doing.pid = a.pid
 WHERE a.datname = current_database()
   AND a.pid <> pg_backend_pid()
   AND a.leader_pid IS NULL
   AND (held.pid IS NOT NULL OR a.backend_xmin IS NOT NULL)
 ORDER BY age DESC, a.pid;

-- name: look_hidden
-- How many sessions of this database this role may not see into.
-- Source: pg_stat_activity, which leaves their columns NULL.
SELECT count(*) AS sessions
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.backend_type IS NULL AND a.state IS NULL;

-- name: look_prepared
-- Prepared transactions of this database with the locks that they hold on those relations. A build
-- waits for the locks alone; but no snapshot that is taken now is newer than one of these.
-- Source: pg_prepared_xacts, pg_locks, where they have no pid: the lock on its own transaction id
-- tells which are its (virtualtransaction is another after a restart).
SELECT p.gid::text AS gid,
       p.owner::text AS owner,
       extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS age,
       coalesce((SELECT jsonb_agg(DISTINCT jsonb_build_array(l.relation::bigint, l.mode))
                   FROM pg_locks own
                   JOIN pg_locks l ON l.pid IS NULL
                                  AND l.virtualtransaction = own.virtualtransaction
                  WHERE own.pid IS NULL AND own.locktype = 'transactionid'
                    AND own.transactionid = p.transaction
                    AND l.locktype = 'relation' AND l.granted
                    AND l.relation = ANY (%(relations)s::oid[])), '[]') AS locks
  FROM pg_prepared_xacts p
 WHERE p.database = current_database()
 ORDER BY p.prepared;

-- name: look_standbys
-- Standbys, and how far their replay is behind: seconds (0 where it has all) and bytes. `hidden` where
-- this role may not see it, which takes pg_monitor. While one catches up, the seconds are those since
-- its WAL was sent, not since it was written.
-- Source: pg_stat_replication.
SELECT coalesce(nullif(r.application_name, ''), 'pid ' || r.pid)::text AS name,
       r.state IS NULL AS hidden,
       CASE WHEN r.replay_lsn >= pg_current_wal_lsn() THEN 0
            ELSE coalesce(extract(epoch FROM r.replay_lag), 0) END::float8 AS seconds,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn), 0)::bigint AS bytes,
       coalesce(r.state = 'catchup', false) AS catching_up
  FROM pg_stat_replication r
 WHERE NOT pg_is_in_recovery() AND (r.state IS NULL OR r.state IN ('streaming', 'catchup'));

-- name: look_slots
-- Replication slots that keep WAL: whether anybody reads it, and the bytes that may still be
-- written before the slot is lost (NULL: max_slot_wal_keep_size sets no limit).
-- Source: pg_replication_slots.
SELECT s.slot_name::text AS name, s.active, s.safe_wal_size::bigint AS safe_bytes
  FROM pg_replication_slots s
 WHERE s.restart_lsn IS NOT NULL AND coalesce(s.wal_status, '') <> 'lost';

-- name: look_load
-- Sessions that wait for a lock of any kind, and that are active now, on the whole server, but ours;
-- `hidden` is how many this role may not see into. Locks are seen by all.
-- Source: pg_locks, pg_stat_activity.
SELECT (SELECT count(DISTINCT l.pid) FROM pg_locks l WHERE NOT l.granted) AS lock_waiters,
       count(*) FILTER (WHERE a.state = 'active') AS active,
       count(*) FILTER (WHERE a.state IS NULL AND a.backend_type IS NULL) AS hidden
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend';
