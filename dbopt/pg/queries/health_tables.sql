-- name: health_tables
-- Each table and materialized view: ages in transactions (its TOAST table's too), counters, options.
-- Rows are estimates, -1 where never analyzed. Seconds are since. pg_relation_size is not asked: it
-- would wait for a lock; pages are as of the last vacuum or analyze.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.oid < 16384 AS system, c.relpersistence = 'u' AS unlogged,
       c.relispartition AS partition, c.reltuples::bigint AS rows,
       c.relpages::bigint + coalesce(t.relpages, 0)::bigint AS pages,
       greatest(age(nullif(c.relfrozenxid, '0')), age(nullif(t.relfrozenxid, '0')))::bigint
           AS xid_age,
       greatest(mxid_age(nullif(c.relminmxid, '0')), mxid_age(nullif(t.relminmxid, '0')))::bigint
           AS mxid_age,
       coalesce(c.reloptions, ARRAY[]::text[]) AS options,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisprimary) AS has_primary_key,
       EXISTS (SELECT FROM pg_catalog.pg_depend AS x WHERE x.objid = c.oid AND x.deptype = 'e'
                  AND x.classid = 'pg_catalog.pg_class'::regclass) AS of_extension,
       coalesce(pg_stat_get_live_tuples(c.oid), 0) AS live,
       coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS dead,
       coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) AS modified,
       coalesce(pg_stat_get_ins_since_vacuum(c.oid), 0) AS inserted,
       extract(epoch FROM now() - greatest(pg_stat_get_last_vacuum_time(c.oid),
               pg_stat_get_last_autovacuum_time(c.oid)))::float8 AS vacuumed_ago,
       extract(epoch FROM now() - greatest(pg_stat_get_last_analyze_time(c.oid),
               pg_stat_get_last_autoanalyze_time(c.oid)))::float8 AS analyzed_ago
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
 WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
   AND NOT (n.nspname = 'information_schema')

