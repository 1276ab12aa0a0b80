-- name: index_run_write
-- Note a run, or what it has come to since; its id when it is ours.
INSERT INTO dbopt.index_run AS r (
    id, server, database, system_identifier, role, os_user, host, pid, application, version, command, of_run,
    began, ended, outcome, message)
VALUES (%(id)s, %(server)s, %(database)s, %(system_identifier)s, %(role)s, %(os_user)s, %(host)s, %(pid)s,
        %(application)s, %(version)s, %(command)s, %(of_run)s,
        %(began)s, %(ended)s, %(outcome)s, %(message)s)
ON CONFLICT (id) DO UPDATE
   SET ended = excluded.ended, outcome = excluded.outcome, message = excluded.message
 WHERE (r.server, r.database, r.host, r.pid, r.began)
       = (excluded.server, excluded.database, excluded.host, excluded.pid, excluded.began)
RETURNING r.id

-- name: index_step_write
-- Note a step, or its end.
INSERT INTO dbopt.index_step (
    run, number, action, schema, "table", index, definition, sql, reverse,
    began, ended, duration_ms, outcome, message, size_bytes)
VALUES (%(run)s, %(number)s, %(action)s, %(schema)s, %(table)s, %(index)s, %(definition)s, %(sql)s,
        %(reverse)s, %(began)s, %(ended)s, %(duration_ms)s, %(outcome)s, %(message)s,
        %(size_bytes)s)
ON CONFLICT (run, number) DO UPDATE
   SET ended = excluded.ended, duration_ms = excluded.duration_ms, outcome = excluded.outcome,
       message = excluded.message, size_bytes = excluded.size_bytes

-- name: index_runs_expire
-- Forget runs that are too old, with their steps.
DELETE FROM dbopt.index_run WHERE began < now() - make_interval(days => %(days)s)

-- name: index_runs_interrupt
-- Mark what killed runs of a database left: their open steps and themselves; the runs' ids.
WITH killed AS (
    UPDATE dbopt.index_run
       SET outcome = 'interrupted'
     WHERE server = %(server)s AND database = %(database)s
       AND system_identifier = %(system_identifier)s AND outcome = 'running'
       AND id <> %(run)s
    RETURNING id
), steps AS (
    UPDATE dbopt.index_step AS s
       SET outcome = 'interrupted'
      FROM killed AS k
     WHERE s.run = k.id AND s.outcome = 'began'
)
SELECT id FROM killed ORDER BY id

-- name: index_run_outcome
-- What another run has come to: a rollback marks the one that it took back.
UPDATE dbopt.index_run SET outcome = %(outcome)s WHERE id = %(run)s

-- name: index_runs
-- Runs, the newest first, of a database of a server (NULL: of all), or of one id.
SELECT r.id, r.server, r.database, r.system_identifier, r.role, r.os_user, r.host, r.pid,
       r.application, r.version, r.command, r.of_run, r.began, r.ended, r.outcome, r.message,
       (SELECT count(*) FROM dbopt.index_step AS s WHERE s.run = r.id) AS steps
  FROM dbopt.index_run AS r
 WHERE (%(id)s::text IS NULL OR r.id = %(id)s)
   AND (%(server)s::text IS NULL OR r.server = %(server)s)
   AND (%(database)s::text IS NULL OR r.database = %(database)s)
 ORDER BY r.began DESC, r.id DESC
 LIMIT %(limit)s

-- name: index_steps
-- The steps of a run, in the order in which they began.
SELECT number, action, schema, "table", index, definition, sql, reverse, began, ended,
       duration_ms, outcome, message, size_bytes
  FROM dbopt.index_step
 WHERE run = %(run)s
 ORDER BY number

-- name: index_managed
-- The indexes of a database that dbopt manages.
SELECT schema, name, "table", sql, run, since, project
  FROM dbopt.managed_index
 WHERE server = %(server)s AND database = %(database)s
   AND system_identifier = %(system_identifier)s
 ORDER BY schema, name

-- name: index_managed_write
-- An index is managed from now on. What was only found (it has no run), and was managed as the same
-- statement, keeps its run and its project.
INSERT INTO dbopt.managed_index AS m
       (server, database, system_identifier, schema, name, "table", sql, run, since, project)
VALUES (%(server)s, %(database)s, %(system_identifier)s, %(schema)s, %(name)s, %(table)s, %(sql)s,
        %(run)s, %(since)s, %(project)s)
ON CONFLICT (server, database, system_identifier, schema, name) DO UPDATE
   SET "table" = excluded."table", sql = excluded.sql, run = excluded.run, since = excluded.since,
       project = excluded.project
 WHERE excluded.run <> '' OR (m."table", m.sql) <> (excluded."table", excluded.sql)

-- name: index_managed_forget
-- An index is managed no more: it is gone, or has another name.
DELETE FROM dbopt.managed_index
 WHERE server = %(server)s AND database = %(database)s
   AND system_identifier = %(system_identifier)s AND schema = %(schema)s AND name = %(name)s

-- name: index_size
-- Bytes of an index when it was built, those of its partitions' indexes with it; no row where it is
-- not there. From pg_class, since pg_relation_size waits for whoever has locked the index.
-- Source: pg_class.relpages, which an index build sets.
WITH RECURSIVE parts (oid) AS (
    SELECT c.oid
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('i', 'I')
    UNION ALL
    SELECT i.inhrelid FROM parts AS p JOIN pg_inherits AS i ON i.inhparent = p.oid
)
SELECT sum(greatest(c.relpages, 0))::bigint * current_setting('block_size')::bigint AS bytes
  FROM parts AS p JOIN pg_class AS c ON c.oid = p.oid
HAVING count(*) > 0

-- name: system_identifier
-- Which cluster this server is of: the same on its standbys, and on copies of its files.
-- Source: pg_control_system.
SELECT system_identifier::text AS id FROM pg_control_system();
