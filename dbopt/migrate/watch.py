"""Watches a statement about an index from a second connection: how far it is, who holds it up, and
whom it holds up.

A concurrent build makes no reader or writer wait. But it holds SHARE UPDATE EXCLUSIVE on its table
for its whole time, and an ALTER TABLE that comes meanwhile waits for that, with every later reader
behind it. So a build gives way to whoever has waited for it for a moment: that costs only its own
work, and the application need not have the same lock_timeout.

Source: PostgreSQL's documentation, "Explicit Locking"; Graphile's and GitLab's accounts of lock
queues; safe-pg-migrations, which logs the blockers from a second connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from dbopt import clock
from dbopt.errors import DboptError
from dbopt.migrate import progress
from dbopt.migrate.eta import Eta
from dbopt.migrate.progress import Blocker, Progress, Report
from dbopt.pg import ddl
from dbopt.pg.connect import Connection, Row
from dbopt.pg.sqlfile import statement
from dbopt.settings import Migrate

INTERVAL = 0.2
"""Seconds between two looks."""
AGAIN = 1.0
"""Seconds until a lost second connection is tried for again."""
ANSWER = 10.0
"""Seconds that a look may take before its connection is given up."""
QUIET = 5.0
"""Seconds between two lines about whom a statement waits for: a queue may be long."""
MOMENT = 1.0
"""Seconds that anybody may wait for a build, or half of lock_timeout where that is less."""


class GaveWay(Exception):
    """A statement was cancelled, since one of the application's waited for a lock that it held.

    `to` is who waited.
    """

    def __init__(self, to: Blocker) -> None:
        super().__init__()
        self.to = to


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched. `name` is the declared index, `at_work` the one that the statement is
    about, `part` which partition of how many."""

    name: str
    at_work: str
    part: tuple[int, int] = (0, 0)
    report: Report | None = None
    tell: Callable[[str], None] | None = None


class Watcher:
    """Watches one statement after the other on one second connection.

    Where the server has no connection left to give, nothing is watched until it has.
    """

    def __init__(self, connection: Connection, settings: Migrate) -> None:
        self.open = progress.opener(connection)
        self._settings = settings
        self._second: Connection | None = None
        self.blockers: tuple[Blocker, ...] = ()
        """Whom the last statement waited for when it was last looked at."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._second is not None:
            self._second.close()

    @contextmanager
    def watching(self, connection: Connection, subject: Subject) -> Iterator[None]:
        """Watch what the block runs on `connection`.

        Raises GaveWay instead of the error of a statement that was cancelled to give way.
        """
        self.blockers = ()
        one = _Statement(self, connection.info.backend_pid, subject)
        thread = threading.Thread(target=one.run, daemon=True)
        thread.start()
        try:
            yield
        except ddl.TIMED_OUT:
            if one.gave_way_to:
                raise GaveWay(one.gave_way_to) from None
            raise
        finally:
            one.stop()
            thread.join()
            if one.gave_way_to:
                _let_pass(connection)

    # For the thread:

    def second(self) -> Connection | None:
        """The second connection, opened if need be; None where there is none to have."""
        if self._second is None or self._second.closed:
            try:
                self._second = self.open()
                self._second.patience = ANSWER
            except DboptError:
                return None
        return self._second

    def look(self, connection: Connection, pid: int, name: str) -> Progress | None:
        """What the session does now."""
        return progress.read(connection, pid, name, queries=self._settings.blocker_queries)

    def must_give_way(
        self, connection: Connection, pid: int, seen: dict[int, float]
    ) -> Blocker | None:
        """Who has waited for the session as long as anybody may."""
        wanted = {"pid": pid, "queries": self._settings.blocker_queries}
        rows = connection.execute(statement("index_queue"), wanted).fetchall()
        found = must_give_way(rows, self._settings.lock_timeout, clock.monotonic(), seen)
        return progress.blocker(found) if found else None


class _Statement:
    """One statement that is watched, in a thread of its own."""

    def __init__(self, watcher: Watcher, pid: int, subject: Subject) -> None:
        self._watcher = watcher
        self._pid = pid
        self._subject = subject
        self._stop = threading.Event()
        self._eta = Eta()
        self._told: frozenset[tuple[int, str]] = frozenset()
        self._told_at = float("-inf")
        self._seen: dict[int, float] = {}
        self.gave_way_to: Blocker | None = None

    def stop(self) -> None:
        """End the watching."""
        self._stop.set()

    def run(self) -> None:
        """Look until stopped. A lost connection is replaced; it never ends the statement."""
        while not self._stop.wait(INTERVAL):
            second = self._watcher.second()
            try:
                if second is not None:
                    self._look(second)
            except ddl.ServerError:
                second = None
            if second is None:
                self._stop.wait(AGAIN)

    def _look(self, second: Connection) -> None:
        look = self._watcher.look(second, self._pid, self._subject.name)
        if look is not None and not self._stop.is_set():
            self._take(look)
        waits = self._watcher.must_give_way(second, self._pid, self._seen)
        if waits is not None and not self._stop.is_set():
            if self._subject.tell and self.gave_way_to is None:
                self._subject.tell(f'The index "{self._subject.at_work}" gives way to {waits}.')
            self.gave_way_to = waits
            cancel(second, self._pid)

    def _take(self, look: Progress) -> None:
        subject, blocked = self._subject, bool(look.blockers)
        left = self._eta.seen(look.phase, look.fraction, clock.monotonic(), blocked=blocked)
        self._tell(look)
        self._watcher.blockers = look.blockers
        if subject.report:
            subject.report(whole(replace(look, eta=left, part=subject.part)))

    def _tell(self, look: Progress) -> None:
        """Say once whom it waits for, if two looks have seen the same ones, and not too often."""
        names = frozenset((blocker.pid, blocker.gid) for blocker in look.blockers)
        before = frozenset((one.pid, one.gid) for one in self._watcher.blockers)
        steady = names and names == before and names != self._told
        now = clock.monotonic()
        if self._subject.tell and steady and now >= self._told_at + QUIET:
            self._told, self._told_at = names, now
            waiting = ", ".join(map(str, look.blockers))
            self._subject.tell(f'The index "{self._subject.at_work}" waits for {waiting}.')


def whole(look: Progress) -> Progress:
    """A look at a partition's index as one at the whole: the fraction is of all partitions."""
    number, count = look.part
    return replace(look, fraction=(number - 1 + look.fraction) / count) if count else look


def must_give_way(
    queue: Iterable[Row], lock_timeout: float, now: float, seen: dict[int, float]
) -> Row | None:
    """The session of the queue (the query index_queue) that may wait no longer. PURE.

    `seen` remembers since when each waits, for servers that do not say so. One that the statement
    waits for itself would be a deadlock in a second, and PostgreSQL might end the application's.
    """
    most = min(MOMENT, lock_timeout / 2)
    for row in queue:
        since = seen.setdefault(row["pid"], now)
        waited = float(row["waited"]) if row["waited"] is not None else now - since
        if row["mutual"] or (row["blocks"] and waited + INTERVAL >= most):
            return row
    return None


def cancel(connection: Connection, pid: int) -> None:
    """pg_cancel_backend, of a session of the same role."""
    connection.execute(statement("index_session_cancel"), {"pid": pid})


def _let_pass(connection: Connection) -> None:
    """A cancel comes as a signal, perhaps after the statement that it was for: let it pass."""
    if connection.closed or ddl.is_running(connection):
        return
    try:
        connection.execute("SELECT pg_sleep(0.05)")
    except ddl.TIMED_OUT:
        return
