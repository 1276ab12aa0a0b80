-- name: collect_tables
-- Counters of this database's tables but the temporary ones and dbopt's own: what
-- pg_stat_user_tables and pg_statio_user_tables say, from the functions beneath them, since
-- the views group and join once more for each. An index's blocks are its table's idx_blks.
-- Times are microseconds, moments epoch seconds. Source: src/backend/catalog/system_views.sql.
WITH indexes AS MATERIALIZED (
    SELECT indrelid,
           sum(pg_stat_get_numscans(indexrelid))::bigint AS scans,
           sum(pg_stat_get_tuples_fetched(indexrelid))::bigint AS fetched,
           sum(pg_stat_get_blocks_fetched(indexrelid))::bigint AS blocks,
           sum(pg_stat_get_blocks_hit(indexrelid))::bigint AS hits
      FROM pg_catalog.pg_index
     GROUP BY indrelid
)
SELECT /* dbopt */
       c.oid::bigint AS relid, n.nspname::text AS schemaname, c.relname::text AS relname,
       pg_stat_get_numscans(c.oid) AS seq_scan,
       pg_stat_get_tuples_returned(c.oid) AS seq_tup_read,
       coalesce(i.scans, 0) AS idx_scan,
       coalesce(i.fetched, 0) + pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch,
       pg_stat_get_tuples_inserted(c.oid) AS n_tup_ins,
       pg_stat_get_tuples_updated(c.oid) AS n_tup_upd,
       pg_stat_get_tuples_deleted(c.oid) AS n_tup_del,
       pg_stat_get_tuples_hot_updated(c.oid) AS n_tup_hot_upd,
       pg_stat_get_vacuum_count(c.oid) AS vacuum_count,
       pg_stat_get_autovacuum_count(c.oid) AS autovacuum_count,
       pg_stat_get_analyze_count(c.oid) AS analyze_count,
       pg_stat_get_autoanalyze_count(c.oid) AS autoanalyze_count,
       pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid) AS heap_blks_read,
       pg_stat_get_blocks_hit(c.oid) AS heap_blks_hit,
       i.blocks - i.hits AS idx_blks_read,
       i.hits AS idx_blks_hit,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_stat_get_blocks_fetched(c.reltoastrelid)
            - pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_read,
       CASE WHEN c.reltoastrelid <> 0
            THEN pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_hit,
       t.blocks - t.hits AS tidx_blks_read,
       t.hits AS tidx_blks_hit,
       pg_stat_get_live_tuples(c.oid) AS n_live_tup,
       pg_stat_get_dead_tuples(c.oid) AS n_dead_tup,
       pg_stat_get_mod_since_analyze(c.oid) AS n_mod_since_analyze,
       pg_stat_get_ins_since_vacuum(c.oid) AS n_ins_since_vacuum,
       extract(epoch FROM pg_stat_get_last_vacuum_time(c.oid))::bigint AS last_vacuum_at,
       extract(epoch FROM pg_stat_get_last_autovacuum_time(c.oid))::bigint AS last_autovacuum_at,
       extract(epoch FROM pg_stat_get_last_analyze_time(c.oid))::bigint AS last_analyze_at,
       extract(epoch FROM pg_stat_get_last_autoanalyze_time(c.oid))::bigint AS last_autoanalyze_at
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN indexes AS i ON i.indrelid = c.oid
  LEFT JOIN indexes AS t ON t.indrelid = c.reltoastrelid AND c.reltoastrelid <> 0
 WHERE c.relkind IN ('r', 'm', 'p')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY pg_stat_get_tuples_returned(c.oid) + coalesce(i.fetched, 0)
        + pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
        + pg_stat_get_tuples_deleted(c.oid) DESC, c.oid
 LIMIT %(limit)s

