"""The migration lock, held by a connection of its own for as long as a run lasts.

The session that holds it does nothing else: it has no snapshot that a build would wait for. A
restart of the server or pg_terminate_backend takes the lock with the session: a thread looks,
and takes it again at once; before each step the run makes sure of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from dbopt.errors import DboptError, ServerLost
from dbopt.migrate.direct import prepared, require_direct, require_writable
from dbopt.migrate.lock import Waiting, give_back, is_held, take
from dbopt.pg.connect import APPLICATION_NAME, Connection, connect
from dbopt.pg.ddl import ServerError, abandon, is_running
from dbopt.pg.refusal import translated
from dbopt.settings import Settings

LOOK = 5.0
"""Seconds between two looks whether the lock is still held."""
CLOSING = 5.0
"""Seconds that the end of a run waits for such a look, and to give the lock back: the server may
stand still."""

_WHAT = "Asking for the migration lock"


def direct_session(settings: Settings) -> Connection:
    """A direct connection to the served database that no timeout of its role cuts.

    Its application_name is dbopt's own whatever the DSN says: the next run must tell by it what a
    killed one has left running. Raises ConnectError, AuthenticationError, ConfigError, ServerLost.
    """
    server = settings.server
    made = connect(
        server.dsn,
        timeout=server.connect_timeout,
        application_name=APPLICATION_NAME,
        # Of a host that is gone without a word libpq would hear in hours while it waits for an
        # answer, and in a quarter of an hour where it has just asked something.
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=60_000,
    )
    return prepared(made)


class Guard:
    """Holds the migration lock. `open` gives a new direct connection.

    Close it, or use it as a context; closing frees the lock. `waiting` is told who holds it.
    """

    def __init__(self, open_: Callable[[], Connection], waiting: Waiting) -> None:
        self._open = open_
        self._waiting = waiting
        self._name = APPLICATION_NAME
        self._busy = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection = self._opened()

    @property
    def connection(self) -> Connection:
        """The connection that holds the lock; do nothing on it that takes a while."""
        return self._connection

    def take(self, wait: float) -> None:
        """Take the lock, or raise MigrationBusy after `wait` seconds. Then look after it.

        Raises ServerLost: after `answers` it can be taken again.
        """
        with self._busy, translated(_WHAT):
            take(self._connection, wait, self._waiting)
        self._thread = threading.Thread(target=self._look_after, daemon=True)
        self._thread.start()

    def answers(self) -> None:
        """Raise ServerLost or ConnectError unless the server answers the session, or a new one."""
        with self._busy:
            if self._connection.closed:
                self._reopen()
            with translated(_WHAT):
                self._connection.execute("SELECT 1")

    def ensure(self, wait: float) -> bool:
        """Hold the lock, still or again; True where it had been lost.

        Raises MigrationBusy where another has it by now and keeps it for `wait` seconds,
        ConnectError or ServerLost where the server is away.
        """
        with self._busy:
            if self._held():
                return False
            self._reopen()
            with translated(_WHAT):
                take(self._connection, wait, self._waiting)
            return True

    def call(self, name: str) -> None:
        """Show `name` as the session's application_name to those who wait."""
        with self._busy:
            self._name = name
            if self._held():
                self._show_name()

    def close(self) -> None:
        """Give the lock back."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSING)
            if self._thread.is_alive():
                return  # its look is given up in time, or ends with the process, and so the session
        if is_running(self._connection):
            # A signal came while it waited for an answer.
            abandon(self._connection)
        with suppress(ServerError), self._connection.patient(CLOSING):
            give_back(self._connection)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _opened(self) -> Connection:
        connection = self._open()
        try:
            with translated(_WHAT):
                require_direct(connection)
                require_writable(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _reopen(self) -> None:
        self._connection.close()
        self._connection = self._opened()
        self._show_name()

    def _show_name(self) -> None:
        with suppress(ServerError):
            self._connection.execute(
                "SELECT set_config('application_name', %s, false)", (self._name,)
            )

    def _held(self) -> bool:
        if self._connection.closed:
            return False
        try:
            with translated(_WHAT):
                return is_held(self._connection)
        except ServerLost:
            return False

    def _look_after(self) -> None:
        while not self._stop.wait(LOOK):
            # What cannot be mended now may be at the next look; the run itself asks at each step.
            with suppress(DboptError), self._busy:
                if not self._held() and not self._stop.is_set():
                    self._reopen()
                    with translated(_WHAT):
                        take(self._connection, 0.0)
