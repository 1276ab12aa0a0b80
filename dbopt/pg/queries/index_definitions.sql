-- name: index_definitions
-- Every index of the given tables (or the one of that name): each key's column or expression,
-- operator class and its options, collation if not its own, direction bits; the INCLUDE columns;
-- predicate; storage parameters and tablespace ('' if the database's own); what depends on it; size
-- in bytes; scans; whether it is being built.
-- An operator class that is a default is that of its own type; of another one only where that type
-- has none, and the class takes the preferred type or any (GetDefaultOpClass): citext has its own.
-- Which collation is an expression's own, only the server's text of the index tells: it has another.
-- pg_constraint has no index on conindid: it is read once, not once an index.
-- pg_index.indkey lists key columns, then INCLUDE columns; the other vectors have keys only.
-- Source: pg_index, pg_constraint, pg_stat_all_indexes (idx_scan), pg_stat_progress_create_index.
SELECT i.indexrelid::bigint AS oid,
       i.indrelid::bigint AS table_oid,
       n.nspname AS schema,
       t.relname AS "table",
       c.relname AS name,
       am.amname AS method,
       keys.keys,
       keys.include,
       coalesce(pg_get_expr(i.indpred, i.indrelid, true), '') AS predicate,
       i.indisunique AS "unique",
       i.indisvalid AS valid,
       i.indisready AS ready,
       NOT i.indimmediate AS deferrable,
       i.indisreplident AS replica_identity,
       c.relkind = 'I' AS partitioned,
       coalesce(c.reloptions, '{}') AS storage,
       coalesce((SELECT ts.spcname::text FROM pg_tablespace ts WHERE ts.oid = c.reltablespace), '')
           AS tablespace,
       whole.sql,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
       CASE WHEN c.relkind = 'I' THEN 0 ELSE coalesce(pg_relation_size(c.oid), 0) END AS size_bytes,
       coalesce(pg_stat_get_numscans(c.oid), 0) AS scans,
       cons.own AS "constraint",
       coalesce(cons.is_target, false) AS fk_target,
       (SELECT h.inhparent::bigint FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS parent,
       EXISTS (SELECT FROM pg_depend d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           AS extension,
       building.pid AS builder_pid
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_am am ON am.oid = c.relam
  LEFT JOIN (SELECT con.conindid,
                    min(con.contype::text) FILTER (WHERE con.contype IN ('p', 'u', 'x')) AS own,
                    bool_or(con.contype = 'f') AS is_target
               FROM pg_constraint con
              WHERE con.conindid <> 0
              GROUP BY con.conindid) AS cons ON cons.conindid = i.indexrelid
  LEFT JOIN (SELECT p.index_relid, min(p.pid) AS pid
               FROM pg_stat_progress_create_index p
              GROUP BY p.index_relid) AS building ON building.index_relid = i.indexrelid
 CROSS JOIN LATERAL pg_get_indexdef(i.indexrelid) AS whole (sql)
 CROSS JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_object(
                  'expression', coalesce(a.attname::text,
                                         pg_get_indexdef(i.indexrelid, k.n, true)),
                  'is_column', a.attname IS NOT NULL,
                  'opclass', op.opcname,
                  'opclass_schema', ons.nspname,
                  'opclass_default', op.opcdefault AND (op.opcintype = ty.oid
                      OR (taken.typispreferred OR taken.typtype = 'p')
                         AND NOT EXISTS (SELECT FROM pg_opclass own_op
                                          WHERE own_op.opcmethod = op.opcmethod
                                            AND own_op.opcdefault AND own_op.opcintype = ty.oid)),
                  'opclass_options', coalesce(own.attoptions, '{}'),
                  'collation', CASE WHEN co.oid <> a.attcollation OR a.attname IS NULL
                                         AND strpos(whole.sql,
                                                    pg_get_indexdef(i.indexrelid, k.n, false)
                                                    || ' COLLATE ' || co.oid::regcollation) > 0
                                    THEN co.collname END,
                  'collation_schema', cns.nspname,
                  'option', i.indoption[k.n - 1])
                  ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS keys,
              coalesce(array_agg(a.attname::text ORDER BY k.n)
                           FILTER (WHERE k.n > i.indnkeyatts), '{}') AS include
         FROM generate_series(1, i.indnatts) AS k (n)
         LEFT JOIN pg_attribute a
           ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n - 1] AND a.attnum > 0
         JOIN pg_attribute own ON own.attrelid = i.indexrelid AND own.attnum = k.n
         LEFT JOIN pg_opclass op ON op.oid = i.indclass[k.n - 1]
         LEFT JOIN pg_type taken ON taken.oid = op.opcintype
         LEFT JOIN pg_type given ON given.oid = coalesce(a.atttypid, own.atttypid)
         LEFT JOIN pg_type ty ON ty.oid = coalesce(nullif(given.typbasetype, 0), given.oid)
         LEFT JOIN pg_namespace ons ON ons.oid = op.opcnamespace
         LEFT JOIN pg_collation co ON co.oid = i.indcollation[k.n - 1]
         LEFT JOIN pg_namespace cns ON cns.oid = co.collnamespace) AS keys
 WHERE i.indrelid = ANY (%(tables)s::oid[])
   AND (%(name)s::text IS NULL OR c.relname = %(name)s::text)
 ORDER BY n.nspname, t.relname, c.relname;
