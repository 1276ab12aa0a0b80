-- name: leader_session
-- A session that outlives idle timeouts, and that the server gives up soon if its peer is gone.
-- Settings that this server lacks are left out.
SELECT /* dbopt */ set_config(name, CASE name
         WHEN 'tcp_keepalives_idle' THEN '5' WHEN 'tcp_keepalives_interval' THEN '2'
         WHEN 'tcp_keepalives_count' THEN '3' WHEN 'statement_timeout' THEN '4000'
         WHEN 'application_name' THEN 'dbopt collector' ELSE '0' END, false)
  FROM pg_catalog.pg_settings
 WHERE name IN ('tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count',
                'idle_session_timeout', 'statement_timeout', 'application_name')

-- name: leader_try
-- Take the collector's lock of this database (0x64626f70 is "dbop"), if nobody has it.
SELECT /* dbopt */ pg_try_advisory_lock(1684172656, 1) AS held

-- name: leader_hold
-- Whether this session still has it.
SELECT /* dbopt */ count(*) > 0 AS held
  FROM pg_catalog.pg_locks
 WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
   AND classid = 1684172656 AND objid = 1 AND objsubid = 2
