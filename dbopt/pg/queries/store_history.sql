-- name: store_targets_make
-- Make the targets that are missing, sorted, so that two writers cannot deadlock.
INSERT INTO dbopt.target (server, database)
SELECT t.server, t.database
  FROM unnest(%(servers)s::text[], %(databases)s::text[]) AS t (server, database)
 WHERE NOT EXISTS (SELECT FROM dbopt.target AS o
                    WHERE o.server = t.server AND o.database = t.database)
 ORDER BY t.server, t.database
    ON CONFLICT (server, database) DO NOTHING

-- name: store_targets_find
-- The numbers of targets.
SELECT o.id, o.server, o.database
  FROM dbopt.target AS o
  JOIN unnest(%(servers)s::text[], %(databases)s::text[]) AS t (server, database)
       USING (server, database)

-- name: store_targets_lock
-- One writer at a time for each target, until its transaction ends.
SELECT id FROM dbopt.target WHERE id = ANY(%(ids)s::integer[]) ORDER BY id FOR UPDATE

-- name: store_targets
-- Every target that has history.
SELECT t.id, t.server, t.database
  FROM dbopt.target AS t
 CROSS JOIN LATERAL (SELECT FROM dbopt.history AS h WHERE h.target_id = t.id LIMIT 1) AS h
 ORDER BY t.server, t.database

-- name: store_layout_make
-- Make a layout that is missing.
INSERT INTO dbopt.layout (view, counters, gauges, additive)
SELECT %(view)s, %(counters)s::text[], %(gauges)s::text[], %(additive)s::boolean
 WHERE NOT EXISTS (SELECT FROM dbopt.layout
                    WHERE view = %(view)s AND counters = %(counters)s::text[]
                      AND gauges = %(gauges)s::text[] AND additive = %(additive)s)
    ON CONFLICT (view, counters, gauges, additive) DO NOTHING

-- name: store_layout_find
-- The number of a layout.
SELECT id FROM dbopt.layout
 WHERE view = %(view)s AND counters = %(counters)s::text[]
   AND gauges = %(gauges)s::text[] AND additive = %(additive)s

-- name: store_layouts
-- Layouts of some views; NULL for all.
SELECT id, view, counters, gauges, additive
  FROM dbopt.layout
 WHERE %(views)s::text[] IS NULL OR view = ANY(%(views)s::text[])

-- name: store_entities
-- The numbers of entities, made in the order given where they are missing; labels and last_seen
-- as of now. The caller has locked the targets, so that two writers cannot deadlock.
INSERT INTO dbopt.entity AS e (target_id, view, key, labels, first_seen, last_seen)
SELECT t.target_id, t.view, t.key, t.labels::jsonb, t.at, t.at
  FROM unnest(%(targets)s::integer[], %(views)s::text[], %(keys)s::text[], %(labels)s::text[],
              %(at)s::timestamptz[]) WITH ORDINALITY AS t (target_id, view, key, labels, at, place)
 ORDER BY t.place
    ON CONFLICT (target_id, view, key) DO UPDATE
   SET last_seen = greatest(e.last_seen, excluded.last_seen),
       labels = coalesce(excluded.labels, e.labels)
RETURNING id, target_id, view, key

-- name: store_entities_of
-- Some entities, by their numbers.
SELECT id, key, coalesce(labels, '{{}}') AS labels
  FROM dbopt.entity
 WHERE id = ANY(%(ids)s::bigint[])

-- name: store_texts_keep
-- Keep the texts of statements, one a fingerprint. Sorted, so that two writers cannot
-- deadlock; last_seen moves once an hour, so that mostly nothing is written.
INSERT INTO dbopt.statement (fingerprint, text, first_seen, last_seen)
SELECT t.fingerprint, t.text, now(), now()
  FROM unnest(%(fingerprints)s::bigint[], %(texts)s::text[]) AS t (fingerprint, text)
 ORDER BY t.fingerprint
    ON CONFLICT (fingerprint) DO UPDATE SET last_seen = excluded.last_seen
 WHERE dbopt.statement.last_seen < excluded.last_seen - interval '1 hour'

-- name: store_texts_of
-- The texts of some fingerprints.
SELECT fingerprint, text FROM dbopt.statement WHERE fingerprint = ANY(%(fingerprints)s::bigint[])

-- name: store_history_ends
-- When the last frame of each (target, view) ended, of those that have one after `since`, which
-- spares a look at each day that is kept; NULL for all.
SELECT k.target_id, k.view, max(h.at) AS at
  FROM unnest(%(targets)s::integer[], %(views)s::text[]) AS k (target_id, view)
  JOIN dbopt.layout AS l ON l.view = k.view
 CROSS JOIN LATERAL (SELECT o.at FROM dbopt.history AS o
                      WHERE o.target_id = k.target_id AND o.layout_id = l.id
                        AND (%(since)s::timestamptz IS NULL OR o.at > %(since)s)
                      ORDER BY o.at DESC LIMIT 1) AS h
 GROUP BY k.target_id, k.view

-- name: store_history_next
-- When the first frame after a time ended; NULL where there is none.
SELECT min(h.at) AS at
  FROM unnest(%(layouts)s::integer[]) AS l (id)
 CROSS JOIN LATERAL (SELECT o.at FROM dbopt.history AS o
                      WHERE o.target_id = %(target)s AND o.layout_id = l.id
                        AND (%(since)s::timestamptz IS NULL OR o.at > %(since)s)
                        AND (%(until)s::timestamptz IS NULL OR o.at <= %(until)s)
                      ORDER BY o.at LIMIT 1) AS h

-- name: store_history_rows
-- The frames of some layouts that ended after `since` and until `until`, in order of time.
SELECT at, layout_id, seconds, chain, link, reset, changed, base, gone
  FROM dbopt.history
 WHERE target_id = %(target)s AND layout_id = ANY(%(layouts)s::integer[])
   AND at > %(since)s AND at <= %(until)s
 ORDER BY at, layout_id, chain

-- name: store_history_times
-- When the frames of a view ended.
SELECT DISTINCT at
  FROM dbopt.history
 WHERE target_id = %(target)s AND layout_id = ANY(%(layouts)s::integer[])
   AND (%(since)s::timestamptz IS NULL OR at > %(since)s)
   AND (%(until)s::timestamptz IS NULL OR at <= %(until)s)
 ORDER BY at

-- name: store_target
-- The number of a target.
SELECT id FROM dbopt.target WHERE server = %(server)s AND database = %(database)s

-- name: store_writer_seen
-- The number of the last batch that a writer has stored.
SELECT seq FROM dbopt.writer WHERE id = %(id)s::uuid

-- name: store_writer_note
-- A writer has stored the batch of that number, in this transaction.
INSERT INTO dbopt.writer AS w (id, seq, at) VALUES (%(id)s::uuid, %(seq)s, now())
    ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, at = excluded.at
