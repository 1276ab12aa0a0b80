-- name: index_family
-- An index and its partitions' indexes, and their tables, by name; the family of a table's indexes.
-- Source: pg_index, pg_inherits.
WITH RECURSIVE family (oid) AS (
    SELECT c.oid
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('i', 'I')
    UNION ALL
    SELECT i.inhrelid FROM family AS f JOIN pg_inherits AS i ON i.inhparent = f.oid
)
SELECT c.relname AS index, n.nspname AS schema, t.relname AS table
  FROM family AS f
  JOIN pg_index AS i ON i.indexrelid = f.oid
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
 LIMIT 10000

-- name: index_naming_statements
-- This database's statements whose text names a table, those that took most time in all first.
-- `own`: those of our own role alone. Source: pg_stat_statements.
SELECT s.query, s.calls
  FROM {view} AS s
 WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
   AND s.calls > 0
   AND (NOT %(own)s
        OR s.userid = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user))
   AND position(lower(%(table)s) IN lower(s.query)) > 0
   AND s.query ~* '^(\s|\(|/\*.*?\*/|--[^\n]*\n)*(select|with|update|delete|insert|merge|values)\M'
   AND s.query NOT LIKE '%%/* dbopt */%%'
 ORDER BY s.total_exec_time DESC
 LIMIT %(limit)s
