"""Backend: one connection to the server, as psycopg_pool manages it and the relay uses it.

psycopg_pool asks little of a connection: `connect`, `pgconn.transaction_status`, `rollback`,
`close` and a few attributes that it sets itself. The rest is raw bytes between two transports.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, Self

from dbopt.errors import DboptError, ProtocolError, ServerLost
from dbopt.gateway.connect import Session, connect
from dbopt.gateway.downstream import Downstream
from dbopt.gateway.queue import Ticket
from dbopt.gateway.routes import Route
from dbopt.gateway.server_socket import Address
from dbopt.gateway.session import tracked
from dbopt.gateway.statements import Prepared
from dbopt.gateway.target import Target, Targets
from dbopt.wire import encode
from dbopt.wire.backend import ParameterStatus, ReadyForQuery
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import IDLE, IN_ERROR

# libpq's PGTransactionStatusType, which psycopg_pool compares with.
STATUS_IDLE, STATUS_ACTIVE, STATUS_INTRANS, STATUS_INERROR, STATUS_UNKNOWN = range(5)
_CLOSE_TIMEOUT = 5.0


class Holder(Protocol):
    """Who has leased a backend."""

    def from_server(self, data: bytes) -> None:
        """Bytes came from the server."""

    def server_lost(self) -> None:
        """The connection to the server has ended."""

    def pause_reading(self) -> None:
        """The server takes no more for now."""

    def resume_reading(self) -> None:
        """The server takes more again."""

    def tick(self, now: float, route: Route) -> None:
        """A moment of time: end what the route's timeouts say has lasted too long."""

    @property
    def pinned(self) -> str:
        """Why the backend is this one's until it leaves; "" if it is not."""


class Owner(Protocol):
    """The pool that a backend belongs to."""

    def connect_failed(self, error: DboptError) -> None:
        """An attempt to connect has failed."""

    def backend_lost(self, backend: Backend) -> None:
        """A leased backend without a client has lost its connection."""


class _PgConn:
    """What psycopg_pool looks at to see how a connection is."""

    __slots__ = ("_backend",)

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def transaction_status(self) -> int:
        backend = self._backend
        if backend.closed:
            return STATUS_UNKNOWN
        if backend.holder is not None:
            return STATUS_ACTIVE
        if backend.status == IDLE:
            return STATUS_IDLE
        return STATUS_INERROR if backend.status == IN_ERROR else STATUS_INTRANS


class Backend(asyncio.Protocol):
    """One server connection. Made by `connect`; closed for good once `closed`."""

    # Set by psycopg_pool.
    _pool: Any = None
    _created_at = 0.0
    _expire_at = 0.0
    epoch = 0
    """Which of its owner's servers it leads to: see supply.Supply.reconfigure."""

    def __init__(self, target: Target, owner: Owner, statements: int) -> None:
        self.target = target
        self.owner = owner
        self.pgconn = _PgConn(self)
        self.prepared = Prepared(statements)
        self.downstream = Downstream()
        self.holder: Holder | None = None
        self.settings: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        self.status = IDLE
        self.pid = 0
        self.secret = b""
        self.closed = False
        self.unfit = False
        """It may not go to the next client just so: see multiplexer.Pool.release."""
        self._reset_sql = b""
        self.ticket: Ticket | None = None
        self.idle_since = 0.0
        self.cancels = 0
        self.greeted = False
        self.tls = ""
        self.address: Address | None = None
        self.transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Backend {self.pid} {self.target}>"

    @property
    def reset_sql(self) -> bytes:
        """What undoes the state that its client left; b"" if it is clean.

        One that is set makes it unfit: the pool runs it before anyone gets the backend.
        """
        return self._reset_sql

    @reset_sql.setter
    def reset_sql(self, sql: bytes) -> None:
        self._reset_sql = sql
        self.unfit = self.unfit or bool(sql)

    @classmethod
    async def connect(
        cls,
        conninfo: str = "",
        *,
        targets: Targets,
        owner: Owner,
        statements: int,
        timeout: float,
        connect_query: str = "",
        epoch: int = 0,
        **_: Any,
    ) -> Self:
        """A connection that is logged in. `owner` is told when it fails.

        Raises as connect.connect. psycopg_pool gives a conninfo, which is empty here:
        `targets` say it all. `connect_query` runs before anyone is given the connection.
        """
        try:
            session = await connect(targets, timeout, connect_query)
            backend = cls(session.target, owner, statements)
            backend.epoch = epoch
            backend._begin(session)
        except DboptError as error:
            owner.connect_failed(error)
            raise
        return backend

    def _begin(self, session: Session) -> None:
        """Go on with a session that is logged in."""
        self.pid, self.secret = session.pid, session.secret
        self.address, self.tls = session.address, session.tls
        self.parameters = session.parameters
        self.settings = tracked(session.parameters)
        self.transport = session.transport
        unread = session.hand_over(self)
        if unread:
            self.data_received(unread)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        holder = self.holder
        if holder is not None:
            holder.from_server(data)
            return
        try:
            self._idle_data(data)
        except DboptError as error:
            self._fail(error)

    def _idle_data(self, data: bytes) -> None:
        for message in self.downstream.idle(data):
            if isinstance(message, ParameterStatus):
                # A rolled-back SET reports what a client had: that is nobody else's default.
                if message.name in self.settings:
                    self.settings = {**self.settings, message.name: message.value}
                else:
                    self.parameters[message.name] = message.value
            elif isinstance(message, ReadyForQuery):
                self.status = message.status
                if self._waiter is not None and not self._waiter.done():
                    self._waiter.set_result(None)
            elif isinstance(message, ErrorResponse) and message.severity != "ERROR":
                # The server says why it ends the connection; nobody may be given it any more.
                self.abort()

    def _fail(self, error: DboptError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = self.unfit = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(
                ServerLost(f"PostgreSQL at {self.target} closed the connection.")
            )
        elif self.holder is not None:
            self.holder.server_lost()
        else:
            self.owner.backend_lost(self)

    def pause_writing(self) -> None:
        """See asyncio."""
        if self.holder is not None:
            self.holder.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self.holder is not None:
            self.holder.resume_reading()

    # What psycopg_pool calls.

    async def rollback(self) -> None:
        """End a transaction that a client left open. Raises ProtocolError or ServerLost."""
        self._waiter = asyncio.get_running_loop().create_future()
        self.prepared.unnamed = None  # any simple Query ends it
        self.transport.write(encode.query(b"ROLLBACK"))
        try:
            await asyncio.wait_for(self._waiter, _CLOSE_TIMEOUT)
        except TimeoutError:
            self.abort()
            raise ProtocolError("The server did not answer ROLLBACK in time.") from None
        finally:
            self._waiter = None

    async def close(self) -> None:
        """Say goodbye and close; at once where the server does not listen."""
        if not self.closed:
            self.closed = self.unfit = True
            self.transport.write(encode.terminate())
            self.transport.close()

    def retire(self) -> None:
        """Be replaced when the client that has it is done."""
        self._expire_at = 0.0
        self.unfit = True

    def abort(self) -> None:
        """Close without a word."""
        self.closed = self.unfit = True
        if hasattr(self, "transport"):
            self.transport.abort()
