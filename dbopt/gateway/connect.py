"""Connecting a backend: host after host, address after address, up to a session that will do.

The rules are libpq's: a host that is not there, has no TLS where it is asked for, or is not what
target_session_attrs wants gives way to the next; a login that is refused ends the search.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dbopt.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    DboptError,
    ServerLost,
    ServerRefused,
)
from dbopt.gateway import session_attrs
from dbopt.gateway.backend_login import BackendLogin
from dbopt.gateway.server_socket import Address, Way, addresses, reach, reason_of, ways
from dbopt.gateway.server_tls import NoTls, tls_failure, tls_name
from dbopt.gateway.target import Target, Targets
from dbopt.wire.sqlstate import SqlState

T = TypeVar("T")

_MAX_NAMED: Final = 8
"""A message names this many failed attempts at most."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection that is logged in; give its transport to whoever goes on with it.

    `tls` is such as "TLSv1.3/TLS_AES_256_GCM_SHA384", or "".
    """

    target: Target
    address: Address
    transport: asyncio.Transport
    tls: str
    pid: int
    secret: bytes = field(repr=False)  # whoever holds it can cancel
    parameters: dict[str, str]
    _protocol: LoginProtocol = field(repr=False)

    def hand_over(self, protocol: asyncio.BaseProtocol) -> bytes:
        """Let `protocol` have the transport; returns what it is to read first.

        Raises ServerLost where the connection has ended meanwhile.
        """
        if self._protocol.lost:
            raise ServerLost(f"PostgreSQL at {self.target} closed the connection.")
        self.transport.set_protocol(protocol)
        return self._protocol.login.unread


class LoginProtocol(asyncio.Protocol):
    """The connection until it is logged in. `finished` is then set, or fails."""

    def __init__(self, target: Target, make_login: Callable[[bytes], BackendLogin]) -> None:
        self._target = target
        self._make_login = make_login
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.login = make_login(b"")
        self.session: ssl.SSLObject | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio. With TLS, the handshake is over."""
        self.transport = transport  # type: ignore[assignment] # uvloop's is no asyncio.Transport
        self.session = transport.get_extra_info("ssl_object")
        certificate = self.session.getpeercert(binary_form=True) if self.session else None
        if certificate:
            self.login = self._make_login(certificate)

    def begin(self) -> None:
        """Send the startup packet."""
        if not self.lost:
            self.transport.write(self.login.first())

    def result(self, address: Address) -> Session:
        """What came of it, once `finished`."""
        login, tls = self.login, tls_name(self.session)
        return Session(
            self._target, address, self.transport, tls,
            login.pid, login.secret, login.parameters, self,
        )  # fmt: skip

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            answer = self.login.receive(data)
        except DboptError as error:
            self._fail(error)
            return
        if answer:
            self.transport.write(answer)
        if self.login.done and not self.finished.done():
            self.finished.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.lost = True
        if isinstance(exc, ssl.SSLError):
            self._fail(tls_failure(str(self._target), exc))
        else:
            self._fail(ServerLost(f"PostgreSQL at {self._target} closed the connection."))

    def _fail(self, error: DboptError) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)
            self.finished.exception()  # nobody may wait any more: no word of it in the log
        if hasattr(self, "transport"):
            self.transport.abort()


async def connect(targets: Targets, timeout: float, connect_query: str = "") -> Session:
    """A session on the first of `targets` that will do.

    `timeout` is for each address, in seconds, as libpq's connect_timeout. Raises ConnectError,
    AuthenticationError, ProtocolError or ConfigError; where several servers failed, one
    ConnectError that names each and why.
    """
    search = _Search(timeout, connect_query)
    for wanted in session_attrs.passes(targets.session_attrs):
        for target in _in_order(targets.hosts, targets.load_balance):
            session = await search.try_host(target, wanted, targets.load_balance)
            if session is not None:
                return session
    raise search.failure()


class _Search:
    """One search for a session: what was tried and why it failed."""

    def __init__(self, timeout: float, connect_query: str) -> None:
        self._timeout = timeout
        self._connect_query = connect_query
        self._failures: dict[str, DboptError] = {}  # by message: each reason is told once

    async def try_host(self, target: Target, wanted: str, shuffle: bool) -> Session | None:
        """A session with this host; None where the next one is to be tried."""
        target = target.with_passfile()
        try:
            async with asyncio.timeout(self._timeout):
                found = await addresses(target)
        except (OSError, UnicodeError) as error:
            self._note(_unreachable(target, error))
            return None
        for address in _in_order(found, shuffle):
            try:
                return await self._try_address(target, address, wanted)
            except DboptError as error:
                if _is_final(error):
                    raise
                self._note(error)
        return None

    async def _try_address(self, target: Target, address: Address, wanted: str) -> Session:
        *others, last = ways(target)
        try:
            async with asyncio.timeout(self._timeout):
                for way in others:
                    try:
                        return await self._attempt(target, address, wanted, way)
                    except (NoTls, ServerRefused) as error:
                        if not _suggests_another_way(error):
                            raise
                return await self._attempt(target, address, wanted, last)
        except TimeoutError:
            raise ConnectError(
                f"PostgreSQL at {target} did not answer within {self._timeout:g} s.",
                hint="Is it overloaded? server.connect_timeout sets the limit.",
            ) from None

    async def _attempt(self, target: Target, address: Address, wanted: str, way: Way) -> Session:
        def make_login(certificate: bytes) -> BackendLogin:
            return BackendLogin(
                target,
                certificate=certificate,
                session_attrs=wanted,
                connect_query=self._connect_query,
            )

        try:
            protocol = await reach(lambda: LoginProtocol(target, make_login), target, address, way)
        except (OSError, UnicodeError) as error:
            raise _unreachable(target, error) from None
        try:
            protocol.begin()
            await protocol.finished
        except BaseException:
            protocol.transport.abort()
            raise
        return protocol.result(address)

    def _note(self, error: DboptError) -> None:
        self._failures.setdefault(error.message, error)

    def failure(self) -> DboptError:
        """The one error of all that was tried."""
        errors = list(self._failures.values())
        if len(errors) == 1:
            return errors[0]
        named = " ".join(error.message for error in errors[:_MAX_NAMED])
        message = f"None of the servers can be used. {named}"
        refusals = [error.reported for error in errors if isinstance(error, ServerRefused)]
        if len(refusals) == len(errors):  # all are temporary, so who asks may wait
            return ServerRefused(message, refusals[0])
        return ConnectError(message, hint=errors[0].hint)


def _in_order(items: Sequence[T], shuffle: bool) -> list[T]:
    return random.sample(items, len(items)) if shuffle else list(items)


def _suggests_another_way(error: DboptError) -> bool:
    """Whether sslmode allow or prefer go on the other way: TLS failed, or pg_hba.conf says no.

    Unlike libpq not after a wrong password, which would then be sent without TLS too.
    """
    if isinstance(error, ServerRefused):
        return error.reported == SqlState.INVALID_AUTHORIZATION_SPECIFICATION
    return isinstance(error, NoTls)


def _is_final(error: DboptError) -> bool:
    """Whether no other host is tried: the login itself was refused, or the settings are wrong."""
    if isinstance(error, ServerRefused):
        return not error.temporary
    return isinstance(error, (AuthenticationError, ConfigError))


def _unreachable(target: Target, error: Exception) -> DboptError:
    return ConnectError(
        f"PostgreSQL at {target} cannot be reached: {reason_of(error)}.",
        hint="Is it running, and are host and port right?",
    )
