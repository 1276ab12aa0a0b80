-- name: store_snapshot_insert
-- A snapshot's header; gives its id.
INSERT INTO dbopt.snapshot (taken_at, server, database, version_num, stats_reset,
                            statements_reset, statements_dealloc, truncated, findings)
VALUES (%(taken_at)s, %(server)s, %(database)s, %(version_num)s, %(stats_reset)s,
        %(statements_reset)s, %(statements_dealloc)s, %(truncated)s, %(findings)s::jsonb)
RETURNING id

-- name: store_statement_texts
-- Keep the texts of statements, one a fingerprint. Sorted, so that two sidecars cannot
-- deadlock; last_seen moves once an hour, so that most snapshots write nothing here.
INSERT INTO dbopt.statement (fingerprint, text, first_seen, last_seen)
SELECT t.fingerprint, t.text, now(), now()
  FROM unnest(%(fingerprints)s::bigint[], %(texts)s::text[]) AS t (fingerprint, text)
 ORDER BY t.fingerprint
    ON CONFLICT (fingerprint) DO UPDATE SET last_seen = excluded.last_seen
 WHERE dbopt.statement.last_seen < excluded.last_seen - interval '1 hour'

-- name: store_expire_snapshots
-- Forget snapshots taken before a time; what hangs on them goes too.
DELETE FROM dbopt.snapshot WHERE taken_at < %(before)s

-- name: store_expire_statements
-- Forget texts that no kept snapshot can need: a day more, for last_seen moves slowly.
DELETE FROM dbopt.statement WHERE last_seen < %(before)s - interval '1 day'

-- name: store_snapshots
-- Headers, the newest first; NULL for a bound that is not given.
SELECT id, taken_at, server, database, version_num, stats_reset, statements_reset,
       statements_dealloc, truncated, findings
  FROM dbopt.snapshot
 WHERE (%(since)s::timestamptz IS NULL OR taken_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR taken_at <= %(until)s)
   AND (%(server)s::text IS NULL OR server = %(server)s)
   AND (%(database)s::text IS NULL OR database = %(database)s)
 ORDER BY taken_at DESC, id DESC
 LIMIT %(limit)s

-- name: store_first_snapshot
-- The oldest header of one server's database since a time.
SELECT id, taken_at, server, database, version_num, stats_reset, statements_reset,
       statements_dealloc, truncated, findings
  FROM dbopt.snapshot
 WHERE server = %(server)s AND database = %(database)s
   AND (%(since)s::timestamptz IS NULL OR taken_at >= %(since)s)
 ORDER BY taken_at, id
 LIMIT 1

-- name: store_snapshot
-- One header by its id.
SELECT id, taken_at, server, database, version_num, stats_reset, statements_reset,
       statements_dealloc, truncated, findings
  FROM dbopt.snapshot
 WHERE id = %(id)s

-- name: store_rows
-- A snapshot's rows of one view.
SELECT * FROM dbopt.{table} WHERE snapshot_id = %(id)s

-- name: store_texts
-- The texts of some fingerprints.
SELECT fingerprint, text FROM dbopt.statement WHERE fingerprint = ANY(%(fingerprints)s::bigint[])
