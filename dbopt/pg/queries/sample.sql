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
