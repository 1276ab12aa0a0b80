"""Arrival: real connections to a door that notes what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from dbopt.errors import TooManyClients, UserLookupFailed
from dbopt.gateway.arrival import Arrival
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.client_tls import ClientTls, client_tls
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.login import Login
from dbopt.gateway.userlist import Secret, SecretKind, Userlist
from dbopt.settings import Gateway
from dbopt.wire import encode
from dbopt.wire.messages import CancelRequest
from dbopt.wire.scan import messages as scan
from tests.fix_tls import Authority, Pair
from tests.support import wait_until_async

KEY = b"k" * 32
STARTUP = encode.startup({"user": "ann", "database": "shop"})
TIMEOUT = 10.0
RIGHT = Candidate(Secret(SecretKind.PLAIN, "right"))


class Directory:
    """Nobody is known: each is to be looked up."""

    def known(self, database: str, user: str) -> Candidate | None:
        return None

    def is_old(self, candidate: Candidate) -> bool:
        return False

    def distrust(self, database: str, user: str) -> None:
        """Nothing is kept."""


class House:
    """A door, what it was told, and who came in."""

    def __init__(self, auth_type: str = "trust", tls: ClientTls | None = None) -> None:
        self.login_timeout = TIMEOUT
        self.auth = Authenticator(auth_type, Userlist({}), KEY, Directory())
        self.tls = tls
        self.answer: Candidate | BaseException = RIGHT
        self.full = False
        self.most = 1000
        self.failed: list[str] = []
        self.bad = 0
        self.cancelled: list[CancelRequest] = []
        self.guests: list[Guest] = []
        self.faults: list[dict[str, Any]] = []

    def crowded(self) -> bool:
        return len(self.guests) > self.most

    def look_up(self, database: str, user: str) -> asyncio.Task[Candidate]:
        async def found() -> Candidate:
            await asyncio.sleep(0)
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return asyncio.get_running_loop().create_task(found())

    def cancel(self, request: CancelRequest) -> asyncio.Task[None] | None:
        self.cancelled.append(request)
        return None

    async def is_empty(self) -> bool:
        return all(guest.lost for guest in self.guests)

    def failed_login(self, client: Arrival, why: str) -> None:
        self.failed.append(why)

    def bad_protocol(self) -> None:
        self.bad += 1


class Guest(Arrival):
    """Whoever enters is told READY."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.house = house
        self.lost = 0
        self.entered = ""
        house.guests.append(self)

    def enter(self, login: Login) -> None:
        if self.house.full:
            raise TooManyClients("The house is full.")
        self.entered = self.user
        self.stop_timer()
        self.transport.write(self.take_answer() + encode.ready_for_query(b"I"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.leave()
        self.lost += 1


Visit = Callable[[int], Awaitable[None]]


def play(house: House, visit: Visit) -> None:
    """Run `visit`, which gets the port, until all are gone; nothing may escape to the loop."""

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: house.faults.append(context))
        server = await loop.create_server(lambda: Guest(house), "127.0.0.1", 0)
        async with server:
            await asyncio.wait_for(visit(server.sockets[0].getsockname()[1]), TIMEOUT)
            await wait_until_async(house.is_empty, what="all to leave")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert set() == others

    uvloop.run(whole())
    assert [] == house.faults
    assert not any(guest._login_timer for guest in house.guests)


async def talk(port: int, *sent: bytes) -> bytes:
    """Send this piece after piece; gives all that is answered until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for data in sent:
        writer.write(data)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def enter(port: int, context: ssl.SSLContext | None = None, **more: Any) -> bytes:
    """Log in as one who is trusted; gives what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, **more)
    writer.write(STARTUP)
    answer = await reader.readexactly(15)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def types(answer: bytes) -> str:
    return "".join(chr(type_) for type_, *_ in scan(answer))


