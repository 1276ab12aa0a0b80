-- name: store_events
-- Events, the newest first; NULL for what is not asked for.
SELECT at, server, database, kind, object, message, data
  FROM dbopt.event
 WHERE (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
   AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
   AND (%(server)s::text IS NULL OR server = %(server)s)
   AND (%(database)s::text IS NULL OR database = %(database)s)
 ORDER BY at DESC, kind, object
 LIMIT %(limit)s

-- name: store_plans_keep
-- Add to what is known of plans; `rows` is a JSON array, sorted by the caller.
INSERT INTO dbopt.plan AS p (fingerprint, server, database, shape, source, first_seen, last_seen,
                             times, cost, best_ms, worst_ms, json)
SELECT r.fingerprint, r.server, r.database, r.shape, r.source, r.first_seen, r.last_seen,
       r.times, r.cost, r.best_ms, r.worst_ms, r.json
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
       fingerprint bigint, server text, database text, shape text, source text,
       first_seen timestamptz, last_seen timestamptz, times bigint, cost double precision,
       best_ms double precision, worst_ms double precision, json jsonb)
 ORDER BY r.fingerprint, r.server, r.database, r.shape
    ON CONFLICT (fingerprint, server, database, shape) DO UPDATE
   SET source = CASE WHEN excluded.source <> '' THEN excluded.source ELSE p.source END,
       first_seen = least(p.first_seen, excluded.first_seen),
       last_seen = greatest(p.last_seen, excluded.last_seen),
       times = p.times + excluded.times,
       cost = coalesce(excluded.cost, p.cost),
       best_ms = least(p.best_ms, excluded.best_ms),
       worst_ms = greatest(p.worst_ms, excluded.worst_ms),
       json = CASE WHEN excluded.json = '{{}}' THEN p.json ELSE excluded.json END

-- name: store_plans
-- Plans, the one that was seen last first; NULL for what is not asked for.
SELECT fingerprint, server, database, shape, source, first_seen, last_seen, times, cost,
       best_ms, worst_ms, json
  FROM dbopt.plan
 WHERE (%(fingerprint)s::bigint IS NULL OR fingerprint = %(fingerprint)s)
   AND (%(server)s::text IS NULL OR server = %(server)s)
   AND (%(database)s::text IS NULL OR database = %(database)s)
   AND (%(since)s::timestamptz IS NULL OR last_seen >= %(since)s)
 ORDER BY last_seen DESC, fingerprint, shape
 LIMIT %(limit)s

-- name: store_plans_latest
-- Each statement's plan that was seen last, without its document.
SELECT *
  FROM (SELECT DISTINCT ON (fingerprint)
               fingerprint, server, database, shape, source, first_seen, last_seen, times, cost,
               best_ms, worst_ms, '{{}}'::jsonb AS json
          FROM dbopt.plan
         WHERE server = %(server)s AND database = %(database)s
         ORDER BY fingerprint, last_seen DESC, shape) AS p
 ORDER BY last_seen DESC, fingerprint
 LIMIT %(limit)s
