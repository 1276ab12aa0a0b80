"""How clients get in, and who does not."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.gateway.scram import make_verifier
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.md5 import md5_secret
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import Raw, connected, fields, query, shape, sqlstates
from tests.support import wait_until

Connection = psycopg.Connection[Any]
PASSWORD = "it's a s\u00e9cret"


@pytest.fixture
def walled(
    make_gateway: GatewayFactory, userlist: Callable[[str], str], pg_conn: Connection
) -> Gateway:
    """A gateway that asks for passwords; `anna` has hers as a verifier."""
    pg_conn.execute("DO $$BEGIN CREATE ROLE anna LOGIN; EXCEPTION WHEN OTHERS THEN END$$")
    verifier = make_verifier(PASSWORD)
    path = userlist(f'"postgres" "{PASSWORD}"\n"anna" "{verifier}"\n')
    return make_gateway(gateway__auth_type="scram-sha-256", gateway__userlist=path)


@pytest.mark.parametrize("user", ["postgres", "anna"])
def test_scram(walled: Gateway, user: str) -> None:
    with walled.connect(user=user, password=PASSWORD, require_auth="scram-sha-256") as connection:
        assert (user,) == connection.execute("SELECT current_user").fetchone()


@pytest.mark.parametrize(
    ("auth_type", "kind", "method"),
    [
        ("scram-sha-256", "plain", "scram-sha-256"),
        ("scram-sha-256", "scram", "scram-sha-256"),
        ("scram-sha-256", "md5", ""),
        ("md5", "plain", "md5"),
        ("md5", "md5", "md5"),
        ("md5", "scram", "scram-sha-256"),
        ("plain", "plain", "password"),
        ("plain", "md5", "password"),
        ("plain", "scram", "password"),
    ],
)
def test_auth_type_by_kind_of_secret(
    make_gateway: GatewayFactory,
    userlist: Callable[[str], str],
    auth_type: str,
    kind: str,
    method: str,
) -> None:
    secrets = {
        "plain": PASSWORD,
        "md5": md5_secret("postgres", PASSWORD),
        "scram": str(make_verifier(PASSWORD)),
    }
    path = userlist(f'"postgres" "{secrets[kind]}"\n')
    gateway = make_gateway(gateway__auth_type=auth_type, gateway__userlist=path)
    if method:
        with gateway.connect(password=PASSWORD, require_auth=method) as connection:
            assert ("postgres",) == connection.execute("SELECT current_user").fetchone()
    else:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            gateway.connect(password=PASSWORD).close()
    assert "password authentication failed" in refused(gateway, "postgres")


def test_a_userlist_is_read_again_at_a_reload_and_a_broken_one_is_not(
    make_gateway: GatewayFactory, userlist: Callable[[str], str]
) -> None:
    path = userlist('"postgres" "first"\n')
    gateway = make_gateway(gateway__auth_type="scram-sha-256", gateway__userlist=path)

    def enters(password: str) -> bool:
        try:
            gateway.connect(password=password).close()
        except psycopg.OperationalError as error:
            assert "password authentication failed" in str(error)  # noqa: PT017
            return False
        return True

    assert enters("first")
    userlist('"postgres" "second"\n')
    gateway.reload()
    wait_until(lambda: enters("second"), what="the new user list")
    assert not enters("first")
    userlist("broken")
    gateway.reload(**{"trace.slow": 1.0})
    gateway.seen.next_frame()
    assert enters("second")


def refused(gateway: Gateway, user: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        gateway.connect(user=user, password="wrong").close()
    return str(caught.value).partition("FATAL:")[2].replace(user, "USER").strip()


def test_a_wrong_password_and_an_unknown_user_look_alike(walled: Gateway) -> None:
    messages = {refused(walled, user) for user in ("postgres", "anna", "nobody_of_that_name")}
    assert 1 == len(messages), messages
    assert "authentication failed" in messages.pop()
    walled.seen.next_frame()
    assert 3 == walled.seen.snapshots[0].login_failures


def test_they_take_as_long(walled: Gateway) -> None:
    times: dict[str, list[float]] = {"postgres": [], "nobody_of_that_name": []}
    for _ in range(15):  # in turn: the machine may get busier meanwhile
        for user, taken in times.items():
            started = time.perf_counter()
            refused(walled, user)
            taken.append(time.perf_counter() - started)
    known, unknown = map(statistics.median, times.values())
    assert 0.4 < known / unknown < 2.5


def test_a_client_that_gives_no_password(walled: Gateway) -> None:
    with connected(walled.host, walled.port) as raw:
        raw.send(encode.startup({"user": "postgres"}) + query("SELECT 1"))
        assert ["08P01"] == sqlstates(raw.rest())


def test_a_server_that_wants_scram(
    make_gateway: GatewayFactory, scram_server: EmbeddedCluster
) -> None:
    gateway = make_gateway(scram_server.dsn())
    with gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_the_servers_password_comes_from_the_userlist(
    make_gateway: GatewayFactory, scram_server: EmbeddedCluster, userlist: Callable[[str], str]
) -> None:
    with psycopg.connect(scram_server.dsn(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS berta")
        connection.execute("CREATE ROLE berta LOGIN PASSWORD 'x'")
    path = userlist('"berta" "x"\n')
    gateway = make_gateway(
        scram_server.dsn(), gateway__auth_type="scram-sha-256", gateway__userlist=path
    )
    with gateway.connect(user="berta", password="x") as connection:
        assert ("berta",) == connection.execute("SELECT current_user").fetchone()


def test_a_wrong_password_for_the_server(
    make_gateway: GatewayFactory, scram_server: EmbeddedCluster
) -> None:
    gateway = make_gateway(make_conninfo(scram_server.dsn(), password="not this one"))
    with connected(gateway.host, gateway.port) as raw:
        found = raw.login(user="postgres", database="postgres")
        assert ["28P01"] == sqlstates(found)
        assert "not this one" not in str(found)


def test_an_unknown_database(gateway: Gateway) -> None:
    with connected(gateway.host, gateway.port) as raw:
        found = raw.login(user="postgres", database="no_such_database")
        assert ["3D000"] == sqlstates(found)
    with gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


# Garbage


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 600,
        b"\0\0\0\x03",
        b"\0\0\0\x07\0\x03\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\x27\x21\0\x03\0\0" + b"user\0" * 3000,
        b"\0\0\0\x09\0\x03\0\0\0",
        encode.startup({"user": "ann"})[:-2] + b"xx",
    ],
)
def test_garbage_before_the_login(shared_gateway: Gateway, data: bytes) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        raw.send(data)
        assert shape(raw.rest()) in ("E", "RE")
    with shared_gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"Z\0\0\0\5I",
        b"Q\0\0\0\3",
        b"Q\xff\xff\xff\xff",
        b"P\x7f\xff\xff\xff",
        b"P\0\0\0\5x",
        b"B\0\0\0\6\0x",
        b"E\0\0\0\4",
        query("SELECT 1") + b"\0\0\0\0\0",
        query("BEGIN") + b"E\0\0\0\4",
    ],
)
def test_garbage_after_the_login(shared_gateway: Gateway, data: bytes) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        names = shared_gateway.settings.server.dsn
        parts = psycopg.conninfo.conninfo_to_dict(names)
        raw.login(user=str(parts["user"]), database=str(parts["dbname"]))
        raw.send(data)
        assert ["08P01"] == sqlstates(raw.rest())
    with shared_gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    shared_gateway.seen.next_frame()
    assert all(pool.cl_active == 0 for pool in shared_gateway.seen.snapshots[0].pools)


def test_encryption_is_declined(shared_gateway: Gateway) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        for request in (m.SSLRequest(), m.GSSENCRequest()):
            raw.send(request.encode())
            assert b"N" == raw.socket.recv(1)
    with shared_gateway.connect(sslmode="prefer", gssencmode="prefer") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        shared_gateway.connect(sslmode="require").close()


def test_a_newer_protocol_is_negotiated_down(shared_gateway: Gateway) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        parameters = {"user": "postgres", "database": "postgres", "_pq_.new": "1"}
        raw.send(encode.startup(parameters, types.PROTOCOL_3_2))
        kind, payload = raw.read() or (b"", b"")
        assert b"v" == kind
        assert m.NegotiateProtocolVersion(types.PROTOCOL_3_0, ("_pq_.new",)).encode()[5:] == payload
        assert b"Z" == raw.until(b"Z")[-1][0]


def test_libpq_with_protocol_3_2(shared_gateway: Gateway) -> None:
    if psycopg.pq.version() < 180000:
        pytest.skip("needs libpq 18")
    with shared_gateway.connect(max_protocol_version="3.2") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
        assert 4 == len(_key(shared_gateway))


def _key(gateway: Gateway) -> bytes:
    with connected(gateway.host, gateway.port) as raw:
        raw.login(user="postgres", database="postgres")
        return raw.secret


def test_replication_is_refused(shared_gateway: Gateway) -> None:
    with connected(shared_gateway.host, shared_gateway.port) as raw:
        found = raw.login(user="postgres", database="postgres", replication="database")
        assert "0A000" == fields(found[0])["C"]


def test_a_login_that_takes_too_long(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(gateway__login_timeout=0.2)
    with connected(gateway.host, gateway.port) as raw:
        raw.send(b"\0\0")
        assert ["08006"] == sqlstates(raw.rest())


def test_a_startup_in_pieces_and_early_queries(shared_gateway: Gateway) -> None:
    data = encode.startup({"user": "postgres", "database": "postgres"}) + query("SELECT 1")
    for size in (1, 7, 1000):
        with connected(shared_gateway.host, shared_gateway.port) as raw:
            raw.send_bytewise(data, size)
            assert "Z" == shape(raw.until(b"Z"))[-1]
            assert "TDCZ" == shape(raw.until(b"Z"))


def test_many_logins_at_once(shared_gateway: Gateway) -> None:
    raws: list[Raw] = []
    contexts = [connected(shared_gateway.host, shared_gateway.port) for _ in range(100)]
    try:
        for context in contexts:
            raws.append(context.__enter__())
            raws[-1].send(encode.startup({"user": "postgres", "database": "postgres"}))
        for raw in raws:
            assert b"Z" == raw.until(b"Z")[-1][0]
    finally:
        for context in contexts[: len(raws)]:
            context.__exit__(None, None, None)


def test_refused_logins_are_logged_but_not_each_of_a_flood(
    make_gateway: GatewayFactory, capfd: pytest.CaptureFixture[str], userlist: Callable[[str], str]
) -> None:
    gateway = make_gateway(
        gateway__auth_type="plain",
        gateway__userlist=userlist('"postgres" "right"\n'),
        log__level="info",
        log__format="json",
    )
    capfd.readouterr()
    for _ in range(300):
        with connected(gateway.host, gateway.port) as raw:
            raw.send(encode.startup({"user": "ev\x1b[0mil"}) + encode.password(b"guessed"))
            assert ["28P01"] == sqlstates(raw.rest())
    gateway.seen.next_frame()
    assert 300 == gateway.seen.snapshots[0].login_failures
    lines = [line for line in capfd.readouterr().err.splitlines() if "login refused" in line]
    assert 1 <= len(lines) < 200
    said = json.loads(lines[0])
    assert "password authentication failed" in said["error"]
    assert "127.0.0.1" in said["client"]
    assert "guessed" not in "".join(lines)
    assert "\x1b" not in "".join(lines)
