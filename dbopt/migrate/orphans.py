"""Builds that go on without us: others', and that of a dbopt that was killed.

A server ends the build of a killed dbopt within a second or so (`direct.prepared`), but for
PostgreSQL 13, some systems, and a process that stands still: there it goes on to its end, since a
server else notices that its client is gone only when it sends it something. Such a build is waited
for. One of our own is cancelled where it holds up the application, or when the time is over;
somebody else's never.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from dbopt import clock
from dbopt.migrate.task import Task
from dbopt.migrate.watch import INTERVAL, cancel, whole
from dbopt.pg import ddl
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

ENDING = 5.0
"""Seconds that a cancelled build may take to end."""


@dataclass(frozen=True, slots=True)
class Builder:
    """A session that builds an index; `own`: of the same role and application_name as ours."""

    pid: int
    user: str
    application: str
    own: bool

    def __str__(self) -> str:
        name = f" {self.application}" if self.application else ""
        return f"pid {self.pid} (user {self.user or 'hidden'}{name})"


def builder(task: Task, found: Index) -> Builder | None:
    """Who builds the invalid index now, or another one of its table."""
    return _builder(task.connection, found.table_oid)


def wait(task: Task, found: Index) -> bool:
    """Wait while somebody builds the invalid index; False where nobody does.

    Raises MigrationError or DeadlinePassed when that has taken too long.
    """
    one = builder(task, found)
    if one is None:
        return False
    whose = "a run that has ended" if one.own else "another session"
    task.work.tell(f'The index "{found.name}" is being built by {one}, {whose}: waiting for it.')
    seen: dict[int, float] = {}
    while one == builder(task, found):
        _report(task, one, found)
        if one.own and task.watcher.must_give_way(task.connection, one.pid, seen):
            _end(task, one, found)
            return True
        if not task.limit.left:
            _too_late(task, one, found)
        time.sleep(min(INTERVAL, max(0.01, task.limit.left)))
    return True


def _too_late(task: Task, one: Builder, found: Index) -> None:
    if one.own:
        _end(task, one, found)
    raise task.late(
        f'The index "{found.name}", which {one} builds,',
        "was not ready",
        "Wait for it, then run again.",
    )


def _end(task: Task, one: Builder, found: Index) -> None:
    cancel(task.connection, one.pid)
    deadline = clock.monotonic() + ENDING
    while builder(task, found) == one and clock.monotonic() < deadline:
        time.sleep(0.05)


def await_end(connection: Connection, wanted: IndexDefinition) -> None:
    """Wait until a cancelled build of that table has ended, at most ENDING seconds."""
    row = ddl.resolve(connection, wanted)
    deadline = clock.monotonic() + ENDING
    while row and _builder(connection, row["oid"]) and clock.monotonic() < deadline:
        time.sleep(0.05)


def _builder(connection: Connection, table: int) -> Builder | None:
    row = connection.execute(statement("index_builder"), {"table": table}).fetchone()
    return Builder(**row) if row else None


def _report(task: Task, one: Builder, found: Index) -> None:
    look = task.watcher.look(task.connection, one.pid, task.step.definition.name)
    if look is not None and task.work.report:
        phase = f"{look.phase}, by pid {one.pid}"
        task.work.report(whole(replace(look, phase=phase, part=task.part)))
