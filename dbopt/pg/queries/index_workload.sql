-- name: index_statements_schema
-- The schema that pg_stat_statements was installed in.
-- Source: pg_extension.
SELECT n.nspname AS schema
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements';

-- name: index_workload
-- This database's statements that took most time in all; mean_ms is milliseconds a call.
-- dbopt's own carry a comment; other users' text is hidden without pg_read_all_stats.
-- Source: pg_stat_statements.
SELECT s.query, s.calls, s.total_exec_time / s.calls AS mean_ms
  FROM {view} s
 WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND s.calls > 0
   AND s.query ~* '^(\s|\(|/\*.*?\*/|--[^\n]*\n)*(select|with|update|delete|insert|merge|values)\M'
   AND s.query NOT LIKE '%%/* dbopt */%%'
   AND s.query !~* '\m(pg_\w+|information_schema|dbopt)\M'
 ORDER BY s.total_exec_time DESC
 LIMIT %(limit)s;

-- name: index_workload_hidden
-- Whether other roles' statements show no text to this role.
-- Source: docs, "Predefined Roles".
SELECT NOT pg_has_role('pg_read_all_stats', 'usage') AS hidden;
