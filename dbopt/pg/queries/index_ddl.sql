-- name: index_table
-- The index of that schema and name: its oid, whether it is valid, and the oid of its table.
-- Source: pg_index.
SELECT i.indexrelid::bigint AS oid, i.indisvalid AS valid, i.indrelid::bigint AS table_oid
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s;

-- name: index_resolve_table
-- A table's oid, schema and kind: the one named, or where search_path finds it; no row where it is
-- not. `partition_keys` are those of the table and of its partitions that have partitions
-- (pg_partition_tree would lock each of them, and wait).
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relkind = 'p' AS partitioned,
       CASE WHEN c.relpersistence = 't' THEN 'temporary table'
            WHEN c.relkind IN ('r', 'p', 'm') THEN ''
            WHEN c.relkind = 'v' THEN 'view'
            WHEN c.relkind = 'f' THEN 'foreign table'
            ELSE 'relation without rows' END AS unfit,
       CASE WHEN c.relkind = 'p'
            THEN ARRAY(WITH RECURSIVE tree AS (
                           SELECT c.oid AS relid, 0 AS level
                            UNION ALL
                           SELECT i.inhrelid, tree.level + 1
                             FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
                       SELECT pg_get_partkeydef(tree.relid)
                         FROM tree
                        WHERE pg_get_partkeydef(tree.relid) IS NOT NULL
                        GROUP BY 1 ORDER BY min(tree.level), 1)
            ELSE '{}' END AS partition_keys
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = to_regclass(CASE WHEN %(schema)s <> '' THEN quote_ident(%(schema)s) || '.' ELSE '' END
                           || quote_ident(%(table)s));

-- name: index_resolve_tables
-- Of tables as they are named (schema '': where search_path finds it) the oid and the schema; no row
-- for one that is not there.
SELECT s.schema AS given, s.name AS "table", c.oid::bigint AS oid, n.nspname AS schema
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS s (schema, name)
  JOIN pg_class c
    ON c.oid = to_regclass(CASE WHEN s.schema <> '' THEN quote_ident(s.schema) || '.' ELSE '' END
                           || quote_ident(s.name))
  JOIN pg_namespace n ON n.oid = c.relnamespace;
