"""What a scene must be like in the end: its indexes, nothing left of dbopt, an honest record."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from dbopt.migrate.lock import KEY
from tests.support import wait_until

Row = tuple[Any, ...]
Connection = psycopg.Connection[Any]

INDEXES = """
SELECT i.indrelid::regclass::text AS "table", c.relname AS name,
       i.indisvalid AND i.indisready AND i.indislive AS valid,
       pg_get_indexdef(i.indexrelid) AS sql,
       coalesce((SELECT h.inhparent::regclass::text FROM pg_inherits h
                  WHERE h.inhrelid = i.indexrelid), '') AS parent
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace
"""
SESSIONS = """
SELECT application_name, state, query
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
   AND (application_name LIKE 'dbopt%%' AND usename = 'postgres' OR state ~ 'in transaction')
"""
LOCKS = """
SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND d.datname = current_database()
   AND (l.classid::int8 << 32) + l.objid::int8 = %s
"""
GONE = 15.0
"""Seconds that a killed run's sessions have to end: the server notices at its next answer."""


def read(connection: Connection) -> list[Row]:
    """All indexes of the application's schema."""
    return connection.execute(INDEXES).fetchall()


def differences(found: list[Row], wanted: list[Row], *, exact: bool = True) -> list[str]:
    """Invalid, missing, surplus and wrongly named indexes.

    `exact`: with the names of partitions' indexes. They may differ where partitions came or went,
    since PostgreSQL names them itself when it makes them.
    """
    wrong = [f"{name} is invalid" for _, name, valid, _, _ in found if not valid]
    have = sorted(_meaning(row, exact) for row in found)
    want = sorted(_meaning(row, exact) for row in wanted)
    wrong += [f"missing: {one}" for one in want if have.count(one) < want.count(one)]
    wrong += [f"too many: {one}" for one in have if have.count(one) > want.count(one)]
    return wrong


def _meaning(row: Row, exact: bool) -> str:
    table, name, _, sql, parent = row
    meaning = re.sub(r"INDEX \S+ ON", "INDEX ON", sql)
    if parent and not exact:
        return f"{table} attached: {meaning}"
    return f"{table} {name} {f'of {parent}' if parent else ''}: {meaning}"


def residues(connection: Connection) -> list[str]:
    """Sessions of dbopt's, a migration lock, a transaction that idles: nobody should have any."""
    try:
        wait_until(lambda: not _left(connection), GONE, "dbopt's sessions to end")
    except AssertionError:
        return [f"left: {one}" for one in _left(connection)]
    return []


def _left(connection: Connection) -> list[Row]:
    held = connection.execute(LOCKS, (KEY,)).fetchall()
    return connection.execute(SESSIONS).fetchall() + [("the migration lock", *row) for row in held]


def misrecorded(connection: Connection, said: dict[str, Any]) -> list[str]:
    """What is wrong with the record in the store, after a last run that went well.

    `said` is what that run says that it did: each change has a step.
    """
    runs = connection.execute(
        "SELECT id, outcome, ended FROM dbopt.index_run ORDER BY began, id"
    ).fetchall()
    wrong = [f"a run is {outcome}" for _, outcome, _ in runs if outcome == "running"]
    wrong += [f"a run that is {o} has no end" for _, o, e in runs if not e and o != "interrupted"]
    changed = [one["name"] for one in said["built"] if one["action"] not in {"present", "busy"}]
    # A run that finds nothing to do leaves no row.
    recorded = {id_ for id_, outcome, _ in runs if outcome == "done"}
    if said["run"] not in recorded and (said["run"] or changed):
        wrong.append(f"the last run, {said['run']}, is not done: {runs}")
    steps = connection.execute(
        "SELECT index, outcome, sql FROM dbopt.index_step"
        " WHERE outcome = 'began' OR duration_ms IS NULL AND outcome <> 'interrupted'"
    ).fetchall()
    wrong += [f"a step has no end: {one}" for one in steps]
    done = connection.execute(
        "SELECT s.index, s.sql FROM dbopt.index_step s JOIN dbopt.index_run r ON r.id = s.run"
        " WHERE s.outcome = 'done'"
        " AND r.id = %s",
        (said["run"],),
    ).fetchall()
    steps_of_it = " ".join(f"{index} {sql}" for index, sql in done)
    return wrong + [f"no step made {name}" for name in changed if name not in steps_of_it]
