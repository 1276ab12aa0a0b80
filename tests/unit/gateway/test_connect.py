"""connect: a login's connection, and how a search ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from dbopt.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    DboptError,
    ProtocolError,
    ServerLost,
    ServerRefused,
)
from dbopt.gateway import connect as module
from dbopt.gateway.backend_login import BackendLogin
from dbopt.gateway.connect import LoginProtocol, Session, connect
from dbopt.gateway.server_socket import Address, Way
from dbopt.gateway.server_tls import NoTls, TlsOptions
from dbopt.gateway.target import ConnectOptions, Target, Targets
from dbopt.wire import encode

WELCOME = (
    encode.authentication_ok() + encode.backend_key_data(7, b"abcd") + encode.ready_for_query(b"I")
)
ADDRESS = Address(2, ("127.0.0.1", 1))


def target(name: str, mode: str = "disable") -> Target:
    options = ConnectOptions(tls=TlsOptions(mode=mode), passfile="/none")
    return Target(name, 1, "shop", "ann", options=options)


class Wire:
    """A transport in memory."""

    def __init__(self, session: object = None) -> None:
        self.written = b""
        self.aborted = False
        self.protocol: object = None
        self._session = session

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> object:
        return self._session if name == "ssl_object" else None

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def protocol_of(host: Target) -> LoginProtocol:
    return LoginProtocol(host, lambda certificate: BackendLogin(host, certificate=certificate))


def met(wire: Wire) -> LoginProtocol:
    protocol = protocol_of(target("a"))
    protocol.connection_made(cast(Any, wire))
    protocol.begin()
    return protocol


def test_a_session_is_handed_over() -> None:
    async def play() -> None:
        wire = Wire()
        protocol = met(wire)
        protocol.data_received(WELCOME + b"S\0\0")
        await protocol.finished
        session = protocol.result(ADDRESS)
        assert (7, b"abcd", "", ADDRESS) == (
            session.pid,
            session.secret,
            session.tls,
            session.address,
        )
        assert "abcd" not in repr(session)
        heir = asyncio.Protocol()
        assert b"S\0\0" == session.hand_over(heir)
        assert heir is wire.protocol

    run(play())


def test_a_session_that_is_lost_before_it_is_handed_over() -> None:
    async def play() -> None:
        protocol = met(Wire())
        protocol.data_received(WELCOME)
        protocol.connection_lost(None)
        await protocol.finished
        with pytest.raises(ServerLost):
            protocol.result(ADDRESS).hand_over(asyncio.Protocol())

    run(play())


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        (lambda p: p.data_received(b"garbage....."), ProtocolError),
        (lambda p: p.data_received(encode.error_fields("FATAL", "3D000", "x")), ServerRefused),
        (lambda p: p.connection_lost(None), ServerLost),
        (lambda p: p.connection_lost(ConnectionResetError()), ServerLost),
        (lambda p: p.connection_lost(ssl.SSLError(1, "tlsv13 alert")), NoTls),
    ],
)
def test_a_login_that_fails(
    happens: Callable[[LoginProtocol], None], error: type[DboptError]
) -> None:
    async def play() -> None:
        wire = Wire()
        protocol = met(wire)
        happens(protocol)
        with pytest.raises(error):
            await protocol.finished
        assert wire.aborted

    run(play())


def test_a_connection_that_never_was() -> None:
    async def play() -> None:
        protocol = protocol_of(target("a"))
        protocol.data_received(b"garbage.....")  # before TLS was agreed on
        protocol.connection_lost(None)
        with pytest.raises(ProtocolError):
            await protocol.finished

    run(play())


# The search

Attempts = list[tuple[str, str, Way]]


def search(
    monkeypatch: pytest.MonkeyPatch,
    targets: Targets,
    answer: Callable[[str, str, Way], DboptError | None],
) -> tuple[Attempts, DboptError | None]:
    """What is tried, by host, attribute and way, and how it ends."""
    attempts: Attempts = []

    async def attempt(_: Any, host: Target, address: Address, wanted: str, way: Way) -> Session:
        attempts.append((host.host, wanted, way))
        error = answer(host.host, wanted, way)
        if error is not None:
            raise error
        return cast(Session, object())

    async def addresses(host: Target) -> list[Address]:
        return [ADDRESS]

    monkeypatch.setattr(module._Search, "_attempt", attempt)
    monkeypatch.setattr(module, "addresses", addresses)
    try:
        asyncio.run(connect(targets, 5.0))
    except DboptError as error:
        return attempts, error
    return attempts, None


REFUSED_BY_HBA = ServerRefused("no pg_hba.conf entry", "28000")
WRONG_PASSWORD = ServerRefused("password authentication failed", "28P01")
FULL = ServerRefused("too many clients", "53300")
AWAY = ConnectError("nobody there")


@pytest.mark.parametrize(
    ("mode", "error", "expected"),
    [
        ("prefer", NoTls("no"), [Way.EITHER, Way.PLAIN]),
        ("prefer", REFUSED_BY_HBA, [Way.EITHER, Way.PLAIN]),
        ("prefer", WRONG_PASSWORD, [Way.EITHER]),
        ("prefer", ConnectError("data before the handshake"), [Way.EITHER]),
        ("allow", REFUSED_BY_HBA, [Way.PLAIN, Way.TLS]),
        ("allow", AWAY, [Way.PLAIN]),
        ("require", REFUSED_BY_HBA, [Way.TLS]),
        ("require", NoTls("no"), [Way.TLS]),
        ("disable", REFUSED_BY_HBA, [Way.PLAIN]),
    ],
)
def test_when_another_way_is_tried(
    monkeypatch: pytest.MonkeyPatch, mode: str, error: DboptError, expected: list[Way]
) -> None:
    attempts, caught = search(monkeypatch, Targets((target("a", mode),)), lambda *_: error)
    assert expected == [way for _, _, way in attempts]
    assert error is caught


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (AWAY, True),
        (NoTls("no"), True),
        (FULL, True),
        (ServerRefused("starting up", "57P03"), True),
        (ServerLost("closed"), True),
        (ProtocolError("HTTP"), True),
        (WRONG_PASSWORD, False),
        (ServerRefused("no such database", "3D000"), False),
        (AuthenticationError("no password"), False),
        (ConfigError("no such file"), False),
    ],
)
def test_when_the_next_host_is_tried(
    monkeypatch: pytest.MonkeyPatch, error: DboptError, goes_on: bool
) -> None:
    targets = Targets((target("a"), target("b")))
    attempts, caught = search(monkeypatch, targets, lambda host, *_: error if host == "a" else None)
    assert (["a", "b"] if goes_on else ["a"]) == [host for host, _, _ in attempts]
    assert (None if goes_on else error) is caught


def test_prefer_standby_looks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = Targets((target("a"), target("b")), "prefer-standby")
    attempts, caught = search(
        monkeypatch, targets, lambda host, wanted, _: AWAY if wanted == "standby" else None
    )
    assert [("a", "standby"), ("b", "standby"), ("a", "any")] == [a[:2] for a in attempts]
    assert caught is None


def test_how_several_failures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Targets((target("a"), target("b"), target("c")))
    reasons = {"a": AWAY, "b": NoTls("b has no TLS"), "c": AWAY}
    _, error = search(monkeypatch, hosts, lambda host, *_: reasons[host])
    assert type(error) is ConnectError
    assert "None of the servers can be used. nobody there b has no TLS" == error.message
    _, error = search(monkeypatch, hosts, lambda *_: AWAY)
    assert error is AWAY


def test_refusals_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Targets((target("a"), target("b")))
    reasons = {"a": FULL, "b": ServerRefused("starting up", "57P03")}
    _, error = search(monkeypatch, hosts, lambda host, *_: reasons[host])
    assert isinstance(error, ServerRefused)
    assert ("53300", True) == (error.reported, error.temporary)
