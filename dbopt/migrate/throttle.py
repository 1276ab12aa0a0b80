"""Waits until the server has room: standbys near, few sessions that wait for locks, few active.

It looks on a connection of its own, since the one that builds is used for building. Who may not
see the others' sessions or the standbys is told so, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from dbopt import clock
from dbopt.errors import DboptError, DeadlinePassed
from dbopt.migrate.work import Deadline
from dbopt.pg import look
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError, translate
from dbopt.settings import Migrate

T = TypeVar("T")

_FIRST, _MOST = 0.2, 5.0
"""Seconds between two looks: soon at first, then ever later."""


class Throttle:
    """What `Work.pause` calls. `connect` opens a connection, again where it was lost."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        settings: Migrate,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._connect = connect
        self._settings = settings
        self._tell = tell
        self._connection: Connection | None = None
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, deadline: Deadline) -> None:
        """Return at once where nothing is above its limit, else as soon as nothing is.

        Tells why it waits and that it goes on, once each. Raises DeadlinePassed, and ConnectError,
        ServerLost or QueryFailed where the server cannot be asked.
        """
        reason = self.above()
        if not reason:
            return
        self._tell(f"Waiting before the next step: {reason}.")
        started = clock.monotonic()
        for delay in clock.backoff(first=_FIRST, most=_MOST, jitter=0.5):
            if not deadline.left:
                raise _late(deadline, reason)
            time.sleep(min(delay, deadline.left))
            if not (reason := self.above()):
                break
        self._tell(f"Going on after {clock.monotonic() - started:.0f} s of waiting.")

    def above(self) -> str:
        """What is above its limit now, in words; "" where nothing is."""
        limits = self._settings
        if not (limits.max_replication_lag or limits.max_lock_waiters or limits.max_active):
            return ""
        return self._lag() or self._sessions()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lag(self) -> str:
        limit = self._settings.max_replication_lag
        if not limit:
            return ""
        standbys = self._ask(look.standbys)
        if any(standby.hidden for standby in standbys):
            self._unseen("replication lag", "It takes pg_monitor to see it.")
        behind = [one for one in standbys if one.is_behind(limit)]
        if not behind:
            return ""
        worst = max(behind, key=lambda one: (one.catching_up, one.seconds))
        return f"the standby {worst} (migrate.max_replication_lag is {limit:g} s)"

    def _sessions(self) -> str:
        limits = self._settings
        if not (limits.max_lock_waiters or limits.max_active):
            return ""
        load = self._ask(look.load)
        if limits.max_lock_waiters and load.lock_waiters > limits.max_lock_waiters:
            most = f"migrate.max_lock_waiters is {limits.max_lock_waiters}"
            return f"{load.lock_waiters} sessions wait for locks ({most})"
        if not limits.max_active:
            return ""
        if load.hidden:
            self._unseen("whether others' sessions are active", "It takes pg_read_all_stats.")
        if load.active > limits.max_active:
            return f"{load.active} sessions are active (migrate.max_active is {limits.max_active})"
        return ""

    def _unseen(self, what: str, remedy: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(f"Not examined: {what}. {remedy}")

    def _ask(self, question: Callable[[Connection], T]) -> T:
        """The answer; a connection that was lost is opened again, once."""
        try:
            return question(self._open())
        except ServerError as error:
            lost = self._open().broken
            self.close()
            if not lost:
                raise _unanswered(error) from None
        try:
            return question(self._open())
        except ServerError as error:
            self.close()
            raise _unanswered(error) from None

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection


def _unanswered(error: ServerError) -> DboptError:
    return translate("Asking how busy the server is", error)


def _late(deadline: Deadline, reason: str) -> DeadlinePassed:
    return DeadlinePassed(
        f"The next step was not begun within the {deadline.seconds:g} s that were given: {reason}.",
        hint="Run again when there is room, or raise the limit.",
    )
