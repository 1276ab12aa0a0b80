-- name: store_slow
-- Slow statements, the newest first; NULL for a bound that is not given.
SELECT id, at, fingerprint, text, database, "user", application, duration_ms, queue_ms,
       server_ms, rows, sqlstate, backend_pid, plan
  FROM dbopt.slow_statement
 WHERE (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (%(fingerprint)s::bigint IS NULL OR fingerprint = %(fingerprint)s)
 ORDER BY at DESC, id DESC
 LIMIT %(limit)s

-- name: store_expire_slow
-- Forget slow statements that began before a time.
DELETE FROM dbopt.slow_statement WHERE at < %(before)s
