-- name: sample_deferrable
-- Deferrable constraints of the session's temporary tables of these names.
-- Source: pg_constraint; src/backend/executor/execIndexing.c, ExecCheckIndexConstraints.
SELECT c.relname AS relation,
       con.conname AS "constraint"
  FROM pg_constraint con
  JOIN pg_class c ON c.oid = con.conrelid
 WHERE c.relnamespace = pg_my_temp_schema()
   AND c.relname = ANY (%(names)s)
   AND con.contype IN ('p', 'u', 'x')
   AND con.condeferrable;

-- name: sample_functions
-- Functions of roles that are neither ours nor a superuser, which the constraints, the domains and
-- the indexes of these relations call. Source: pg_depend, pg_constraint, pg_index, pg_proc.
WITH wanted AS (
    SELECT c.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
      JOIN pg_namespace n ON n.nspname = w.schema
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
), calling AS (
    SELECT 'pg_constraint'::regclass AS class, con.oid
      FROM pg_constraint con
     WHERE con.conrelid IN (SELECT w.oid FROM wanted w)
        OR con.contypid IN (SELECT a.atttypid
                              FROM pg_attribute a
                              JOIN wanted w ON w.oid = a.attrelid
                             WHERE a.attnum > 0)
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid
      FROM pg_index i
      JOIN wanted w ON w.oid = i.indrelid
)
SELECT p.oid
  FROM calling k
  JOIN pg_depend d ON d.classid = k.class AND d.objid = k.oid
                  AND d.refclassid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.refobjid
  JOIN pg_roles r ON r.oid = p.proowner
 WHERE NOT r.rolsuper
   AND r.rolname <> current_user;
