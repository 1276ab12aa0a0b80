-- name: store_slow_by_time
-- Slow statements, the newest first; NULL for what is not asked for.
SELECT id, at, fingerprint, text, server, database, "user", application, route, tags, trace_id,
       duration_ms, queue_ms, server_ms, transfer_ms, received, sent, rows, sqlstate,
       backend_pid, waits, shape, plan
  FROM dbopt.slow_statement
 WHERE (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
   AND (%(fingerprint)s::bigint IS NULL OR fingerprint = %(fingerprint)s)
   AND (%(server)s::text IS NULL OR server = %(server)s)
   AND (%(database)s::text IS NULL OR database = %(database)s)
   AND (%(user)s::text IS NULL OR "user" = %(user)s)
   AND (%(application)s::text IS NULL OR application = %(application)s)
   AND (%(route)s::text IS NULL OR route = %(route)s)
   AND (NOT %(errors)s::boolean OR sqlstate <> '')
 ORDER BY at DESC, id DESC
 LIMIT %(limit)s

-- name: store_slow_by_duration
-- Slow statements, the slowest first; NULL for what is not asked for.
SELECT id, at, fingerprint, text, server, database, "user", application, route, tags, trace_id,
       duration_ms, queue_ms, server_ms, transfer_ms, received, sent, rows, sqlstate,
       backend_pid, waits, shape, plan
  FROM dbopt.slow_statement
 WHERE (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
   AND (%(fingerprint)s::bigint IS NULL OR fingerprint = %(fingerprint)s)
   AND (%(server)s::text IS NULL OR server = %(server)s)
   AND (%(database)s::text IS NULL OR database = %(database)s)
   AND (%(user)s::text IS NULL OR "user" = %(user)s)
   AND (%(application)s::text IS NULL OR application = %(application)s)
   AND (%(route)s::text IS NULL OR route = %(route)s)
   AND (NOT %(errors)s::boolean OR sqlstate <> '')
 ORDER BY duration_ms DESC, at DESC, id DESC
 LIMIT %(limit)s
