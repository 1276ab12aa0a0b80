-- name: quarantine_add
-- Put a statement into quarantine; the row with its remaining time and its age in seconds.
INSERT INTO dbopt.quarantine AS q (fingerprint, database, text, reason, expires_at)
VALUES (%(fingerprint)s, %(database)s, %(text)s, %(reason)s,
        now() + make_interval(secs => %(seconds)s))
ON CONFLICT (fingerprint, database) DO UPDATE
   SET text = CASE WHEN excluded.text = '' THEN q.text ELSE excluded.text END,
       reason = excluded.reason, by = excluded.by,
       created_at = excluded.created_at, expires_at = excluded.expires_at
RETURNING fingerprint, database, text, reason, by,
          extract(epoch FROM expires_at - now()) AS remaining,
          extract(epoch FROM now() - created_at) AS age

-- name: quarantine_forget
-- Forget what ended some days ago.
DELETE FROM dbopt.quarantine WHERE expires_at < now() - make_interval(secs => %(kept)s * 86400)

-- name: quarantine_release
-- End the quarantine of a statement, or of all (NULL); the rows that were held until now.
UPDATE dbopt.quarantine
   SET expires_at = now()
 WHERE expires_at > now()
   AND (%(fingerprint)s::bigint IS NULL OR fingerprint = %(fingerprint)s)
RETURNING fingerprint, database, text, reason, by, 0 AS remaining,
          extract(epoch FROM now() - created_at) AS age

-- name: quarantine_held
-- What is in quarantine, what ends last first; times in seconds from now.
SELECT fingerprint, database, text, reason, by,
       extract(epoch FROM expires_at - now()) AS remaining,
       extract(epoch FROM now() - created_at) AS age
  FROM dbopt.quarantine
 WHERE expires_at > now()
 ORDER BY expires_at DESC, fingerprint, database
 LIMIT %(most)s
