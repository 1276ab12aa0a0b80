"""SIGKILL of dbopt: at a chosen point of its work, or at any moment; where it struck is counted."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from dbopt.migrate.lock import KEY
from tests.faults import fire_state
from tests.faults.fire_blockers import (
    LEAF_HOLDER,
    PARENT_WRITER,
    READER,
    SNAPSHOT,
    TOTAL_LOCKED,
    WRITER,
    holding,
)
from tests.faults.fire_scene import Ended, Process, Scene
from tests.faults.fire_state import LOCKS
from tests.support import wait_until

Connection = psycopg.Connection[Any]

NOW = """
SELECT a.pid, a.state, a.query, a.wait_event_type = 'Lock' AS waits, p.phase
  FROM pg_stat_activity a LEFT JOIN pg_stat_progress_create_index p USING (pid)
 WHERE a.datname = current_database() AND a.usename = 'postgres'
   AND a.backend_type = 'client backend' AND a.application_name LIKE 'dbopt%%'
   AND a.backend_start >= %s
"""
PARTITIONED = """
SELECT i.indexrelid::regclass::text
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relkind = 'I' AND c.relname !~ 'pkey'
"""
STATEMENTS = (
    (r"ATTACH PARTITION", "attach"),
    (r"RENAME", "rename"),
    (r"DROP INDEX", "drop"),
    (r"CREATE (UNIQUE )?INDEX .*ON ONLY", "create on only"),
    (r"CREATE (UNIQUE )?INDEX", "build"),
    (r"ANALYZE", "analyze"),
)
EARLY, BUILDING = 0.15, 0.45
"""The shares of random kills that come before, or soon after, the run has its lock; and that wait
for the next build, which takes a small part of a run's time."""
BUILD = 0.15
"""Seconds within which such a build is killed: in any of its phases."""
BEFORE, BETWEEN, AFTER = "before the lock", "between two statements", "after its end"


@dataclass(frozen=True)
class Moments:
    """What the sessions of one run do, seen from a connection of our own."""

    connection: Connection
    process: Process
    since: Any

    def now(self) -> str:
        """Where the run is."""
        if self.process.poll() is not None:
            return AFTER
        rows = self.connection.execute(NOW, (self.since,)).fetchall()
        found = next((label for label in map(_label, rows) if label), "")
        if found:
            return found
        holders = {pid for (pid,) in self.connection.execute(LOCKS, (KEY,)).fetchall()}
        return BETWEEN if holders & {row[0] for row in rows} else BEFORE


def _label(row: tuple[Any, ...]) -> str:
    _, state, query, waits, phase = row
    if phase:
        return f"build: {phase}"
    if state != "active":
        return ""
    kind = next((label for pattern, label in STATEMENTS if re.search(pattern, query)), "")
    return f"{kind}, waiting" if kind and waits else kind


Around = Callable[[Scene], AbstractContextManager[Any]]


@contextmanager
def locked_out(scene: Scene) -> Iterator[None]:
    """Another migration has the lock."""
    with scene.admin() as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (KEY,))
        yield


@contextmanager
def parents_locked(scene: Scene) -> Iterator[Callable[[], None]]:
    """Nothing can be attached: once all partitioned indexes are there, they are locked."""
    with scene.admin() as blocker, holding(LEAF_HOLDER, None, scene) as leaf:

        def lock() -> None:
            pid = leaf.info.backend_pid
            waits = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
            with scene.admin() as connection:
                wait_until(lambda: connection.execute(waits, (pid,)).rowcount, 30, "the build")
                parents = connection.execute(PARTITIONED).fetchall()
            blocker.execute("BEGIN")
            for (name,) in parents:
                blocker.execute(f"COMMENT ON INDEX {name} IS ''")
            leaf.execute("ROLLBACK")

        yield lock


@dataclass(frozen=True)
class Aim:
    """A point of the work: what keeps the run there, and how it is recognised."""

    name: str
    around: Around
    moment: str
    often: bool = False


AIMS = (
    Aim("before the lock", locked_out, BEFORE),
    Aim("a build that waits for writers", partial(holding, WRITER, None), "build: waiting for w"),
    Aim(
        "a build that waits for snapshots", partial(holding, SNAPSHOT, None),
        "build: waiting for old", often=True,
    ),
    Aim("the renames of a replacement", partial(holding, TOTAL_LOCKED, None), "rename"),
    Aim("ON ONLY", partial(holding, PARENT_WRITER, None), "create on only, waiting"),
    Aim("ATTACH PARTITION", parents_locked, "attach, waiting", often=True),
    Aim("a concurrent drop", partial(holding, READER, None), "drop, waiting"),
)  # fmt: skip


def killed_at(scene: Scene, aim: Aim) -> tuple[Ended, str]:
    """A run that is killed there, and where it was. Fails where it does not come there."""
    with scene.admin() as connection:
        # Else it would find the one that was killed before at the work that it is to be met at.
        wait_until(lambda: not fire_state.residues(connection), 60, "the orphan's end")
    with scene.admin() as connection, aim.around(scene) as ready:
        moments, began = _started(scene, connection)
        if callable(ready):
            ready()
        if aim.moment == BEFORE:
            wait_until(lambda: connection.execute(NOW, (moments.since,)).rowcount, 30, aim.name)
        passed: dict[str, None] = {}
        try:
            wait_until(lambda: _is_there(moments, aim, passed), 30, aim.name)
        except AssertionError as error:
            ended = _kill(scene, moments, began)
            raise AssertionError(f"{error}; it was at {list(passed)}; {ended}") from None
        return _kill(scene, moments, began)


def _is_there(moments: Moments, aim: Aim, passed: dict[str, None]) -> bool:
    where = moments.now()
    passed[where] = None
    if where == AFTER:
        raise AssertionError(f"it has ended before {aim.name}")
    return where.startswith(aim.moment)


def killed_at_random(scene: Scene, luck: random.Random, seconds: float) -> tuple[Ended, str]:
    """A run that is killed at any moment of the `seconds` that a whole one works; some earlier,
    and many in the next build after that moment."""
    with scene.admin() as connection:
        moments, began = _started(scene, connection)
        kind = luck.random()
        if kind < EARLY:
            time.sleep(luck.uniform(0.0, 1.0))
            return _kill(scene, moments, began)
        wait_until(lambda: moments.now() != BEFORE, 60, "the run to have the lock")
        builds = kind < EARLY + BUILDING
        time.sleep(luck.uniform(0.0, seconds if builds else 1.5 * seconds))
        if builds:
            wait_until(lambda: moments.now().startswith(("build", AFTER)), 60, "a build")
            time.sleep(luck.uniform(0.0, BUILD))
        return _kill(scene, moments, began)


def _started(scene: Scene, connection: Connection) -> tuple[Moments, float]:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    began = time.monotonic()
    return Moments(connection, scene.start(), row[0]), began


def _kill(scene: Scene, moments: Moments, began: float) -> tuple[Ended, str]:
    where = moments.now()
    moments.process.send_signal(signal.SIGKILL)
    ended = scene.finish(moments.process, began)
    return ended, where if ended.code == -signal.SIGKILL else AFTER
