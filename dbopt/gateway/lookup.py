"""Lookup: runs auth_query over connections of its own, a few for each database.

The statement runs as auth_user in the client's database, with a search_path that no client
and no role chose (CVE-2025-12819), and gets the user's name as a bound parameter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import (
    ConnectError,
    DboptError,
    ProtocolError,
    QueryFailed,
    ServerLost,
    ServerRefused,
    UnknownDatabase,
)
from dbopt.gateway.connect import Session
from dbopt.wire import buffer, encode
from dbopt.wire.backend import DataRow, ReadyForQuery
from dbopt.wire.codec import BackendDecoder
from dbopt.wire.messages import Bind, Execute, Parse
from dbopt.wire.report import ErrorResponse

log = structlog.get_logger("dbopt.gateway")

MAX_BACKENDS: Final = 2
"""Connections for auth_query at most, a database."""
MAX_AT_ONCE: Final = 8
"""Connections that are used or opened at one time: who has not logged in names any database."""
IDLE: Final = 10.0
"""Seconds after which an unused one is closed."""
TIMEOUT: Final = 10.0
"""Seconds that the statement may take."""

_NO_DATABASE = "3D000"
_NO_TEXT = frozenset(("22021", "22P05"))
"""A name of bytes that are no text in that database, which so has no such user."""
_SAFE_PATH = b"SET search_path = pg_catalog, pg_temp"

Rows = list[tuple[bytes | None, ...]]
Connect = Callable[[str], Awaitable[Session]]
"""Opens a connection to a database, in the client's words, as auth_user."""