-- name: health_bloat
-- How many pages a table's rows would need, by pg_stats' average widths: an estimate, which errs
-- with TOAST, with columns of type name, and with statistics that are old. `readable`: our role sees
-- the statistics. Source: the formula of github.com/ioguix/pgsql-bloat-estimation (BSD).
SELECT /* dbopt */ x.schema, x.name, x.pages, x.readable, x.odd,
       CASE WHEN x.readable THEN ceil(x.rows / greatest(1, floor(
           (x.block_size - 24) * x.fillfactor / 100.0 / (x.header + x.width + 4)))) END::bigint
           AS needed_pages
  FROM (
    SELECT n.nspname::text AS schema, c.relname::text AS name, c.relpages::bigint AS pages,
           c.reltuples AS rows, current_setting('block_size')::numeric AS block_size,
           coalesce(substring(array_to_string(c.reloptions, ' ')
                    FROM 'fillfactor=([0-9]+)')::numeric, 100) AS fillfactor,
           has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AS readable,
           s.columns < s.all_columns OR s.of_type_name AS odd,
           CASE WHEN s.nulls THEN 8 * ceil((23 + ceil(s.all_columns / 8.0)) / 8.0) ELSE 24 END
               AS header,
           8 * ceil(s.width / 8.0) AS width
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (
        SELECT count(*) AS all_columns, count(v.stawidth) AS columns,
               coalesce(bool_or(v.stanullfrac > 0), false) AS nulls,
               coalesce(bool_or(a.atttypid = 'pg_catalog.name'::regtype), false) AS of_type_name,
               coalesce(sum((1 - coalesce(v.stanullfrac, 0)) * coalesce(v.stawidth, 1024)), 0)
                   AS width
          FROM pg_catalog.pg_attribute AS a
          LEFT JOIN LATERAL (
            SELECT p.null_frac AS stanullfrac, p.avg_width AS stawidth
              FROM pg_catalog.pg_stats AS p
             WHERE p.schemaname = n.nspname AND p.tablename = c.relname
               AND p.attname = a.attname AND p.inherited = false) AS v ON true
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS s
     WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND c.relpersistence <> 't'
       AND c.reltuples >= 0 AND c.relpages >= %(min_pages)s
     ORDER BY c.relpages DESC
     LIMIT %(limit)s) AS x

-- name: health_keys
-- Integer primary keys of one column that no sequence feeds, and the largest value that ANALYZE saw;
-- NULL where it saw none or our role may not see.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table", a.attname::text AS column,
       format_type(a.atttypid, NULL)::text AS type,
       has_column_privilege(c.oid, a.attnum, 'SELECT') AND NOT row_security_active(c.oid)
           AS readable,
       (SELECT (h.b::text::bigint[])[array_upper(h.b::text::bigint[], 1)]
          FROM (SELECT p.histogram_bounds AS b FROM pg_catalog.pg_stats AS p
                 WHERE p.schemaname = n.nspname AND p.tablename = c.relname
                   AND p.attname = a.attname AND NOT p.inherited) AS h) AS highest
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
 WHERE i.indisprimary AND i.indnkeyatts = 1 AND c.oid >= 16384 AND c.relkind = 'r'
   AND c.relpersistence <> 't'
   AND a.atttypid IN ('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype)
   AND a.attidentity = '' AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_attrdef AS f
         JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
          AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
         JOIN pg_catalog.pg_class AS q ON q.oid = d.refobjid AND q.relkind = 'S'
        WHERE f.adrelid = c.oid AND f.adnum = a.attnum)

-- name: health_sequences
-- Sequences with the column that each feeds: as its owner, its identity, or its default's function.
-- last_value is NULL where it was never used. One that is locked against readers is left out
-- (`locked`), since asking it would wait.
WITH locked AS MATERIALIZED (
  SELECT l.relation FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_database AS d ON d.oid = l.database AND d.datname = current_database()
   WHERE l.granted AND l.locktype = 'relation'
     AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')),
seen AS MATERIALIZED (
  SELECT s.*, c.relname, n.nspname, EXISTS (SELECT FROM locked WHERE relation = c.oid) AS locked,
         has_sequence_privilege(c.oid, 'SELECT,USAGE') AS readable
    FROM pg_catalog.pg_sequence AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.relpersistence <> 't')
SELECT /* dbopt */ s.nspname::text AS schema, s.relname::text AS name,
       format_type(s.seqtypid, NULL)::text AS type, s.seqmin AS lowest, s.seqmax AS highest,
       s.seqincrement AS increment, s.seqcycle AS cycles, s.locked, s.readable,
       CASE WHEN s.readable AND NOT s.locked THEN pg_sequence_last_value(s.seqrelid) END
           AS last_value,
       coalesce(f.table_name, '')::text AS "table", coalesce(f.column_name, '')::text AS "column",
       coalesce(f.column_type, '')::text AS column_type
  FROM seen AS s
  LEFT JOIN LATERAL (
    SELECT format('%%I.%%I', tn.nspname, t.relname) AS table_name, a.attname AS column_name,
           format_type(a.atttypid, NULL) AS column_type
      FROM (
        SELECT d.refobjid AS relid, d.refobjsubid AS attnum FROM pg_catalog.pg_depend AS d
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.seqrelid
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
           AND d.refobjsubid > 0
        UNION
        SELECT b.adrelid, b.adnum FROM pg_catalog.pg_depend AS d
          JOIN pg_catalog.pg_attrdef AS b ON b.oid = d.objid
         WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refobjid = s.seqrelid
           AND d.refclassid = 'pg_catalog.pg_class'::regclass) AS fed
      JOIN pg_catalog.pg_class AS t ON t.oid = fed.relid
      JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = fed.attnum
     ORDER BY a.attlen, t.oid
     LIMIT 1) AS f ON true
