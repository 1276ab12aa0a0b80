-- name: report_extents
-- Of each target with history: the first and last frame's end, how many frames, and views.
SELECT t.server, t.database, min(h.at) AS first_at, max(h.at) AS last_at, count(*) AS frames,
       count(DISTINCT l.view) AS views
  FROM dbopt.history AS h
  JOIN dbopt.target AS t ON t.id = h.target_id
  JOIN dbopt.layout AS l ON l.id = h.layout_id
 GROUP BY t.server, t.database
 ORDER BY t.server, t.database

-- name: report_size
-- Bytes of the schema dbopt, with indexes and TOAST.
SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint AS bytes
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'dbopt' AND c.relkind IN ('r', 'm')

-- name: report_collector
-- Who has the collector's lock of this database (stats_leader.sql): its backend, and from where.
SELECT /* dbopt */ a.pid, coalesce(host(a.client_addr), 'a local socket') AS client,
       a.backend_start AS since
  FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_stat_activity AS a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1684172656 AND l.objid = 1
   AND l.objsubid = 2 AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                         WHERE datname = current_database())
