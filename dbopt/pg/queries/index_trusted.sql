-- name: index_foreign_code
-- What a temporary view needs that belongs neither to a superuser, nor to a table's owner, nor to
-- this role: functions, operators (their functions) and domains, by name.
-- Source: pg_depend; what belongs to the system itself is not in it.
WITH used AS (
    SELECT DISTINCT d.refclassid, d.refobjid
      FROM pg_depend d
      JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
     WHERE r.ev_class = to_regclass('pg_temp.' || quote_ident(%(view)s))
), owned AS (
    SELECT p.oid::regprocedure::text AS name, p.proowner AS owner
      FROM used u JOIN pg_proc p ON u.refclassid = 'pg_proc'::regclass AND p.oid = u.refobjid
    UNION
    SELECT p.oid::regprocedure::text, p.proowner
      FROM used u
      JOIN pg_operator o ON u.refclassid = 'pg_operator'::regclass AND o.oid = u.refobjid
      JOIN pg_proc p ON p.oid = o.oprcode
    UNION
    SELECT t.oid::regtype::text, t.typowner
      FROM used u JOIN pg_type t ON u.refclassid = 'pg_type'::regclass AND t.oid = u.refobjid
     WHERE t.typtype = 'd'
)
SELECT o.name
  FROM owned o
  JOIN pg_roles a ON a.oid = o.owner
 WHERE NOT a.rolsuper
   AND a.rolname <> current_user
   AND a.oid <> (SELECT c.relowner
                   FROM pg_class c
                  WHERE c.oid = to_regclass(quote_ident(%(schema)s) || '.' || quote_ident(%(table)s)))
 ORDER BY o.name
