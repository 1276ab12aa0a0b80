"""The way to a server: its addresses, a socket, TLS. Backends and cancels go the same way.

Works on asyncio and uvloop alike: what is said before TLS goes over the bare socket, and a
transport is made of it afterwards.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

from dbopt.errors import ConnectError
from dbopt.gateway.server_tls import CONTEXTS, NoTls, check_peer, tls_failure
from dbopt.gateway.target import Keepalive, Target
from dbopt.wire import encode

P = TypeVar("P", bound=asyncio.BaseProtocol)

_TLS_SHUTDOWN_TIMEOUT: Final = 2.0
"""Seconds that a server has to answer the end of TLS, after which it is cut."""


class Way(Enum):
    """How to speak to the server."""

    PLAIN = auto()
    TLS = auto()
    EITHER = auto()
    """TLS if the server has it."""


@dataclass(frozen=True, slots=True)
class Address:
    """One of the addresses of a target, as a socket takes it."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        if self.family == socket.AF_UNIX:
            return str(self.sockaddr).replace("\0", "@")
        return str(self.sockaddr[0])


def ways(target: Target) -> tuple[Way, ...]:
    """What sslmode lets one try in turn; a unix socket has no TLS, as in libpq."""
    mode = target.options.tls.mode
    if target.socket_path or mode == "disable":
        return (Way.PLAIN,)
    if mode == "allow":
        return (Way.PLAIN, Way.TLS)
    return (Way.EITHER, Way.PLAIN) if mode == "prefer" else (Way.TLS,)


async def addresses(target: Target) -> list[Address]:
    """All addresses of a target, in the resolver's order. Raises OSError or UnicodeError."""
    if path := target.socket_path:
        return [Address(socket.AF_UNIX, "\0" + path[1:] if path.startswith("@") else path)]
    name = target.hostaddr or target.host
    flags = socket.AI_NUMERICHOST if target.hostaddr else 0
    found = await asyncio.get_running_loop().getaddrinfo(
        _plain(name), target.port, type=socket.SOCK_STREAM, flags=flags,
    )  # fmt: skip
    return list(dict.fromkeys(Address(family, sockaddr) for family, *_, sockaddr in found))


async def reach(make: Callable[[], P], target: Target, address: Address, way: Way) -> P:
    """A connection to that address, whose protocol `make` makes; it is told of its transport.

    With TLS, `connection_made` is called when the handshake is over, and `connection_lost` may
    be called without it.

    Raises ConnectError where the server does not do what `way` asks, OSError (ssl.SSLError
    among them) and ConfigError for TLS files that cannot be used.
    """
    # `make_context` reads files before anything is said: an error costs the server nothing.
    context = None if way is Way.PLAIN else CONTEXTS.get(target.options.tls)
    sock = await _connected(address, target.options.keepalive)
    try:
        secured = await _negotiate(sock, target, way)
    except BaseException:
        sock.close()
        raise
    protocol = make()
    transport = await _transport(sock, protocol if not secured else asyncio.Protocol())
    if context is not None and secured:
        protocol.connection_made(await _secure(transport, protocol, context, target))
    return protocol


async def _transport(sock: socket.socket, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    make = loop.create_unix_connection if sock.family == socket.AF_UNIX else loop.create_connection
    return (await make(lambda: protocol, sock=sock))[0]


async def _connected(address: Address, keepalive: Keepalive) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if address.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(sock, keepalive)
        sockaddr = address.sockaddr
        if address.family != socket.AF_UNIX:
            sockaddr = (_plain(sockaddr[0]), *sockaddr[1:])  # uvloop resolves it once more
        await asyncio.get_running_loop().sock_connect(sock, sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _plain(host: str) -> str | bytes:
    """For the resolver: for a str, CPython loads its tables of Unicode, 1.4 MB in each worker."""
    return host.encode() if host.isascii() else host


def _keep_alive(sock: socket.socket, keepalive: Keepalive) -> None:
    values = {
        "TCP_KEEPIDLE": keepalive.idle,
        "TCP_KEEPINTVL": keepalive.interval,
        "TCP_KEEPCNT": keepalive.count,
    }
    if keepalive.on:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in values.items():
            _set(sock, name, value)
    _set(sock, "TCP_USER_TIMEOUT", keepalive.user_timeout_ms)


def _set(sock: socket.socket, name: str, value: int) -> None:
    if value and hasattr(socket, name):  # not every system has each of them
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _negotiate(sock: socket.socket, target: Target, way: Way) -> bool:
    """Whether TLS begins now. Raises ConnectError where it must and does not."""
    if way is Way.PLAIN or target.options.tls.direct:
        return way is not Way.PLAIN
    secured = await _ask_for_tls(sock, target)
    if not secured and way is Way.TLS:
        raise NoTls(
            f"PostgreSQL at {target} has no TLS, and sslmode={target.options.tls.mode} demands it.",
            hint="Set ssl=on in its postgresql.conf.",
        )
    return secured


async def _ask_for_tls(sock: socket.socket, target: Target) -> bool:
    """Send an SSLRequest; whether the server takes it.

    Exactly its answer is read. What follows in plain text is not the server's, which now waits
    for us: somebody in between would have us take it for what came encrypted (CVE-2021-23222).
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, encode.ssl_request())
    answer = await loop.sock_recv(sock, 2)
    if answer == b"S":
        return True
    if answer == b"N":
        return False
    if not answer:
        raise NoTls(f"PostgreSQL at {target} closed the connection when it was asked for TLS.")
    if answer[:1] in (b"S", b"N"):
        raise ConnectError(
            f"PostgreSQL at {target} sent data before the TLS handshake (CVE-2021-23222).",
            hint="Somebody may stand in between.",
        )
    # Its text would come from anybody, as nothing is encrypted yet (CVE-2024-10977).
    raise NoTls(f"PostgreSQL at {target} answered a request for TLS with an error.")


async def _secure(
    transport: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    target: Target,
) -> asyncio.Transport:
    """Speak TLS on the transport, which so far was nobody's.

    Not by create_connection(ssl=...): where the handshake fails at once, uvloop (0.23) closes
    the descriptor and leaves the socket object, which closes that number once more later, be
    it another connection's by then.
    """
    names = target.options.tls.sni
    try:
        secured = await asyncio.get_running_loop().start_tls(
            transport,
            protocol,
            context,
            # "" says the name to nobody, and leaves it to `check_peer`.
            server_hostname=(target.host or target.hostaddr) if names else "",
            ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT,
        )
        if secured is not None:
            _check_session(secured, target)
            return secured
    except (OSError, ValueError) as error:
        transport.abort()
        raise tls_failure(str(target), error) from None
    except BaseException:
        transport.abort()
        raise
    raise tls_failure(str(target), ConnectionAbortedError("it closed the connection"))


def _check_session(transport: asyncio.Transport, target: Target) -> None:
    session = transport.get_extra_info("ssl_object")
    check_peer(session, target.options.tls, target.host or target.hostaddr, str(target))


def reason_of(error: Exception) -> str:
    """Why a connection could not be made, in a few words."""
    if isinstance(error, UnicodeError):
        return "the host name cannot be one"
    if isinstance(error, socket.gaierror) or not getattr(error, "errno", None):
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return os.strerror(error.errno)  # type: ignore[attr-defined] # an OSError