-- name: collect_tables (min_version=16)
-- As before, with the last scans, and updates that went to another page.
WITH indexes AS MATERIALIZED (
    SELECT indrelid,
           sum(pg_stat_get_numscans(indexrelid))::bigint AS scans,
           max(pg_stat_get_lastscan(indexrelid)) AS last,
           sum(pg_stat_get_tuples_fetched(indexrelid))::bigint AS fetched,
           sum(pg_stat_get_blocks_fetched(indexrelid))::bigint AS blocks,
           sum(pg_stat_get_blocks_hit(indexrelid))::bigint AS hits
      FROM pg_catalog.pg_index
     GROUP BY indrelid
)
SELECT /* dbopt */
       c.oid::bigint AS relid, n.nspname::text AS schemaname, c.relname::text AS relname,
       pg_stat_get_numscans(c.oid) AS seq_scan,
       pg_stat_get_tuples_returned(c.oid) AS seq_tup_read,
       coalesce(i.scans, 0) AS idx_scan,
       coalesce(i.fetched, 0) + pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch,
       pg_stat_get_tuples_inserted(c.oid) AS n_tup_ins,
       pg_stat_get_tuples_updated(c.oid) AS n_tup_upd,
       pg_stat_get_tuples_deleted(c.oid) AS n_tup_del,
       pg_stat_get_tuples_hot_updated(c.oid) AS n_tup_hot_upd,
       pg_stat_get_tuples_newpage_updated(c.oid) AS n_tup_newpage_upd,
       pg_stat_get_vacuum_count(c.oid) AS vacuum_count,
       pg_stat_get_autovacuum_count(c.oid) AS autovacuum_count,
       pg_stat_get_analyze_count(c.oid) AS analyze_count,
       pg_stat_get_autoanalyze_count(c.oid) AS autoanalyze_count,
       pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid) AS heap_blks_read,
       pg_stat_get_blocks_hit(c.oid) AS heap_blks_hit,
       i.blocks - i.hits AS idx_blks_read,
       i.hits AS idx_blks_hit,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_stat_get_blocks_fetched(c.reltoastrelid)
            - pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_read,
       CASE WHEN c.reltoastrelid <> 0
            THEN pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_hit,
       t.blocks - t.hits AS tidx_blks_read,
       t.hits AS tidx_blks_hit,
       pg_stat_get_live_tuples(c.oid) AS n_live_tup,
       pg_stat_get_dead_tuples(c.oid) AS n_dead_tup,
       pg_stat_get_mod_since_analyze(c.oid) AS n_mod_since_analyze,
       pg_stat_get_ins_since_vacuum(c.oid) AS n_ins_since_vacuum,
       extract(epoch FROM pg_stat_get_last_vacuum_time(c.oid))::bigint AS last_vacuum_at,
       extract(epoch FROM pg_stat_get_last_autovacuum_time(c.oid))::bigint AS last_autovacuum_at,
       extract(epoch FROM pg_stat_get_last_analyze_time(c.oid))::bigint AS last_analyze_at,
       extract(epoch FROM pg_stat_get_last_autoanalyze_time(c.oid))::bigint AS last_autoanalyze_at,
       extract(epoch FROM pg_stat_get_lastscan(c.oid))::bigint AS last_seq_scan_at,
       extract(epoch FROM i.last)::bigint AS last_idx_scan_at
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN indexes AS i ON i.indrelid = c.oid
  LEFT JOIN indexes AS t ON t.indrelid = c.reltoastrelid AND c.reltoastrelid <> 0
 WHERE c.relkind IN ('r', 'm', 'p')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY pg_stat_get_tuples_returned(c.oid) + coalesce(i.fetched, 0)
        + pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
        + pg_stat_get_tuples_deleted(c.oid) DESC, c.oid
 LIMIT %(limit)s

