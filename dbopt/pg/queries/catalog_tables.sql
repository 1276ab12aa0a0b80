-- name: catalog_tables
-- Ordinary and partitioned tables of the database: estimated rows, bytes of the heap, scans,
-- the partitioned table that each is a partition of, and its own partitions that are foreign tables
-- or an extension's, on which nothing is built.
-- No system, temporary or own tables. `only`: these oids' and all of their partition trees', or null.
-- `locked`: but for these. Source: pg_class, pg_stat_user_tables (docs: monitoring-stats).
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind = 'p' AS partitioned,
       greatest(c.reltuples, s.n_live_tup, 0)::bigint AS rows,
       CASE WHEN c.relkind = 'p' THEN 0 ELSE coalesce(pg_relation_size(c.oid), 0) END AS size_bytes,
       coalesce(s.seq_scan, 0) AS seq_scan,
       coalesce(s.seq_tup_read, 0) AS seq_tup_read,
       coalesce(s.idx_scan, 0) AS idx_scan,
       coalesce(s.idx_tup_fetch, 0) AS idx_tup_fetch,
       coalesce(s.n_dead_tup, 0) AS n_dead,
       CASE WHEN c.relispartition
            THEN (SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid) END
           AS parent,
       CASE WHEN c.relkind = 'p'
            THEN (SELECT count(*) FROM pg_inherits i JOIN pg_class f ON f.oid = i.inhrelid
                   WHERE i.inhparent = c.oid
                     AND (f.relkind = 'f' OR EXISTS (
                             SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = f.oid
                                AND d.deptype = 'e'))) ELSE 0 END AS foreign_partitions
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'p', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname <> ALL (%(skip)s)
   AND n.nspname NOT LIKE 'pg\_%%'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   AND c.oid <> ALL (%(locked)s::oid[])
   AND (%(only)s::oid[] IS NULL
        OR c.oid IN (SELECT o FROM unnest(%(only)s::oid[]) AS o
                     UNION ALL
                     SELECT tree.relid
                       FROM unnest(%(only)s::oid[]) AS o
                      CROSS JOIN LATERAL
                            pg_partition_tree(coalesce(pg_partition_root(o), o)) AS tree))
 ORDER BY 2, 3;

-- name: catalog_columns
-- The columns of those tables, in order: type as SQL writes it, and whether it is an array.
-- Source: pg_attribute, pg_type.
SELECT a.attrelid::bigint AS table_oid,
       a.attname AS name,
       format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type,
       t.typcategory = 'A' AS is_array,
       a.attnotnull AS not_null
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = ANY (%(tables)s::oid[])
   AND a.attnum > 0
   AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum;

-- name: catalog_foreign_keys
-- Foreign keys of those tables, or also those that point at them, that someone wrote (a
-- partition's inherited copies have conparentid <> 0).
-- Source: pg_constraint.
SELECT con.conname AS name,
       con.conrelid::bigint AS table_oid,
       con.confrelid::bigint AS referenced_oid,
       con.confrelid::regclass::text AS referenced,
       (SELECT array_agg(a.attname ORDER BY k.ord)
          FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum)::text[]
           AS columns
  FROM pg_constraint con
 WHERE con.contype = 'f'
   AND con.conparentid = 0
   AND (con.conrelid = ANY (%(tables)s::oid[])
        OR %(pointing)s AND con.confrelid = ANY (%(tables)s::oid[]))
 ORDER BY con.conrelid, con.conname;

-- name: catalog_relations
-- What else has a name that no index can have: views, sequences, foreign tables and the like, and
-- tables with their indexes that are not among those read. `schemas` and `names` side by side say
-- which names to look for; null: all.
-- Source: pg_class.
SELECT n.nspname AS schema,
       c.relname AS name,
       CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type'
                      WHEN 'f' THEN 'foreign table' WHEN 'm' THEN 'materialized view'
                      WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' ELSE 'table' END AS kind
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE coalesce(i.indrelid, c.oid) NOT IN (SELECT unnest(%(tables)s::oid[]))
   AND n.nspname <> ALL (%(skip)s)
   AND n.nspname NOT LIKE 'pg\_%%'
   AND (%(names)s::text[] IS NULL
        OR (n.nspname, c.relname)
           IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[])))
 ORDER BY 1, 2;

-- name: catalog_named_tables
-- The tables whose indexes have these names, `schemas` and `names` side by side.
-- Source: pg_index.
SELECT i.indrelid::bigint AS oid
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS named (schema, name)
  JOIN pg_namespace n ON n.nspname = named.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = named.name
  JOIN pg_index i ON i.indexrelid = c.oid;

-- name: catalog_facts
-- What the numbers rest on: since when they are counted, whether they are, and whether this
-- role may see other sessions' index builds.
-- stats_reset is NULL where they were never reset: then the server's start is the safe answer.
SELECT now() AS taken,
       coalesce((SELECT d.stats_reset FROM pg_stat_database d WHERE d.datname = current_database()),
                pg_postmaster_start_time()) AS stats_since,
       current_setting('track_counts')::boolean AS counted,
       pg_has_role('pg_read_all_stats', 'usage') AS sees_builds;

-- name: catalog_locked
-- Tables that another session has locked for itself, or waits to (ACCESS EXCLUSIVE, also on one of
-- its indexes): whoever asks for their size or an index's text waits behind it. `pid` is that
-- session's, 0 a prepared transaction's. `needed` is whether they are of the partition trees of the
-- tables `schemas` and `names`, side by side.
-- Source: pg_locks.
SELECT n.nspname AS schema, c.relname AS name, c.oid::bigint AS oid, l.pid,
       coalesce(pg_partition_root(c.oid), c.oid) IN (
           SELECT coalesce(pg_partition_root(w.oid), w.oid)
             FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS asked (schema, name)
             JOIN pg_namespace s ON s.nspname = asked.schema
             JOIN pg_class w ON w.relnamespace = s.oid AND w.relname = asked.name) AS needed
  FROM (SELECT coalesce(i.indrelid, k.relation) AS oid, min(coalesce(k.pid, 0)) AS pid
          FROM pg_locks k
          LEFT JOIN pg_index i ON i.indexrelid = k.relation
         WHERE k.locktype = 'relation'
           AND k.mode = 'AccessExclusiveLock'
           AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND k.pid IS DISTINCT FROM pg_backend_pid()
         GROUP BY 1) AS l
  JOIN pg_class c ON c.oid = l.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY 1, 2;
