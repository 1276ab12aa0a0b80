-- name: collect_table_bloat
-- What of each table of 1 MiB and more is neither rows nor fillfactor, estimated from row counts
-- and pg_stats' widths as the last VACUUM and ANALYZE left them. NULL where pg_stats says too
-- little: a column was never analysed, is of type name, or is hidden from our role.
-- A row takes its pointer, its header and its data, each of the two rounded up to 8 bytes.
-- An estimate errs by alignment and TOAST; extension pgstattuple's pgstattuple_approx() reads.
-- Source: github.com/ioguix/pgsql-bloat-estimation; docs, "Database Page Layout".
WITH tables AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages,
           coalesce(substring(array_to_string(c.reloptions, ' ')
                              FROM 'fillfactor=([0-9]+)')::int, 100) AS fillfactor,
           current_setting('block_size')::int AS block
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm')
       AND c.relpersistence <> 't'
       AND c.relpages >= 128
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
     ORDER BY c.relpages DESC
     LIMIT %(limit)s
), widths AS (
    SELECT t.oid,
           23 + CASE WHEN max(s.null_frac) > 0 THEN (7 + count(*)) / 8 ELSE 0 END AS header,
           sum((1 - s.null_frac) * s.avg_width) AS data,
           count(*) = count(s.attname)
               AND NOT bool_or(a.atttypid = 'pg_catalog.name'::regtype) AS known
      FROM tables AS t
      JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_stats AS s
        ON s.schemaname = t.nspname AND s.tablename = t.relname AND s.attname = a.attname
       AND NOT s.inherited
     GROUP BY t.oid
), pages AS (
    SELECT t.*, w.known,
           ceil(t.reltuples / greatest(floor((t.block - 24) * t.fillfactor / 100.0
                / (4 + ceil(w.header / 8.0) * 8 + ceil(w.data / 8) * 8)), 1)) AS needed
      FROM tables AS t
      JOIN widths AS w ON w.oid = t.oid
)
SELECT /* dbopt */
       oid::bigint AS relid, nspname::text AS schemaname, relname::text AS relname,
       relpages::bigint * block AS real_bytes,
       CASE WHEN known AND reltuples >= 0
            THEN greatest(relpages - needed, 0)::bigint * block END AS bloat_bytes,
       CASE WHEN known AND reltuples >= 0
            THEN (1000000 * greatest(relpages - needed, 0) / relpages)::bigint END AS bloat_ppm,
       fillfactor, known, has_table_privilege(oid, 'SELECT') AS readable
  FROM pages
 ORDER BY relpages DESC, oid

-- name: collect_index_bloat
-- What of each btree index of 1 MiB and more is neither entries nor fillfactor, estimated as
-- collect_table_bloat. Deduplicated entries take less room than is reckoned here, so that such
-- an index's bloat is larger than this says. Of partial and expression indexes the widths are
-- those of the index's own statistics. There is a metapage; an entry takes a pointer, a header
-- and its data; a leaf page has 24 bytes of header and 16 of links. pgstattuple's pgstatindex() reads.
WITH indexes AS MATERIALIZED (
    SELECT c.oid, i.indrelid, n.nspname, t.relname, c.relname AS indexrelname,
           c.reltuples, c.relpages, i.indkey, i.indnatts,
           coalesce(substring(array_to_string(c.reloptions, ' ')
                              FROM 'fillfactor=([0-9]+)')::int, 90) AS fillfactor,
           current_setting('block_size')::int AS block
      FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
      JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
     WHERE c.relkind = 'i'
       AND c.relpersistence <> 't'
       AND c.relpages >= 128
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
     ORDER BY c.relpages DESC
     LIMIT %(limit)s
), columns AS (
    SELECT x.oid, x.nspname, k.attnum = 0 AS computed,
           CASE WHEN k.attnum = 0 THEN x.indexrelname ELSE x.relname END AS owner,
           coalesce(a.attname, e.attname) AS attname, coalesce(a.atttypid, e.atttypid) AS atttypid
      FROM indexes AS x
      CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
      LEFT JOIN pg_catalog.pg_attribute AS a
        ON k.attnum <> 0 AND a.attrelid = x.indrelid AND a.attnum = k.attnum
      LEFT JOIN pg_catalog.pg_attribute AS e
        ON k.attnum = 0 AND e.attrelid = x.oid AND e.attnum = k.place
), widths AS (
    SELECT c.oid,
           CASE WHEN max(s.null_frac) > 0 THEN 16 ELSE 8 END AS header,
           sum((1 - s.null_frac) * s.avg_width) AS data,
           count(*) = count(s.attname)
               AND NOT bool_or(c.atttypid = 'pg_catalog.name'::regtype) AS known
      FROM columns AS c
      LEFT JOIN pg_catalog.pg_stats AS s
        ON s.schemaname = c.nspname AND s.tablename = c.owner AND s.attname = c.attname
       AND NOT s.inherited
     GROUP BY c.oid
), pages AS (
    SELECT x.*, w.known,
           1 + ceil(x.reltuples / greatest(floor((x.block - 40) * x.fillfactor / 100.0
                / (4 + w.header + ceil(w.data / 8) * 8)), 1)) AS needed
      FROM indexes AS x
      JOIN widths AS w ON w.oid = x.oid
)
SELECT /* dbopt */
       oid::bigint AS indexrelid, indrelid::bigint AS relid, nspname::text AS schemaname,
       relname::text AS relname, indexrelname::text AS indexrelname,
       relpages::bigint * block AS real_bytes,
       CASE WHEN known AND reltuples >= 0
            THEN greatest(relpages - needed, 0)::bigint * block END AS bloat_bytes,
       CASE WHEN known AND reltuples >= 0
            THEN (1000000 * greatest(relpages - needed, 0) / relpages)::bigint END AS bloat_ppm,
       fillfactor, known, has_table_privilege(indrelid, 'SELECT') AS readable
  FROM pages
 ORDER BY relpages DESC, oid