-- name: collect_tables (min_version=18)
-- As before, with the time that vacuum and analyze took.
WITH indexes AS MATERIALIZED (
    SELECT indrelid,
           sum(pg_stat_get_numscans(indexrelid))::bigint AS scans,
           max(pg_stat_get_lastscan(indexrelid)) AS last,
           sum(pg_stat_get_tuples_fetched(indexrelid))::bigint AS fetched,
           sum(pg_stat_get_blocks_fetched(indexrelid))::bigint AS blocks,
           sum(pg_stat_get_blocks_hit(indexrelid))::bigint AS hits
      FROM pg_catalog.pg_index
     GROUP BY indrelid
)
SELECT /* dbopt */
       c.oid::bigint AS relid, n.nspname::text AS schemaname, c.relname::text AS relname,
       pg_stat_get_numscans(c.oid) AS seq_scan,
       pg_stat_get_tuples_returned(c.oid) AS seq_tup_read,
       coalesce(i.scans, 0) AS idx_scan,
       coalesce(i.fetched, 0) + pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch,
       pg_stat_get_tuples_inserted(c.oid) AS n_tup_ins,
       pg_stat_get_tuples_updated(c.oid) AS n_tup_upd,
       pg_stat_get_tuples_deleted(c.oid) AS n_tup_del,
       pg_stat_get_tuples_hot_updated(c.oid) AS n_tup_hot_upd,
       pg_stat_get_tuples_newpage_updated(c.oid) AS n_tup_newpage_upd,
       pg_stat_get_vacuum_count(c.oid) AS vacuum_count,
       pg_stat_get_autovacuum_count(c.oid) AS autovacuum_count,
       pg_stat_get_analyze_count(c.oid) AS analyze_count,
       pg_stat_get_autoanalyze_count(c.oid) AS autoanalyze_count,
       (pg_stat_get_total_vacuum_time(c.oid) * 1000)::bigint AS total_vacuum_us,
       (pg_stat_get_total_autovacuum_time(c.oid) * 1000)::bigint AS total_autovacuum_us,
       (pg_stat_get_total_analyze_time(c.oid) * 1000)::bigint AS total_analyze_us,
       (pg_stat_get_total_autoanalyze_time(c.oid) * 1000)::bigint AS total_autoanalyze_us,
       pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid) AS heap_blks_read,
       pg_stat_get_blocks_hit(c.oid) AS heap_blks_hit,
       i.blocks - i.hits AS idx_blks_read,
       i.hits AS idx_blks_hit,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_stat_get_blocks_fetched(c.reltoastrelid)
            - pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_read,
       CASE WHEN c.reltoastrelid <> 0
            THEN pg_stat_get_blocks_hit(c.reltoastrelid) END AS toast_blks_hit,
       t.blocks - t.hits AS tidx_blks_read,
       t.hits AS tidx_blks_hit,
       pg_stat_get_live_tuples(c.oid) AS n_live_tup,
       pg_stat_get_dead_tuples(c.oid) AS n_dead_tup,
       pg_stat_get_mod_since_analyze(c.oid) AS n_mod_since_analyze,
       pg_stat_get_ins_since_vacuum(c.oid) AS n_ins_since_vacuum,
       extract(epoch FROM pg_stat_get_last_vacuum_time(c.oid))::bigint AS last_vacuum_at,
       extract(epoch FROM pg_stat_get_last_autovacuum_time(c.oid))::bigint AS last_autovacuum_at,
       extract(epoch FROM pg_stat_get_last_analyze_time(c.oid))::bigint AS last_analyze_at,
       extract(epoch FROM pg_stat_get_last_autoanalyze_time(c.oid))::bigint AS last_autoanalyze_at,
       extract(epoch FROM pg_stat_get_lastscan(c.oid))::bigint AS last_seq_scan_at,
       extract(epoch FROM i.last)::bigint AS last_idx_scan_at
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN indexes AS i ON i.indrelid = c.oid
  LEFT JOIN indexes AS t ON t.indrelid = c.reltoastrelid AND c.reltoastrelid <> 0
 WHERE c.relkind IN ('r', 'm', 'p')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY pg_stat_get_tuples_returned(c.oid) + coalesce(i.fetched, 0)
        + pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
        + pg_stat_get_tuples_deleted(c.oid) DESC, c.oid
 LIMIT %(limit)s

-- name: collect_indexes
-- Counters of this database's indexes but those of temporary tables and dbopt's own, from the
-- functions beneath pg_stat_user_indexes and pg_statio_user_indexes.
SELECT /* dbopt */
       i.indexrelid::bigint AS indexrelid, i.indrelid::bigint AS relid,
       n.nspname::text AS schemaname, t.relname::text AS relname, c.relname::text AS indexrelname,
       pg_stat_get_numscans(i.indexrelid) AS idx_scan,
       pg_stat_get_tuples_returned(i.indexrelid) AS idx_tup_read,
       pg_stat_get_tuples_fetched(i.indexrelid) AS idx_tup_fetch,
       pg_stat_get_blocks_fetched(i.indexrelid) - pg_stat_get_blocks_hit(i.indexrelid)
           AS idx_blks_read,
       pg_stat_get_blocks_hit(i.indexrelid) AS idx_blks_hit
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
 WHERE c.relkind = 'i'
   AND t.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY pg_stat_get_numscans(i.indexrelid) DESC, i.indexrelid
 LIMIT %(limit)s

