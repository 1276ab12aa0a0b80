-- name: schema_session
-- The session's own search_path, of which its client may be the source; what this database's
-- sessions of a role (:user) start with, the narrowest first; the schemas that there are.
-- Source: pg_settings, pg_db_role_setting (docs: catalog-pg-db-role-setting).
SELECT pg_catalog.current_schemas(false)::text[] AS current,
       s.setting AS setting,
       s.source AS source,
       (SELECT array_agg(n.nspname::text) FROM pg_catalog.pg_namespace n) AS schemas,
       (SELECT array_agg(substr(c.entry, length('search_path=') + 1)
                         ORDER BY r.setrole = 0, r.setdatabase = 0)
          FROM pg_catalog.pg_db_role_setting r
         CROSS JOIN LATERAL unnest(r.setconfig) AS c (entry)
          LEFT JOIN pg_catalog.pg_database d ON d.oid = r.setdatabase
          LEFT JOIN pg_catalog.pg_roles u ON u.oid = r.setrole
         WHERE c.entry LIKE 'search\_path=%%'
           AND (r.setdatabase = 0 OR d.datname = current_database())
           AND (r.setrole = 0 OR u.rolname = %(user)s)) AS configured
  FROM pg_catalog.pg_settings s
 WHERE s.name = 'search_path';

-- name: schema_relations
-- Tables, views, sequences of all schemas, at most :most, the system's and partitions last:
-- estimated rows, bytes of the heap as of the last VACUUM or ANALYZE, and the partitioned table
-- that each is a partition of. `locked`: somebody holds it exclusively, and to ask for its
-- indexes would wait.
-- Source: pg_class, pg_stat_get_live_tuples, pg_locks.
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       n.nspname IN ('pg_catalog', 'information_schema') AS system,
       greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::float8 AS rows,
       c.relpages::bigint * current_setting('block_size')::bigint AS size_bytes,
       l.relation IS NOT NULL AS locked,
       c.relrowsecurity AS row_security,
       c.relkind = 'r' AND c.relhassubclass AS inherited,
       CASE WHEN c.relispartition
            THEN (SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid) END
           AS parent
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT DISTINCT k.relation FROM pg_locks k
              WHERE k.mode = 'AccessExclusiveLock' AND k.granted AND k.locktype = 'relation'
                AND k.database = (SELECT d.oid FROM pg_database d
                                   WHERE d.datname = current_database())
                AND k.pid <> pg_backend_pid()) AS l ON l.relation = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND c.relpersistence <> 't'
   AND n.nspname <> 'pg_toast'
 ORDER BY n.nspname IN ('pg_catalog', 'information_schema'), c.relispartition, c.oid
 LIMIT %(most)s;

-- name: schema_columns
-- The columns of the relations :relations, in order; n_distinct is 0 where pg_stats shows none,
-- or hides them. A partitioned table has figures of its partitions together. `not_null` holds of
-- every row: so not where tables that inherit from it may have NULLs, of a foreign table, whose
-- constraints nobody enforces, or of a constraint that is not validated (18 and later).
-- Source: pg_attribute, pg_constraint, pg_stats.
SELECT a.attrelid::bigint AS oid,
       a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull
           AND c.relkind <> 'f'
           AND NOT (c.relkind = 'r' AND c.relhassubclass)
           AND NOT EXISTS (SELECT FROM pg_constraint o
                            WHERE o.conrelid = a.attrelid AND o.contype = 'n'
                              AND NOT o.convalidated AND o.conkey = ARRAY[a.attnum]) AS not_null,
       coalesce(s.n_distinct, 0)::float8 AS "distinct"
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stats s
    ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
   AND s.inherited = (c.relkind = 'p')
 WHERE a.attrelid = ANY (%(relations)s::oid[])
   AND a.attnum > 0
   AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum;

-- name: schema_views
-- What the views :views name: relations, and functions but PostgreSQL's own immutable ones.
-- pg_depend lacks the system's own objects, which are pinned; the stored query has their oids.
-- Source: pg_rewrite, pg_depend (docs: catalog-pg-rewrite), src/include/nodes/primnodes.h.
WITH named AS (
    SELECT DISTINCT r.ev_class, m.found[1] = 'relid' AS is_relation, m.found[2]::oid AS oid
      FROM pg_rewrite r
     CROSS JOIN LATERAL regexp_matches(
           r.ev_action::text,
           ':(relid|funcid|opfuncid|aggfnoid|winfnoid) ([1-9][0-9]*)', 'g') AS m (found)
     WHERE r.ev_class = ANY (%(views)s::oid[]) AND r.ev_type = '1'
    UNION
    SELECT r.ev_class, true, d.refobjid
      FROM pg_rewrite r
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                      AND d.refclassid = 'pg_class'::regclass
     WHERE r.ev_class = ANY (%(views)s::oid[]) AND r.ev_type = '1'
)
SELECT x.ev_class::bigint AS view,
       x.oid::bigint AS relation,
       NULL::text AS schema,
       NULL::text AS function
  FROM named x
 WHERE x.is_relation AND x.oid <> x.ev_class
UNION ALL
SELECT DISTINCT x.ev_class::bigint, NULL::bigint, n.nspname, p.proname
  FROM named x
  JOIN pg_proc p ON p.oid = x.oid
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE NOT x.is_relation
   AND (n.nspname <> 'pg_catalog' OR p.provolatile <> 'i')
 ORDER BY 1, 2, 3, 4;

-- name: schema_functions
-- Functions that are not PostgreSQL's own, at most :most, and the worst volatility of each name:
-- an aggregate's is that of the functions that it is made of.
-- Source: pg_proc, pg_aggregate.
SELECT n.nspname AS schema,
       p.proname AS name,
       CASE WHEN bool_or('v' IN (p.provolatile, t.provolatile, f.provolatile)) THEN 'v'
            WHEN bool_or('s' IN (p.provolatile, t.provolatile, f.provolatile)) THEN 's'
            ELSE 'i' END AS volatility
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
  LEFT JOIN pg_proc t ON t.oid = a.aggtransfn
  LEFT JOIN pg_proc f ON f.oid = a.aggfinalfn
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
 GROUP BY n.nspname, p.proname
 ORDER BY min(p.oid)
 LIMIT %(most)s;
