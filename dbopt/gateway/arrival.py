"""Arrival: the first stage of a client connection, in which it says and proves who it is.

It carries `login.py` over a transport: TLS, what auth_query has to say, the time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from dbopt.errors import (
    DboptError,
    ProtocolError,
    ServerRefused,
    ShuttingDown,
    TooManyClients,
    UserLookupFailed,
)
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.client_tls import ALPN, ClientTls, common_name, handshake, selected_alpn
from dbopt.gateway.connection import Connection
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.login import NO_ENCRYPTION, Login, Step, refusal
from dbopt.gateway.wishes import place
from dbopt.wire.messages import CancelRequest

log = structlog.get_logger("dbopt.gateway")

_MAX_EARLY = 1 << 20
"""Bytes that a client may send before it is welcomed."""


class Door(Protocol):
    """The worker, as one who arrives sees it."""

    login_timeout: float

    @property
    def auth(self) -> Authenticator:
        """Who may log in."""

    @property
    def tls(self) -> ClientTls | None:
        """The encryption that is offered; None for none."""

    def crowded(self) -> bool:
        """Whether there are too many connections, logged in or not, with this one."""

    def look_up(self, database: str, user: str) -> asyncio.Task[Candidate]:
        """Asks auth_query what to check a user against, whatever is known already."""

    def cancel(self, request: CancelRequest) -> asyncio.Task[None] | None:
        """A CancelRequest came; gives what is done when the server has acted on it."""

    def failed_login(self, client: Arrival, why: str) -> None:
        """A login was refused."""

    def bad_protocol(self) -> None:
        """A client did not speak the protocol."""


class Arrival(Connection):
    """See the module. Who inherits it goes on in `enter`."""

    __slots__ = (
        "_answer", "_door", "_early", "_handshake", "_login", "_login_timer", "_tls", "database",
        "user",
    )  # fmt: skip

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.database = self.user = ""  # in the client's own words, once it has said them
        self._door = door
        self._login: Login | None = None
        self._login_timer: asyncio.TimerHandle | None = None
        self._tls: ClientTls | None = None
        self._handshake: asyncio.Task[asyncio.Transport] | None = None
        self._early = b""
        self._answer = b""

    def enter(self, login: Login) -> None:
        """The client is who it says: let it in, or raise a DboptError that is told to it.

        The last answer of the login is not sent yet: `take_answer` gives it.
        """
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        if self._door.crowded():
            self.refuse(
                TooManyClients(
                    "The gateway has too many connections, some of which never log in.",
                    hint="Try again later. gateway.max_clients and the limit of open files count.",
                )
            )
            return
        loop = asyncio.get_running_loop()
        self._login_timer = loop.call_later(self._door.login_timeout, self._too_slow)
        # As PostgreSQL: a unix socket needs no encryption, and is offered none. What is of no
        # known kind (a socket that was reset has no name, on some systems) is not let off.
        if not isinstance(transport.get_extra_info("sockname"), (str, bytes)):
            self._tls = self._door.tls
        encryption = self._tls.encryption if self._tls is not None else NO_ENCRYPTION
        self._login = Login(self._door.auth, encryption)

    @property
    def place(self) -> str:
        """Where the client is: host:port, or "unix"."""
        return place(self.transport.get_extra_info("peername"))

    def leave(self) -> None:
        """See Connection."""
        self._login = None
        self.stop_timer()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._login is None or self._handshake is not None:
            self._keep(data)
        else:
            login = self._login
            self._attempt(lambda: self._drive(login, login.receive(data)))

    def _keep(self, data: bytes) -> None:
        """It did not wait for the welcome: what it sends is kept until then."""
        self._early += data
        if len(self._early) > _MAX_EARLY:
            self.transport.pause_reading()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ProtocolError as error:
            self._door.bad_protocol()
            self.refuse(error)
        except DboptError as error:
            self.refuse(error)

    def _drive(self, login: Login, answer: bytes) -> None:
        """Send what the login answers, and do what it waits for."""
        self.database, self.user = login.database, login.user
        if login.step is Step.DONE:
            self._login = None
            self._early = login.take_rest()
            self._answer = answer
            self.enter(login)
            return
        if answer:
            self.transport.write(answer)
        match login.step:
            case Step.TLS:
                self._encrypt(login)
            case Step.SECRET:
                self._look_up(login)
            case Step.CANCEL if login.cancel is not None:
                self.transport.pause_reading()  # what follows would be taken for another
                self._close_after(self._door.cancel(login.cancel))

    def take_answer(self) -> bytes:
        """The last answer of the login, for whoever sends more with it; b"" once it is taken."""
        answer, self._answer = self._answer, b""
        return answer

    # Encryption

    def _encrypt(self, login: Login) -> None:
        """Do the TLS handshake; a direct one has begun with what the login has read."""
        assert self._tls is not None  # noqa: S101 - it was offered
        self.transport.pause_reading()
        early = login.take_rest()
        loop = asyncio.get_running_loop()
        self._handshake = loop.create_task(handshake(self.transport, self, self._tls, early))
        self._handshake.add_done_callback(
            lambda task: self._attempt(lambda: self._encrypted(task, direct=bool(early)))
        )

    def _encrypted(self, task: asyncio.Task[asyncio.Transport], *, direct: bool) -> None:
        self._handshake = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            # Nobody else says that the connection is lost: it was nobody's during the handshake.
            reason = str(error) or type(error).__name__
            self._door.failed_login(self, f"The TLS handshake failed: {reason}")
            self.transport.abort()
            self.connection_lost(None)
            return
        self.transport = task.result()
        login, tls = self._login, self._tls
        if self.closed or login is None or tls is None:
            self.transport.abort()
            return
        if direct and selected_alpn(self.transport) != ALPN:
            raise ProtocolError(
                f'A connection that begins with TLS must ask for the protocol "{ALPN}" (ALPN).'
            )
        login.encrypted(tls.binding, common_name(self.transport))
        early, self._early = self._early, b""
        if early:
            self._drive(login, login.receive(early))

    # Authentication

    def _look_up(self, login: Login) -> None:
        """The user's secret is not known here: what the client sends meanwhile waits."""
        self.transport.pause_reading()
        task = self._door.look_up(login.database, login.user)
        task.add_done_callback(lambda task: self._attempt(lambda: self._looked_up(task)))

    def _looked_up(self, task: asyncio.Task[Candidate]) -> None:
        login = self._login
        error = None if task.cancelled() else task.exception()
        if self.closed or login is None:
            return
        if isinstance(error, DboptError):
            raise error
        if error is not None:
            log.error("auth_query failed", exc_info=error)
            raise UserLookupFailed("The gateway cannot look up users now.")
        if task.cancelled():
            raise ShuttingDown("The gateway is shutting down and looks up no user.")
        self.transport.resume_reading()
        self._drive(login, login.found(task.result()))

    def _close_after(self, task: asyncio.Task[None] | None) -> None:
        """As PostgreSQL does: who sees the close knows that no later statement is hit."""
        if task is None:
            self.close()
        else:
            task.add_done_callback(lambda _: self.close())

    def stop_timer(self) -> None:
        """The login is over."""
        timer, self._login_timer = self._login_timer, None
        if timer is not None:
            timer.cancel()

    def _too_slow(self) -> None:
        self.refuse(
            ServerRefused(f"The login took longer than {self._door.login_timeout:g} s.", "08006")
        )

    def refuse(self, error: DboptError) -> None:
        """Tell the client that it is not let in, and close."""
        if self.closed:
            return
        if self._handshake is not None:
            self.close()  # no word could be read; the handshake fails, and is counted
            return
        self._door.failed_login(self, error.message)
        sqlstate = error.reported if isinstance(error, ServerRefused) else error.sqlstate
        self.fatal_bytes(self.take_answer() + refusal(error, sqlstate))
