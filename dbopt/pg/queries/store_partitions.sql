-- name: store_partitions
-- The partitions by day of a table: name, and the first day as text YYYYMMDD.
SELECT c.relname AS name, right(c.relname, 8) AS day
  FROM pg_catalog.pg_inherits AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = to_regclass('dbopt.' || quote_ident(%(table)s::text))
   AND c.relname ~ ('^' || %(table)s::text || '_[0-9]{{8}}$')
 ORDER BY c.relname

-- name: store_partitioned
-- Whether the table is there, and whether our role may change it.
SELECT c.relkind = 'p' AS partitioned, pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_catalog.pg_class AS c
 WHERE c.oid = to_regclass('dbopt.' || quote_ident(%(table)s::text))

-- name: store_partitions_alone
-- One sidecar at a time looks after the partitions; until the transaction ends.
SELECT pg_try_advisory_xact_lock(6076574, hashtext('dbopt.partitions')) AS alone

-- name: store_default_days
-- The UTC days of which the default partition has rows, a few, the oldest first.
SELECT DISTINCT (at AT TIME ZONE 'UTC')::date AS day
  FROM dbopt.{default}
 ORDER BY day
 LIMIT 60

-- name: store_default_empty
-- Whether the default partition has any row at all.
SELECT NOT EXISTS (SELECT FROM dbopt.{default}) AS empty

-- name: store_default_expire
-- Forget rows of the default partition that are too old.
DELETE FROM dbopt.{default} WHERE at < %(before)s

-- name: store_partition_make
-- A table like the parent, not a partition yet: nobody waits for it.
CREATE TABLE dbopt.{child} (LIKE dbopt.{parent} INCLUDING ALL EXCLUDING INDEXES)

-- name: store_default_lock
-- Nobody may put rows into the default partition while some are moved out of it.
LOCK TABLE dbopt.{default} IN ACCESS EXCLUSIVE MODE

-- name: store_default_move
-- Move the rows of a day out of the default partition.
WITH moved AS (DELETE FROM dbopt.{default} WHERE at >= %(since)s AND at < %(until)s RETURNING *)
INSERT INTO dbopt.{child} SELECT * FROM moved

-- name: store_partition_drop
-- Forget a day. A short lock on the parent.
DROP TABLE IF EXISTS dbopt.{child}

-- name: store_lock_timeout
-- For this transaction: writers wait behind whoever waits for a lock.
SELECT set_config('lock_timeout', %(timeout)s, true)

-- name: store_expire_rest
-- Forget what no kept history can need: texts, plans and entities not seen since, a day more,
-- for last_seen moves slowly; and writers that are gone.
WITH texts AS (DELETE FROM dbopt.statement WHERE last_seen < %(before)s - interval '1 day'),
     plans AS (DELETE FROM dbopt.plan WHERE last_seen < %(before)s),
     writers AS (DELETE FROM dbopt.writer
                  WHERE at < least(%(before)s, now() - interval '30 days'))
DELETE FROM dbopt.entity WHERE last_seen < %(before)s - interval '2 days'
