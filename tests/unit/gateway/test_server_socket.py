"""server_socket: which ways to try, and the options of a socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from dbopt.gateway.server_socket import Address, Way, addresses, reach, reason_of, ways
from dbopt.gateway.server_tls import TlsOptions
from dbopt.gateway.target import ConnectOptions, Keepalive, Target


def to(host: str = "127.0.0.1", port: int = 5432, **options: Any) -> Target:
    return Target(host, port, "shop", "ann", options=ConnectOptions(**options))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("disable", (Way.PLAIN,)),
        ("allow", (Way.PLAIN, Way.TLS)),
        ("prefer", (Way.EITHER, Way.PLAIN)),
        ("require", (Way.TLS,)),
        ("verify-ca", (Way.TLS,)),
        ("verify-full", (Way.TLS,)),
    ],
)
def test_ways(mode: str, expected: tuple[Way, ...]) -> None:
    assert expected == ways(to(tls=TlsOptions(mode=mode)))
    assert (Way.PLAIN,) == ways(to("/run/pg", tls=TlsOptions(mode=mode)))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (to("/run/pg"), Address(socket.AF_UNIX, "/run/pg/.s.PGSQL.5432")),
        (to("@pg"), Address(socket.AF_UNIX, "\0pg/.s.PGSQL.5432")),
        (to("127.0.0.1", 7), Address(socket.AF_INET, ("127.0.0.1", 7))),
        (to("::1", 7), Address(socket.AF_INET6, ("::1", 7, 0, 0))),
    ],
)
def test_addresses(target: Target, expected: Address) -> None:
    assert [expected] == asyncio.run(addresses(target))


def test_an_address_is_not_looked_up() -> None:
    target = Target("db.invalid", 7, "shop", "ann", hostaddr="127.0.0.1")
    assert [Address(socket.AF_INET, ("127.0.0.1", 7))] == asyncio.run(addresses(target))
    name = Target("", 7, "shop", "ann", hostaddr="localhost")
    with pytest.raises(socket.gaierror):
        asyncio.run(addresses(name))


def test_how_an_address_is_shown() -> None:
    assert "10.0.0.1" == str(Address(socket.AF_INET, ("10.0.0.1", 7)))
    assert "@pg/.s.PGSQL.5432" == str(Address(socket.AF_UNIX, "\0pg/.s.PGSQL.5432"))


class Meeting(asyncio.Protocol):
    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def socket_options(keepalive: Keepalive, *options: int) -> list[int]:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server:
        target = to(port=server.sockets[0].getsockname()[1], keepalive=keepalive)
        (address,) = await addresses(target)
        protocol = await reach(Meeting, target, address, Way.PLAIN)
        sock = protocol.transport.get_extra_info("socket")
        found = [sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        found += [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        protocol.transport.abort()
        await asyncio.sleep(0)
        return found


def test_keepalive() -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("missing: TCP_USER_TIMEOUT")
    options = (
        socket.TCP_KEEPIDLE,
        socket.TCP_KEEPINTVL,
        socket.TCP_KEEPCNT,
        socket.TCP_USER_TIMEOUT,
        socket.TCP_NODELAY,
    )
    keepalive = Keepalive(idle=11, interval=12, count=3, user_timeout_ms=14_000)
    assert [1, 11, 12, 3, 14_000, 1] == asyncio.run(socket_options(keepalive, *options))
    assert [0] == asyncio.run(socket_options(Keepalive(on=False)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "x"), "Connection refused"),
        (OSError(), "OSError"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "the host name cannot be one"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_reasons(error: Exception, expected: str) -> None:
    assert expected == reason_of(error)
