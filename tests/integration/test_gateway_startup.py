"""The pitfalls of startup packets, each beside what PostgreSQL itself does with it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.wire import buffer, encode, types
from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    TIMEOUT,
    Raw,
    cancel,
    connected,
    fields,
    query,
    rows,
    shape,
    sqlstates,
)
from tests.support import wait_until


def packet(body: bytes, code: int = types.PROTOCOL_3_0) -> bytes:
    """A startup packet with whatever behind its code."""
    return buffer.untyped_frame(code.to_bytes(4) + body)


def pairs(*parts: str | bytes) -> bytes:
    """Zero-terminated strings and the last zero."""
    data = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(part + b"\0" for part in data) + b"\0"


def names(gateway: Gateway) -> tuple[str, str, str, str]:
    parts = conninfo_to_dict(gateway.settings.server.dsn)
    return "user", str(parts["user"]), "database", str(parts["dbname"])


def startup(gateway: Gateway, **parameters: str) -> bytes:
    key, user, other, database = names(gateway)
    return encode.startup({key: user, other: database, **parameters})


def address(gateway: Gateway, *, server: bool) -> tuple[str, int]:
    if not server:
        return gateway.host, gateway.port
    parts = conninfo_to_dict(gateway.settings.server.dsn)
    return str(parts["host"]), int(str(parts["port"]))


def answer(gateway: Gateway, data: bytes, *, server: bool) -> bytes:
    """All that is answered to one packet, up to the end of the stream."""
    with socket.create_connection(address(gateway, server=server), TIMEOUT) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionResetError):  # it did not read all
            while more := sock.recv(1 << 16):
                found += more
        return found


def refusal(data: bytes) -> tuple[str, str]:
    """The type and the SQLSTATE of an answer that is one message."""
    assert len(data) == 1 + int.from_bytes(data[1:5]), data
    return chr(data[0]), fields((data[:1], data[5:]))["C"]


REFUSED = {
    "oversized_cve_2026_6664": b"\0\0\x27\x21\0\x03\0\0" + b"x" * 9993,
    "length_overflow_cve_2026_6664": b"\x7f\xff\xff\xff\0\x03\0\0",
    "negative_length_cve_2026_6664": b"\xff\xff\xff\xff\0\x03\0\0",
    "length_of_nothing": b"\0\0\0\0",
    "length_less_than_itself": b"\0\0\0\x03",
    "no_code": b"\0\0\0\x04",
    "half_a_code": b"\0\0\0\x06\0\x03",
    "no_terminator": packet(b"user\0postgres\0"),
    "too_much_behind_the_terminator": packet(pairs("user", "postgres") + b"x\0"),
    "a_name_without_a_value": packet(b"user\0postgres\0database\0"),
    "no_parameters": packet(b"\0"),
    "nul_in_a_name": packet(pairs("user", b"post\0gres")),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_startup_packet(shared_gateway: Gateway, name: str) -> None:
    """PostgreSQL closes such a connection without a word or with a FATAL; so do we, with one."""
    data = answer(shared_gateway, REFUSED[name], server=False)
    kind, sqlstate = refusal(data)
    assert "E" == kind
    assert sqlstate in ("08P01", "28P01", "28000", "3D000")
    assert not answer(shared_gateway, REFUSED[name], server=True).startswith(b"R")


def test_protocol_2_is_refused_with_a_message_an_old_client_can_show(
    shared_gateway: Gateway,
) -> None:
    data = packet(pairs("user", "postgres"), 2 << 16)
    ours = answer(shared_gateway, data, server=False)
    theirs = answer(shared_gateway, data, server=True)
    assert b"E" == ours[:1] == theirs[:1]
    for told in (ours, theirs):
        assert b"unsupported frontend protocol 2.0" in told
        assert told.endswith(b"\n\0")


def test_protocol_4_is_refused_in_the_words_of_3(shared_gateway: Gateway) -> None:
    data = packet(pairs("user", "postgres"), 4 << 16)
    assert ("E", "0A000") == refusal(answer(shared_gateway, data, server=False))
    assert ("E", "0A000") == refusal(answer(shared_gateway, data, server=True))


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 9999])
@pytest.mark.parametrize("options", [[], ["_pq_.a"], ["_pq_.a", "_pq_.b.c"]])
def test_pq_options_and_negotiate_protocol_version(
    shared_gateway: Gateway, minor: int, options: list[str]
) -> None:
    extra = [word for name in options for word in (name, "on")]
    data = packet(pairs(*names(shared_gateway), *extra), 3 << 16 | minor)
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(data)
        found = raw.until(b"Z")
        told = [payload for kind, payload in found if kind == b"v"]
        expected = encode.negotiate_protocol_version(0, options)[5:]
        assert ([expected] if minor or options else []) == told
        assert (b"Z", b"I") == found[-1]
        assert [(b"1",)] == rows(raw.ask(query("SELECT 1")))


@pytest.mark.parametrize("size", [1, 2, 5, 13])
def test_split_or_bytewise_startup_packets(shared_gateway: Gateway, size: int) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        for request in (m.GSSENCRequest(), m.SSLRequest()):
            raw.send_bytewise(request.encode(), size)
            assert b"N" == raw.socket.recv(1)
        raw.send_bytewise(startup(shared_gateway), size)
        assert (b"Z", b"I") == raw.until(b"Z")[-1]


@pytest.mark.parametrize("request_", [m.SSLRequest(), m.GSSENCRequest()])
def test_several_sslrequests(shared_gateway: Gateway, request_: m.SSLRequest) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(request_.encode())
        assert b"N" == raw.socket.recv(1)
        raw.send(request_.encode())
        assert ["08P01"] == sqlstates(raw.rest())


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        (r"-c application_name=a\ b", "application_name", "a b"),
        (r"-capplication_name=a\\b", "application_name", r"a\b"),
        ("--search_path=x,y", "search_path", "x,y"),
        ("-c  work_mem=4MB  -c statement_timeout=1s", "statement_timeout", "1s"),
        ("--work-mem=4MB", "work_mem", "4MB"),
        ("-c application_name=it's;\\ DROP", "application_name", "it's; DROP"),
        (r"-c application_name=',\ false);\ --", "application_name", "', false); --"),
        (r"-c application_name=\\'\ $1", "application_name", r"\' $1"),
    ],
)  # fmt: skip
def test_options_escapes_and_injection(
    shared_gateway: Gateway, options: str, setting: str, value: str
) -> None:
    for server in (True, False):
        host, port = address(shared_gateway, server=server)
        with connected(host, port) as raw:
            raw.send(startup(shared_gateway, options=options))
            assert (b"Z", b"I") == raw.until(b"Z")[-1]
            found = rows(raw.ask(query(f"SHOW {setting}")))
            assert [(value.encode(),)] == found, server


@pytest.mark.parametrize(
    "options", ["-c a'b=1", "-c search_path", "-d 5", "-B 10", "-c a;b=1", "x", "-c", "-W 5"]
)
def test_options_that_are_no_settings(shared_gateway: Gateway, options: str) -> None:
    data = startup(shared_gateway, options=options)
    assert answer(shared_gateway, data, server=False)[-1:] != b"I"
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(data)
        assert sqlstates(raw.rest())[0] in ("08P01", "42601", "42704", "22023")


@pytest.mark.parametrize("value", ["no such zone", "'; DROP TABLE t; --"])
def test_a_setting_that_the_server_refuses(shared_gateway: Gateway, value: str) -> None:
    for server in (True, False):
        with connected(*address(shared_gateway, server=server)) as raw:
            raw.send(startup(shared_gateway, TimeZone=value))
            assert ["22023"] == sqlstates(raw.rest()), server


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"caf\xe9"])
def test_bad_utf_8_in_names(shared_gateway: Gateway, bad: bytes) -> None:
    key, user, other, database = names(shared_gateway)
    for data in (pairs(key, bad, other, database), pairs(key, user, other, bad)):
        with connected(shared_gateway.host, shared_gateway.port) as raw:
            raw.send(packet(data))
            (sqlstate,) = sqlstates(raw.rest())
            assert sqlstate in ("28000", "28P01", "3D000")
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(packet(pairs(key, user, other, database, "search_path", bad)))
        assert ["08P01"] == sqlstates(raw.rest())


@pytest.mark.parametrize("name", [b"caf\xc3\xa9", b"caf\xe9", b"a\nb\x1b[0m", b"x" * 100, b""])
def test_an_application_name_is_what_postgresql_makes_of_it(
    shared_gateway: Gateway, name: bytes
) -> None:
    found = []
    for server in (True, False):
        with connected(*address(shared_gateway, server=server)) as raw:
            raw.send(packet(pairs(*names(shared_gateway), "application_name", name)))
            told = [payload for kind, payload in raw.until(b"Z") if kind == b"S"]
            shown = rows(raw.ask(query("SHOW application_name")))
            found.append(([one for one in told if b"application_name" in one], shown))
    assert found[0] == found[1]


def test_clients_of_new_names_are_welcomed_without_asking_the_server(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(pool__max_size=1)
    with connected(gateway.host, gateway.port) as raw:
        raw.send(startup(gateway, application_name="first"))
        assert (b"Z", b"I") == raw.until(b"Z")[-1]
        assert b"Z" == raw.ask(query("BEGIN"))[-1][0]  # the only backend is taken
        for number in range(5):
            with connected(gateway.host, gateway.port) as other:
                other.send(startup(gateway, application_name=f"app {number}"))
                told = dict(
                    payload.split(b"\0")[:2] for kind, payload in other.until(b"Z") if kind == b"S"
                )
                assert f"app {number}".encode() == told[b"application_name"]
        raw.ask(query("COMMIT"))


def test_application_name_add_host(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__application_name_add_host=True)
    for given, shown in (("web", "web"), ("", "app")):
        with gateway.connect(application_name=given) as connection:
            (name,) = connection.execute("SHOW application_name").fetchone() or ("",)
            host, _, port = str(name).removeprefix(f"{shown} - ").rpartition(":")
            assert ("127.0.0.1", True) == (host, port.isdigit())
    with gateway.connect(host=gateway.socket_dir, application_name="web") as connection:
        assert ("web - unix",) == connection.execute("SHOW application_name").fetchone()


# Keys and cancels


def test_pid_and_secret_are_each_clients_own(shared_gateway: Gateway) -> None:
    seen = set()
    for _ in range(50):
        with connected(shared_gateway.host, shared_gateway.port) as raw:
            raw.send(startup(shared_gateway))
            (key,) = [payload for kind, payload in raw.until(b"Z") if kind == b"K"]
            assert 8 == len(key)
            seen.add(key)
    assert 50 == len({key[:4] for key in seen})
    assert 50 == len({key[4:] for key in seen})


def test_a_cancel_with_a_wrong_secret_does_nothing(shared_gateway: Gateway) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(startup(shared_gateway))
        for kind, payload in raw.until(b"Z"):
            if kind == b"K":
                raw.pid, raw.secret = int.from_bytes(payload[:4]), payload[4:]
        right, raw.secret = raw.secret, bytes(4)
        raw.send(query("SELECT pg_sleep(0.3)"))
        cancel(shared_gateway.host, shared_gateway.port, raw)
        raw.secret = right + b"x" * 200
        cancel(shared_gateway.host, shared_gateway.port, raw)
        assert [(b"",)] == rows(raw.until(b"Z"))


# Time and memory


@pytest.mark.parametrize("sent", [b"", b"\0", startup])
def test_login_timeout(make_gateway: GatewayFactory, sent: Any, userlist: Any) -> None:
    gateway = make_gateway(
        gateway__login_timeout=0.3,
        gateway__auth_type="scram-sha-256",
        gateway__userlist=userlist('"postgres" "x"\n'),
    )
    with connected(gateway.host, gateway.port) as raw:
        raw.send(sent(gateway) if callable(sent) else sent)
        found = raw.rest()
        assert "E" == shape(found)[-1]
        assert ["08006"] == sqlstates(found)


def test_a_login_timeout_ends_with_the_login(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(gateway__login_timeout=1.0)
    with gateway.connect() as connection:
        assert ("",) == connection.execute("SELECT pg_sleep(1.3)").fetchone()
        assert (1,) == connection.execute("SELECT 1").fetchone()


def memory(gateway: Gateway) -> int:
    """The worker's resident bytes."""
    with open(f"/proc/{gateway.pids[0]}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_an_idle_client_takes_little_memory(make_gateway: GatewayFactory) -> None:
    """The issue's target is 12 kB."""
    gateway = make_gateway(gateway__max_clients=5000)
    count = 1000

    def enter(number: int) -> Raw:
        raw = Raw(socket.create_connection((gateway.host, gateway.port), TIMEOUT))
        raw.send(startup(gateway))
        assert (b"Z", b"I") == raw.until(b"Z")[-1]
        return raw

    clients = [enter(number) for number in range(100)]
    try:
        before = memory(gateway)
        clients += [enter(number) for number in range(count)]
        gateway.seen.next_frame()
        each = (memory(gateway) - before) / count
        assert each < 12_000, each
    finally:
        for raw in clients:
            raw.socket.close()
    wait_until(lambda: gateway.seen.snapshots[0].clients == 0, what="all clients to be gone")


def test_many_clients_at_the_same_time(shared_gateway: Gateway) -> None:
    found: list[Any] = []

    def enter() -> None:
        with shared_gateway.connect() as connection:
            found.append(connection.execute("SELECT 1").fetchone())

    threads = [threading.Thread(target=enter) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(1,)] * 30 == found


def test_libpq_with_every_negotiation(shared_gateway: Gateway) -> None:
    for parameters in (
        {"sslmode": "prefer", "gssencmode": "prefer"},
        {"sslmode": "allow", "gssencmode": "disable"},
        {"sslmode": "disable", "gssencmode": "prefer"},
    ):
        with psycopg.connect(shared_gateway.dsn(**parameters)) as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