-- name: collect_indexes (min_version=16)
-- As before, with the last scan.
SELECT /* dbopt */
       i.indexrelid::bigint AS indexrelid, i.indrelid::bigint AS relid,
       n.nspname::text AS schemaname, t.relname::text AS relname, c.relname::text AS indexrelname,
       pg_stat_get_numscans(i.indexrelid) AS idx_scan,
       pg_stat_get_tuples_returned(i.indexrelid) AS idx_tup_read,
       pg_stat_get_tuples_fetched(i.indexrelid) AS idx_tup_fetch,
       pg_stat_get_blocks_fetched(i.indexrelid) - pg_stat_get_blocks_hit(i.indexrelid)
           AS idx_blks_read,
       pg_stat_get_blocks_hit(i.indexrelid) AS idx_blks_hit,
       extract(epoch FROM pg_stat_get_lastscan(i.indexrelid))::bigint AS last_idx_scan_at
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
 WHERE c.relkind = 'i'
   AND t.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY pg_stat_get_numscans(i.indexrelid) DESC, i.indexrelid
 LIMIT %(limit)s

-- name: collect_functions
-- pg_stat_user_functions: functions that were called while track_functions counted them.
-- A name may stand for several: their argument types tell them apart.
SELECT /* dbopt */
       s.funcid::bigint AS funcid, s.schemaname::text AS schemaname,
       s.funcname::text || '(' || oidvectortypes(p.proargtypes) || ')' AS funcname,
       s.calls, (s.total_time * 1000)::bigint AS total_us, (s.self_time * 1000)::bigint AS self_us
  FROM pg_catalog.pg_stat_user_functions AS s
  JOIN pg_catalog.pg_proc AS p ON p.oid = s.funcid
 WHERE s.schemaname <> 'dbopt'
 ORDER BY s.self_time DESC, s.funcid
 LIMIT %(limit)s

-- name: collect_sequences
-- Sequences: blocks, last value, and the share of their range that is used, in millionths; the
-- range ends where the column that owns the sequence does.
-- One that is locked by ALTER SEQUENCE, that our role may not read, or that a standby does not
-- have (unlogged) has no value here; one that was never called has none either, and no share.
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation
      FROM pg_catalog.pg_locks
     WHERE locktype = 'relation'
       AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
), seen AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, s.seqtypid, s.seqcycle, s.seqstart, s.seqmin, s.seqmax,
           s.seqincrement, o.owner, o.column_type,
           least(s.seqmax, CASE o.column_type WHEN 'smallint' THEN 32767
                                WHEN 'integer' THEN 2147483647 END) AS highest,
           CASE WHEN l.relation IS NULL AND has_sequence_privilege(c.oid, 'SELECT,USAGE')
                     AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
                THEN pg_sequence_last_value(c.oid) END AS last_value
      FROM pg_catalog.pg_sequence AS s
      JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN locked AS l ON l.relation = c.oid
      LEFT JOIN LATERAL (
               SELECT t.relname || '.' || a.attname AS owner,
                      format_type(a.atttypid, NULL) AS column_type
                 FROM pg_catalog.pg_depend AS d
                 JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
                 JOIN pg_catalog.pg_attribute AS a
                   ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0
                  AND d.deptype IN ('a', 'i')
                LIMIT 1) AS o ON true
     WHERE c.relpersistence <> 't'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbopt')
)
SELECT /* dbopt */
       oid::bigint AS relid, nspname::text AS schemaname, relname::text AS relname,
       format_type(seqtypid, NULL) AS data_type, seqcycle AS cycle, owner, column_type,
       pg_stat_get_blocks_fetched(oid) - pg_stat_get_blocks_hit(oid) AS blks_read,
       pg_stat_get_blocks_hit(oid) AS blks_hit,
       last_value,
       (1000000 * CASE WHEN seqincrement > 0
            THEN (last_value::numeric - seqmin) / greatest(highest::numeric - seqmin, 1)
            ELSE (seqmax::numeric - last_value) / greatest(seqmax::numeric - seqmin, 1)
       END)::bigint AS used_ppm
  FROM seen
 ORDER BY used_ppm DESC NULLS LAST, oid
 LIMIT %(limit)s
