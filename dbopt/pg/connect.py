"""Connections of dbopt's own to PostgreSQL, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import capabilities, conninfo, pq
from psycopg.abc import PQGen
from psycopg.rows import DictRow, dict_row

from dbopt import clock
from dbopt.errors import AuthenticationError, ConfigError, ConnectError, DboptError

APPLICATION_NAME = "dbopt"
CANCELLING = 5.0
"""Seconds that the cancel of a statement may take whose server does not answer."""
Row = DictRow
AsyncConnection = psycopg.AsyncConnection[DictRow]
RV = TypeVar("RV")


class Unanswered(psycopg.OperationalError):
    """The server process `pid` was given up: it has not answered for `seconds`."""

    def __init__(self, pid: int, seconds: float) -> None:
        super().__init__(f"pid {pid} has not answered for {seconds:g} s")
        self.pid = pid
        self.seconds = seconds


class Connection(psycopg.Connection[DictRow]):
    """A connection whose statements may have a limit of the client's own.

    A server process or a pooler that stands still (SIGSTOP, a frozen machine whose kernel answers)
    keeps TCP alive and obeys no statement_timeout.
    """

    patience: float | None = None
    """Seconds for which the server may be silent in a statement; None: for ever. Then Unanswered is
    raised, the statement cancelled if that can be, and the connection closed."""

    @contextmanager
    def patient(self, seconds: float | None) -> Iterator[None]:
        """Another `patience` for the block."""
        before, self.patience = self.patience, seconds
        try:
            yield
        finally:
            self.patience = before

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        """As psycopg's own, which every statement goes through. Raises Unanswered too."""
        if self.patience is None:
            return super().wait(gen, *args, **options)
        try:
            return super().wait(
                _limited(gen, self.info.backend_pid, self.patience), *args, **options
            )
        except Unanswered:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Cancel what runs, if the server takes that soon, and close. Raises nothing of its own."""
        try:
            # An older libpq would wait for the answer to the cancel, perhaps for ever.
            if capabilities.has_cancel_safe():
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=CANCELLING)
        finally:
            self.pgconn.finish()


def _limited(gen: PQGen[RV], pid: int, seconds: float) -> PQGen[RV]:
    """The same, ended by Unanswered when nothing has come for so long."""
    ends = clock.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                ends = clock.monotonic() + seconds
            elif clock.monotonic() > ends:
                raise Unanswered(pid, seconds)
            wanted = gen.send(ready)
    except StopIteration as ended:
        result: RV = ended.value
        return result


def resolve(dsn: str) -> dict[str, str]:
    """The DSN's parts, with libpq's own defaults (environment, service) where it names none.

    Raises ConfigError.
    """
    parts = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val
    }
    return parts | parse(dsn)


def parse(dsn: str, key: str = "server.dsn") -> dict[str, str]:
    """The DSN's own parts. `key` is the setting that gave it.

    Raises ConfigError; its message never holds the DSN, which may hold a password.
    """
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise ConfigError(
            f"{key}: is not a PostgreSQL connection string.",
            hint="Write postgresql://user@host:port/dbname or key=value pairs.",
        ) from None
    return {name: str(value) for name, value in given.items() if value is not None}


def address(dsn: str) -> str:
    """Where a DSN leads, fit to be shown: `host:port/dbname as user`."""
    parts = resolve(dsn)
    host = parts.get("host") or parts.get("hostaddr") or "local socket"
    user = parts.get("user", "?")
    return f"{host}:{parts.get('port', '5432')}/{parts.get('dbname') or user} as {user}"


def connect(dsn: str, *, timeout: float = 5.0, **options: Any) -> Connection:
    """An autocommit connection with rows as dicts; ConnectError or AuthenticationError."""
    try:
        made = Connection.connect(
            dsn, row_factory=dict_row, autocommit=True, **_arguments(dsn, timeout, options)
        )
        if text := _readable(made.pgconn):
            made.execute(text)
        return made
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from None


async def connect_async(dsn: str, *, timeout: float = 5.0, **options: Any) -> AsyncConnection:
    """`connect`, for asyncio."""
    try:
        made = await psycopg.AsyncConnection.connect(
            dsn, row_factory=dict_row, autocommit=True, **_arguments(dsn, timeout, options)
        )
        if text := _readable(made.pgconn):
            await made.execute(text)
        return made
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from None


def _readable(connection: pq.abc.PGconn) -> LiteralString:
    """What makes the session write times as psycopg reads them; "" where it does.

    A role may have another DateStyle. The order of day and month stays the role's: it decides what
    a literal means.
    """
    found = connection.parameter_status(b"DateStyle")
    return "SET DateStyle = ISO" if found and not found.startswith(b"ISO") else ""


def _arguments(dsn: str, timeout: float, options: dict[str, Any]) -> dict[str, Any]:
    resolve(dsn)
    return {
        "connect_timeout": max(2, round(timeout)),
        "fallback_application_name": APPLICATION_NAME,
        # psycopg decodes JSON as UTF-8 whatever the session's encoding is.
        "client_encoding": "utf8",
        # dbopt may stand behind its own gateway, which shares server connections.
        "prepare_threshold": None,
        **options,
    }


def unreachable(dsn: str, error: psycopg.Error) -> DboptError:
    """One line: host, port, reason, what to try."""
    # libpq repeats host and port in each attempt's text; the last part is the reason, and what
    # follows on lines of their own is advice, of which there is ours.
    reason = str(error).rsplit("failed: ", 1)[-1].strip().partition("\n")[0]
    reason = reason.removeprefix("FATAL: ").strip() or type(error).__name__
    if "password" in reason or "authentication" in reason:
        return AuthenticationError(
            f"PostgreSQL at {address(dsn)} refused the login: {reason}.",
            hint="Check the user and the password (server.dsn, PGPASSWORD or ~/.pgpass).",
        )
    if reason.endswith("does not exist"):
        return ConnectError(
            f"PostgreSQL at {address(dsn)} answers: {reason}.",
            hint="Correct it in server.dsn, or give another with --dsn.",
        )
    return ConnectError(
        f"PostgreSQL at {address(dsn)} cannot be reached: {reason}.",
        hint="Is it running, and are host and port right? Give another with --dsn or server.dsn.",
    )
