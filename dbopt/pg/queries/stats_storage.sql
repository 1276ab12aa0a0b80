-- name: collect_table_storage
-- Tables as the catalog describes them, which costs no look at files: sizes are pages of the
-- last VACUUM or ANALYZE times the block size. Ages are in whole millions, so that history does
-- not change with every transaction. `churn` tells whose real size has probably changed.
-- A foreign or partitioned table has no storage.
WITH indexes AS MATERIALIZED (
    SELECT i.indrelid, sum(c.relpages)::bigint AS pages
      FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
     GROUP BY i.indrelid
)
SELECT /* dbopt */
       c.oid::bigint AS relid, n.nspname::text AS schemaname, c.relname::text AS relname,
       c.relkind::text AS relkind, c.relpersistence::text AS relpersistence,
       array_to_string(c.reloptions || CASE WHEN t.reloptions IS NOT NULL THEN
           (SELECT array_agg('toast.' || option) FROM unnest(t.reloptions) AS option) END, ', ')
           AS reloptions,
       c.relpages::bigint * b.size AS table_bytes,
       coalesce(t.relpages, 0)::bigint * b.size AS toast_bytes,
       coalesce(i.pages, 0) * b.size AS indexes_bytes,
       c.relpages::bigint AS relpages, greatest(c.reltuples, -1)::bigint AS reltuples,
       c.relallvisible::bigint AS relallvisible,
       CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) / 1000000 * 1000000 END AS xid_age,
       CASE WHEN c.relminmxid <> '0' THEN mxid_age(c.relminmxid) / 1000000 * 1000000 END
           AS mxid_age,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
           + pg_stat_get_tuples_deleted(c.oid) AS churn, c.relfilenode::bigint AS filenode
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN (SELECT current_setting('block_size')::int AS size) AS b
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
  LEFT JOIN indexes AS i ON i.indrelid = c.oid
 WHERE c.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY c.relpages DESC, c.oid
 LIMIT %(limit)s

-- name: collect_table_storage (min_version=18)
-- As before, with the pages that are all frozen.
WITH indexes AS MATERIALIZED (
    SELECT i.indrelid, sum(c.relpages)::bigint AS pages
      FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
     GROUP BY i.indrelid
)
SELECT /* dbopt */
       c.oid::bigint AS relid, n.nspname::text AS schemaname, c.relname::text AS relname,
       c.relkind::text AS relkind, c.relpersistence::text AS relpersistence,
       array_to_string(c.reloptions || CASE WHEN t.reloptions IS NOT NULL THEN
           (SELECT array_agg('toast.' || option) FROM unnest(t.reloptions) AS option) END, ', ')
           AS reloptions,
       c.relpages::bigint * b.size AS table_bytes,
       coalesce(t.relpages, 0)::bigint * b.size AS toast_bytes,
       coalesce(i.pages, 0) * b.size AS indexes_bytes,
       c.relpages::bigint AS relpages, greatest(c.reltuples, -1)::bigint AS reltuples,
       c.relallvisible::bigint AS relallvisible, c.relallfrozen::bigint AS relallfrozen,
       CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) / 1000000 * 1000000 END AS xid_age,
       CASE WHEN c.relminmxid <> '0' THEN mxid_age(c.relminmxid) / 1000000 * 1000000 END
           AS mxid_age,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
           + pg_stat_get_tuples_deleted(c.oid) AS churn, c.relfilenode::bigint AS filenode
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN (SELECT current_setting('block_size')::int AS size) AS b
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
  LEFT JOIN indexes AS i ON i.indrelid = c.oid
 WHERE c.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY c.relpages DESC, c.oid
 LIMIT %(limit)s

-- name: collect_table_sizes
-- Real sizes in bytes of those tables: the heap with its maps, TOAST with its index, indexes.
-- One that anybody has locked exclusively, with its indexes or its TOAST, is left out, since to
-- ask would wait for it; so is one that is gone.
WITH locked AS MATERIALIZED (
    SELECT DISTINCT coalesce(i.indrelid, t.oid, l.relation) AS relation
      FROM pg_catalog.pg_locks AS l
      LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = l.relation
      LEFT JOIN pg_catalog.pg_class AS t ON t.reltoastrelid = l.relation
     WHERE l.locktype = 'relation'
       AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
), sized AS MATERIALIZED (
    SELECT c.oid, pg_table_size(c.oid) AS whole, pg_indexes_size(c.oid) AS indexes,
           CASE WHEN c.reltoastrelid <> 0 THEN pg_total_relation_size(c.reltoastrelid) ELSE 0 END
               AS toast
      FROM pg_catalog.pg_class AS c
     WHERE c.oid = ANY (%(relids)s::oid[])
       AND c.oid NOT IN (SELECT relation FROM locked)
)
SELECT /* dbopt */
       oid::bigint AS relid, whole - toast AS table_bytes, toast AS toast_bytes,
       indexes AS indexes_bytes
  FROM sized
 WHERE whole IS NOT NULL AND indexes IS NOT NULL AND toast IS NOT NULL

-- name: collect_index_storage
-- Indexes as the catalog describes them: as collect_table_storage. `churn` is the table's.
SELECT /* dbopt */
       i.indexrelid::bigint AS indexrelid, i.indrelid::bigint AS relid,
       n.nspname::text AS schemaname, t.relname::text AS relname, c.relname::text AS indexrelname,
       a.amname::text AS amname,
       c.relpages::bigint * b.size AS index_bytes,
       c.relpages::bigint AS relpages, greatest(c.reltuples, -1)::bigint AS reltuples,
       i.indisvalid::int AS indisvalid, i.indisready::int AS indisready,
       pg_stat_get_tuples_inserted(t.oid) + pg_stat_get_tuples_updated(t.oid) AS churn,
       c.relfilenode::bigint AS filenode
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
  CROSS JOIN (SELECT current_setting('block_size')::int AS size) AS b
 WHERE c.relkind = 'i'
   AND t.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbopt')
 ORDER BY c.relpages DESC, i.indexrelid
 LIMIT %(limit)s

-- name: collect_index_sizes
-- Real sizes in bytes of those indexes; one that is locked exclusively or gone is left out.
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation
      FROM pg_catalog.pg_locks
     WHERE locktype = 'relation'
       AND mode = 'AccessExclusiveLock'
       AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
), sized AS MATERIALIZED (
    SELECT c.oid, pg_relation_size(c.oid) AS size
      FROM pg_catalog.pg_class AS c
     WHERE c.oid = ANY (%(relids)s::oid[])
       AND c.oid NOT IN (SELECT relation FROM locked)
)
SELECT /* dbopt */ oid::bigint AS indexrelid, size AS index_bytes FROM sized WHERE size IS NOT NULL