class Asker(asyncio.Protocol):
    """One connection that runs auth_query, once it is logged in."""

    transport: asyncio.Transport

    def __init__(self, query: bytes) -> None:
        self.closed = False
        self.idle_since = 0.0
        self._query = query
        self._decoder = BackendDecoder()
        self._rows: Rows = []
        self._error: DboptError | None = None
        self._answer: asyncio.Future[None] | None = None

    def take_over(self, session: Session) -> None:
        """Go on with a connection. Raises ServerLost where it has ended meanwhile."""
        self.transport = session.transport
        self.data_received(session.hand_over(self))

    async def ask(self, user: str) -> Rows:
        """The rows of the statement for this user.

        Raises QueryFailed for an error of the server, and ServerLost; in either case, as
        after a cancel, the session is of no more use.
        """
        if self.closed:
            raise ServerLost("The server closed the connection for auth_query.")
        self._rows, self._error = [], None
        self._answer = asyncio.get_running_loop().create_future()
        name = buffer.encode(user)
        self.transport.write(_run(_SAFE_PATH, ()) + _run(self._query, (name,)) + encode.sync())
        await self._answer
        if self._error is not None:
            raise self._error
        return self._rows

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        self.transport.abort()

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            self._decoder.receive_data(data)
            for message in self._decoder:
                self._read(message)
        except ProtocolError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        self._fail(ServerLost("The server closed the connection while auth_query ran."))

    def _read(self, message: object) -> None:
        match message:
            case DataRow():
                self._rows = [*self._rows[:2], message.values]  # a third tells nothing new
            case ErrorResponse() if message.sqlstate in _NO_TEXT:
                pass  # no row: else who may not even log in could break connection after connection
            case ErrorResponse():
                self._error = QueryFailed(
                    f"PostgreSQL refused auth_query: {message.message} ({message.sqlstate}).",
                    hint="Try it as gateway.auth_user in that database, with search_path = "
                    "pg_catalog: what is in another schema must be named with it.",
                )
            case ReadyForQuery():
                self._end()

    def _fail(self, error: DboptError) -> None:
        self._error = error
        self._end()

    def _end(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


class Lookup:
    """Runs auth_query. It is an auth_query.Lookup.

    `user_of` tells as whom it runs in a database, in the words of the client: that user can
    never be had by it, whatever the statement gives (CVE-2015-6817). It raises UnknownDatabase
    for a database that there is not.
    """

    def __init__(
        self,
        query: str,
        connect: Connect,
        user_of: Callable[[str], str],
        clock: Clock = monotonic,
    ) -> None:
        self._query = buffer.encode(query)
        self._connect = connect
        self._user_of = user_of
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._turn = asyncio.Semaphore(MAX_AT_ONCE)
        self._closed = False

    async def secret_text(self, database: str, user: str) -> str | None:
        """See auth_query.Lookup."""
        try:
            if user == self._user_of(database):
                return None
            rows = await self._rows(database, user)
        except UnknownDatabase:
            return None  # as a user that there is not: the exchange ends like any other
        except ServerRefused as error:
            if error.reported == _NO_DATABASE:
                return None
            raise
        return self._secret(user, rows)

    def tick(self, now: float) -> None:
        """Once in a while: close what is not used."""
        for database, lane in list(self._lanes.items()):
            lane.close_idle(now - IDLE)
            if not lane.users and not lane.idle:
                del self._lanes[database]

    def close(self) -> None:
        """Close every connection; one that is in use, when its answer has come."""
        self._closed = True
        self.tick(float("inf"))

    async def _rows(self, database: str, user: str) -> Rows:
        lane = self._lanes.setdefault(database, _Lane())
        lane.users += 1
        asked = self._clock()
        try:
            async with lane.turn, self._turn:
                if lane.error is not None and lane.failed_at >= asked:
                    # The server went away while this one waited: not each must find out anew.
                    raise lane.error
                async with asyncio.timeout(TIMEOUT):
                    return await self._run(lane, database, user)
        except TimeoutError:
            raise ConnectError(f"auth_query took longer than {TIMEOUT:g} s.") from None
        finally:
            lane.users -= 1

    async def _run(self, lane: _Lane, database: str, user: str) -> Rows:
        asker = lane.take()
        if asker is not None:
            try:
                return await self._ask(lane, asker, user)
            except ServerLost:  # it may have been lost long ago: a new one tells
                pass
        try:
            asker = Asker(self._query)
            asker.take_over(await self._connect(database))
        except DboptError as error:
            lane.error, lane.failed_at = error, self._clock()
            raise
        return await self._ask(lane, asker, user)

    async def _ask(self, lane: _Lane, asker: Asker, user: str) -> Rows:
        try:
            rows = await asker.ask(user)
        except BaseException:
            asker.close()
            raise
        if self._closed:
            asker.close()
        else:
            asker.idle_since = self._clock()
            lane.idle.append(asker)
        return rows

    def _secret(self, user: str, rows: Rows) -> str | None:
        """The secret of the one row that is this user's."""
        if not rows:
            return None
        if len(rows) > 1 or len(rows[0]) < 2 or rows[0][0] != buffer.encode(user):
            log.warning(
                "auth_query must give one row: the name it was asked for, and the secret",
                user=user, rows=len(rows),
            )  # fmt: skip
            return None
        secret = rows[0][1]
        return buffer.decode(secret) if secret else None


class _Lane:
    """What there is for one database."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(MAX_BACKENDS)
        self.idle: list[Asker] = []
        self.users = 0
        self.error: DboptError | None = None
        self.failed_at = 0.0

    def take(self) -> Asker | None:
        """One that is not in use, and is not lost as far as is known."""
        while self.idle:
            asker = self.idle.pop()
            if not asker.closed:
                return asker
        return None

    def close_idle(self, since: float) -> None:
        """Close what has not been used since then."""
        for asker in self.idle:
            if asker.idle_since <= since:
                asker.close()
        self.idle = [asker for asker in self.idle if not asker.closed]


def _run(sql: bytes, values: tuple[bytes, ...]) -> bytes:
    """A statement by the extended protocol: Parse, Bind, Execute, of the unnamed ones."""
    return (
        Parse(b"", sql).encode() + Bind(b"", b"", (), values, ()).encode() + Execute(b"").encode()
    )
