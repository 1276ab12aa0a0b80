-- name: health_constraints
-- Foreign keys and checks that were never proven for the rows that are there (NOT VALID).
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table", k.conname::text AS name,
       k.contype::text AS kind
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT k.convalidated AND c.oid >= 16384

-- name: health_constraints (min_version=18)
-- The same. What is NOT ENFORCED can never be valid, and is not meant to be.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table", k.conname::text AS name,
       k.contype::text AS kind
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT k.convalidated AND k.conenforced AND c.oid >= 16384

-- name: health_foreign_keys
-- Foreign keys with a column of another type than the one that it refers to.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table", k.conname::text AS name,
       a.attname::text AS "column", format_type(a.atttypid, a.atttypmod)::text AS type,
       format_type(b.atttypid, b.atttypmod)::text AS referenced_type
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS p (own, other)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = p.own
  JOIN pg_catalog.pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = p.other
 WHERE k.contype = 'f' AND k.conparentid = 0 AND c.oid >= 16384 AND a.atttypid <> b.atttypid

-- name: health_triggers
-- Triggers that do not fire. `internal`: those of a foreign key, which is then not kept.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table",
       coalesce(k.conname, t.tgname)::text AS name, t.tgisinternal AS internal
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint AND t.tgisinternal
 WHERE t.tgenabled = 'D' AND c.oid >= 16384
 GROUP BY 1, 2, 3, 4

-- name: health_columns
-- Columns of types that PostgreSQL's wiki ("Don't Do This") advises against, in tables of users.
SELECT /* dbopt */ n.nspname::text AS schema, c.relname::text AS "table",
       a.attname::text AS "column", format_type(a.atttypid, a.atttypmod)::text AS type,
       t.typname::text AS base
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
   AND t.typname IN ('json', 'bpchar', 'money', 'timetz')
   AND t.typnamespace = 'pg_catalog'::regnamespace

-- name: health_schemas
-- Schemas in which everybody may create objects.
SELECT /* dbopt */ nspname::text AS name FROM pg_catalog.pg_namespace
 WHERE has_schema_privilege('public', oid, 'CREATE')
   AND nspname NOT LIKE 'pg\_%%' AND nspname <> 'information_schema'

-- name: health_extensions
-- Extensions whose files are newer than what this database was given.
SELECT /* dbopt */ name::text, installed_version::text AS installed,
       default_version::text AS available
  FROM pg_catalog.pg_available_extensions
 WHERE installed_version IS NOT NULL AND installed_version <> default_version

-- name: health_collations
-- Collations that a column or an index uses and whose library sorts otherwise than when it was made.
SELECT /* dbopt */ n.nspname::text AS schema, c.collname::text AS name,
       c.collversion::text AS recorded, v.actual::text AS actual
  FROM pg_catalog.pg_collation AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
  CROSS JOIN LATERAL (SELECT pg_collation_actual_version(c.oid) AS actual) AS v
 WHERE c.collversion IS NOT NULL AND v.actual <> c.collversion
   AND c.oid IN (SELECT a.attcollation FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid >= 16384 AND a.attcollation <> 0)