def test_who_is_trusted_enters() -> None:
    house = House()

    async def visit(port: int) -> None:
        assert encode.authentication_ok() + encode.ready_for_query(b"I") == await enter(port)

    play(house, visit)
    assert ["ann"] == [guest.entered for guest in house.guests]
    assert ([], 0) == (house.failed, house.bad)


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_who_is_looked_up_is_asked_for_a_proof(method: str) -> None:
    house = House(method)

    async def visit(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(STARTUP)
        assert b"R" == await reader.readexactly(1)
        writer.write(encode.password(b"wrong"))
        assert b"E" in await reader.read()
        writer.close()

    play(house, visit)
    assert 1 == len(house.failed)
    assert [""] == [guest.entered for guest in house.guests]


def test_the_right_password() -> None:
    house = House("plain")

    async def visit(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(STARTUP + encode.password(b"right"))  # it does not wait to be asked
        expected = encode.authentication_cleartext() + encode.authentication_ok()
        assert expected == await reader.readexactly(len(expected))
        writer.close()

    play(house, visit)
    assert ["ann"] == [guest.entered for guest in house.guests]


@pytest.mark.parametrize(
    ("fault", "sqlstate"),
    [
        (UserLookupFailed("The gateway cannot look up users now."), b"C08006\0"),
        (asyncio.CancelledError(), b"C57P01\0"),
        (ZeroDivisionError("of the lookup"), b"C08006\0"),
    ],
)
def test_a_lookup_that_fails(fault: BaseException, sqlstate: bytes) -> None:
    house = House("plain")
    house.answer = fault

    async def visit(port: int) -> None:
        answer = await talk(port, STARTUP)
        assert "E" == types(answer)
        assert sqlstate in answer
        assert b"of the lookup" not in answer

    play(house, visit)
    assert 1 == len(house.failed)


def test_who_may_not_enter_is_told_so_after_the_proof() -> None:
    house = House()
    house.full = True

    async def visit(port: int) -> None:
        answer = await talk(port, STARTUP)
        assert "RE" == types(answer)
        assert b"The house is full." in answer

    play(house, visit)
    assert ["The house is full."] == house.failed


def test_a_crowd_is_not_waited_for() -> None:
    """Else who never says a word would take every file of the worker."""
    house = House("plain")
    house.most = 2

    async def visit(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        answer = await talk(port)
        assert "E" == types(answer)
        assert b"C53300\0" in answer
        for _, writer in silent:
            writer.close()

    play(house, visit)
    assert 1 == len(house.failed)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x03", b"\x16\x03\x01\0\0\0"])
def test_what_is_no_startup_packet(data: bytes) -> None:
    house = House()

    async def visit(port: int) -> None:
        assert "E" == types(await talk(port, data))

    play(house, visit)
    assert (1, 1) == (house.bad, len(house.failed))


@pytest.mark.parametrize("sent", [b"", STARTUP[:9], STARTUP, encode.ssl_request()])
def test_who_is_too_slow(server_cert: Pair, sent: bytes) -> None:
    house = House("plain", offered(server_cert))
    house.login_timeout = 0.1

    async def visit(port: int) -> None:
        answer = await talk(port, sent)
        if sent != encode.ssl_request():  # within the handshake no word could be read
            assert b"C08006\0" in answer

    play(house, visit)
    assert 1 == len(house.failed)


def test_a_cancel_request_closes_when_it_is_done() -> None:
    house = House("plain")

    async def visit(port: int) -> None:
        assert b"" == await talk(port, encode.cancel_request(7, b"abcd"))

    play(house, visit)
    assert [CancelRequest(7, b"abcd")] == house.cancelled
    assert [] == house.failed


# Encryption


def offered(pair: Pair, tls_mode: str = "allow") -> ClientTls:
    made = client_tls(Gateway(tls_mode=tls_mode, tls_cert=str(pair.cert), tls_key=str(pair.key)))
    assert made is not None
    return made


def trusting(authority: Authority, alpn: str = "postgresql") -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority.cert))
    made.set_alpn_protocols([alpn] if alpn else [])
    return made


def test_direct_tls(server_cert: Pair, authority: Authority) -> None:
    house = House(tls=offered(server_cert, "require"))

    async def visit(port: int) -> None:
        context = trusting(authority)
        assert b"Z" in await enter(port, context, server_hostname="localhost")

    play(house, visit)
    assert ["ann"] == [guest.entered for guest in house.guests]


def test_who_refuses_encryption_does_not_enter(server_cert: Pair) -> None:
    house = House(tls=offered(server_cert, "require"))

    async def visit(port: int) -> None:
        assert b"SSL required" in await talk(port, STARTUP)

    play(house, visit)
    assert [""] == [guest.entered for guest in house.guests]


def test_a_socket_of_no_known_kind_must_encrypt_too(server_cert: Pair) -> None:
    """Only a unix socket is let off: what does not say where it is might be anywhere."""

    class Nowhere:
        written = b""

        def get_extra_info(self, name: str) -> Any:
            return None

        def write(self, data: bytes) -> None:
            self.written += data

        def close(self) -> None:
            pass

    async def visit() -> None:
        house, wire = House(tls=offered(server_cert, "require")), Nowhere()
        guest = Guest(house)
        guest.connection_made(wire)  # type: ignore[arg-type] # of a transport it has enough
        guest.data_received(STARTUP)
        assert "" == guest.entered
        assert b"SSL required" in wire.written

    asyncio.run(visit())


@pytest.mark.parametrize("size", [1, 6, 100])
@pytest.mark.parametrize("asks", [True, False])
def test_who_resets_the_connection_in_the_handshake(
    server_cert: Pair, asks: bool, size: int
) -> None:
    """Neither a task nor a connection is left, and nothing escapes."""
    house = House(tls=offered(server_cert))
    hello = b"\x16\x03\x01\x02\0\x01" + b"\0" * 94

    async def visit(port: int) -> None:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                if asks:
                    sock.sendall(encode.ssl_request())
                    await asyncio.sleep(0)
                sock.sendall(hello[:size])
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await wait_until_async(all_came, what="all to come")

    async def all_came() -> bool:
        return len(house.guests) == 20

    play(house, visit)
    assert [1] * 20 == [min(guest.lost, 1) for guest in house.guests]
