"""Several hosts: in what order, which of them will do, and what is said when none does."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.errors import ConnectError, DboptError, ServerRefused
from dbopt.gateway import session_attrs
from dbopt.wire import encode
from tests.fix_gateway import GatewayFactory
from tests.integration.server_support import (
    LOOPS,
    backend,
    ended,
    outcome,
    run,
    serving,
    targets_of,
)
from tests.support import unused_port, wait_until

PRIMARY, STANDBY = "primary", "standby"


@pytest.fixture(scope="module")
def pair(pg_server: EmbeddedCluster) -> Iterator[dict[int, str]]:
    """A primary and a standby that follows it: their ports, and which is which."""
    place = Path(tempfile.mkdtemp(prefix="dbopt-standby-", dir="/var/tmp"))
    place.chmod(0o755)
    data = place / "data"
    program = pg_server.bin("pg_basebackup")
    subprocess.run(
        [program, "-D", data, "-R", "-X", "stream", "-c", "fast", "-d", pg_server.dsn()],
        check=True,
        capture_output=True,
    )
    _give(place, pg_server.data_dir.stat())
    try:
        with EmbeddedCluster(place, settings={"fsync": "off"}) as standby:
            wait_until(lambda: _in_recovery(standby.dsn()), what="the standby")
            yield {pg_server.port: PRIMARY, standby.port: STANDBY}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _give(place: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        for path in (place, *place.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _in_recovery(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn) as connection:
            row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
            return row == (True,)
    except psycopg.OperationalError:
        return False


def hosts_dsn(*ports: int, **options: str) -> str:
    hosts = ",".join("127.0.0.1" for _ in ports)
    parts = {"host": hosts, "port": ",".join(map(str, ports)), "sslmode": "disable"}
    parts |= {"user": "postgres", "dbname": "postgres"} | options
    return " ".join(f"{key}={value}" for key, value in parts.items())


async def chosen(dsn: str, timeout: float = 10.0) -> int:
    async with backend(targets_of(dsn), timeout) as made:
        return made.target.port


WANTED = {
    "any": (PRIMARY, STANDBY),
    "read-write": (PRIMARY, PRIMARY),
    "read-only": (STANDBY, STANDBY),
    "primary": (PRIMARY, PRIMARY),
    "standby": (STANDBY, STANDBY),
    "prefer-standby": (STANDBY, STANDBY),
}
"""What is chosen where the primary is named first, and where the standby is."""


@pytest.mark.parametrize("asked", [False, True], ids=["reported", "asked"])
@pytest.mark.parametrize("wanted", WANTED)
def test_target_session_attrs_as_libpq(
    pair: dict[int, str], wanted: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked:  # as with a server before 14, which does not report it
        unreported = dict.fromkeys(session_attrs._REPORTED, ("no_such_parameter",))
        monkeypatch.setattr(session_attrs, "_REPORTED", unreported)
    primary, standby = pair
    for expected, ports in zip(
        WANTED[wanted], ((primary, standby), (standby, primary)), strict=True
    ):
        dsn = hosts_dsn(*ports, target_session_attrs=wanted)
        assert expected == pair[run(chosen(dsn))]
        with psycopg.connect(dsn) as connection:
            assert expected == pair[connection.info.port]


@pytest.mark.parametrize("asked", [False, True], ids=["reported", "asked"])
@pytest.mark.parametrize(
    ("wanted", "server"),
    [("standby", 0), ("read-only", 0), ("primary", 1), ("read-write", 1)],
)
def test_no_server_of_the_kind(
    pair: dict[int, str], wanted: str, server: int, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked:
        unreported = dict.fromkeys(session_attrs._REPORTED, ("no_such_parameter",))
        monkeypatch.setattr(session_attrs, "_REPORTED", unreported)
    port = list(pair)[server]
    found = run(outcome(targets_of(hosts_dsn(port, target_session_attrs=wanted))))
    assert f"not what target_session_attrs={wanted} wants" in found


@pytest.fixture
def gone() -> Iterator[int]:
    """A port on which nobody listens."""
    with unused_port() as port:
        yield port


def test_prefer_standby_takes_a_primary_where_there_is_no_other(
    pair: dict[int, str], gone: int
) -> None:
    primary, _ = pair
    dsn = hosts_dsn(gone, primary, target_session_attrs="prefer-standby")
    assert primary == run(chosen(dsn))


def test_read_only_by_its_default(pg_server: EmbeddedCluster, pg_conn: Any) -> None:
    """A primary whose sessions are read-only by default is no read-write server."""
    name = pg_conn.info.dbname
    pg_conn.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    dsn = {"dbname": name}
    assert "wants" in run(
        outcome(targets_of(hosts_dsn(pg_server.port, target_session_attrs="read-write", **dsn)))
    )
    for wanted in ("read-only", "primary"):
        to = targets_of(hosts_dsn(pg_server.port, target_session_attrs=wanted, **dsn))
        assert "plain" == run(outcome(to))


# Who is not there


def test_the_first_that_answers(pg_server: EmbeddedCluster, gone: int) -> None:
    dsn = hosts_dsn(gone, pg_server.port)
    assert pg_server.port == run(chosen(dsn))


def test_all_addresses_of_a_name(
    pg_server: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`localhost` may be ::1 first, where nobody listens."""

    async def play() -> str:
        loop = asyncio.get_running_loop()

        async def resolve(host: bytes, port: int, **_: Any) -> Any:
            assert b"db.example" == host
            return [(socket.AF_INET, 1, 6, "", (address, port)) for address in
                    ("127.0.0.9", "127.0.0.1")]  # fmt: skip

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        dsn = hosts_dsn(pg_server.port, host="db.example")
        async with backend(targets_of(dsn)) as made:
            return str(made.address)

    assert "127.0.0.1" == run(play(), "asyncio")


def failure(dsn: str, timeout: float = 10.0) -> DboptError:
    with pytest.raises(DboptError) as caught:
        run(chosen(dsn, timeout))
    return caught.value


def test_an_error_that_names_each(gone: int) -> None:
    """One error at the end, with every host and its reason."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async def play() -> DboptError:
        async with serving(mute) as deaf:
            dsn = hosts_dsn(gone, deaf, 1) + " host=127.0.0.1,127.0.0.1,no-such-host.invalid"
            try:
                await chosen(dsn, 0.5)
            except DboptError as error:
                return error
        raise AssertionError

    error = run(play())
    assert isinstance(error, ConnectError)
    assert f"127.0.0.1:{gone}/postgres as postgres cannot be reached: Connection refused" in str(
        error
    )
    assert "did not answer within 0.5 s" in error.message
    assert "no-such-host.invalid:1/postgres as postgres cannot be reached" in error.message


@pytest.mark.parametrize("loop", LOOPS)
def test_a_host_that_does_not_answer_gives_way(pg_server: EmbeddedCluster, loop: str) -> None:
    """connect_timeout is for each address, and an attempt that is given up leaves nothing."""
    with socket.socket() as deaf, ExitStack() as stack:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # its queue is full: the next is neither taken nor refused
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        run(chosen(hosts_dsn(pg_server.port)), loop)  # whatever a loop keeps open for ever
        before = len(os.listdir("/proc/self/fd"))
        dsn = hosts_dsn(deaf.getsockname()[1], pg_server.port)
        assert pg_server.port == run(chosen(dsn, 0.3), loop)
        assert before == len(os.listdir("/proc/self/fd"))


def test_a_login_that_is_refused_ends_the_search(
    scram_server: EmbeddedCluster, pg_server: EmbeddedCluster
) -> None:
    """As in libpq: the other host would be asked with the same password."""
    dsn = hosts_dsn(scram_server.port, pg_server.port, password="wrong")
    error = failure(dsn)
    assert isinstance(error, ServerRefused)
    assert "28P01" == error.reported


@pytest.mark.parametrize("sqlstate", ["57P03", "53300"])
def test_a_server_that_has_no_room_gives_way(pg_server: EmbeddedCluster, sqlstate: str) -> None:
    async def full(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(encode.error_fields("FATAL", sqlstate, "come back later"))
        await writer.drain()

    async def play() -> tuple[int, DboptError]:
        async with serving(full) as one, serving(full) as two:
            port = await chosen(hosts_dsn(one, pg_server.port))
            try:
                await chosen(hosts_dsn(one, two))
            except DboptError as error:
                return port, error
        raise AssertionError

    port, error = run(play())
    assert pg_server.port == port
    assert isinstance(error, ServerRefused)
    assert (sqlstate, True) == (error.reported, error.temporary)


def test_load_balancing(pair: dict[int, str]) -> None:
    async def play(dsn: str) -> set[int]:
        return {await chosen(dsn) for _ in range(40)}

    assert set(pair) == run(play(hosts_dsn(*pair, load_balance_hosts="random")))
    assert {next(iter(pair))} == run(play(hosts_dsn(*pair)))


def test_an_abstract_socket() -> None:
    """`@` begins the name of a unix socket that is no file."""
    name = f"dbopt-{os.getpid()}"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(encode.error_fields("FATAL", "3D000", "reached"))
        await ended(writer)

    async def play() -> str:
        path = f"\0{name}/.s.PGSQL.5432"
        server = await asyncio.start_unix_server(script, path)
        async with server:
            return await outcome(targets_of(f"host=@{name} user=x dbname=x"))

    assert "reached" in run(play(), "asyncio")


# connect_query


async def asked(dsn: str, connect_query: str) -> dict[str, str]:
    async with backend(targets_of(dsn), connect_query=connect_query) as made:
        return made.parameters


def test_connect_query(pg_dsn: str) -> None:
    found = run(asked(pg_dsn, "SET application_name = 'mine'; SELECT 1; SET TimeZone = 'UTC'"))
    assert ("mine", "UTC") == (found["application_name"], found["TimeZone"])


@pytest.mark.parametrize(
    ("connect_query", "sqlstate", "words"),
    [
        ("SELECT 1 / 0", "22012", "refused connect_query"),
        ("SELECT 'a secret' FROM nowhere", "42P01", "refused connect_query"),
        ("BEGIN", "25001", "left a transaction open"),
        ("COPY pg_class FROM STDIN", "0A000", "waits for data"),
    ],
)
def test_a_connect_query_that_fails(
    pg_dsn: str, connect_query: str, sqlstate: str, words: str
) -> None:
    with pytest.raises(ServerRefused, match=words) as caught:
        run(asked(pg_dsn, connect_query))
    assert sqlstate == caught.value.reported
    assert "secret" not in str(caught.value)


def test_a_connect_query_that_takes_too_long(pg_dsn: str) -> None:
    async def play() -> str:
        try:
            async with backend(targets_of(pg_dsn), 0.3, "SELECT pg_sleep(60)"):
                return "connected"
        except DboptError as error:
            return error.message

    assert "did not answer within 0.3 s" in run(play())


def test_options_and_application_name(pg_dsn: str) -> None:
    dsn = pg_dsn + " application_name=mine options='-c DateStyle=German,DMY'"
    found = run(asked(dsn, ""))
    assert ("mine", "German, DMY") == (found["application_name"], found["DateStyle"])


# Through the gateway


def test_a_gateway_before_several_hosts(
    make_gateway: GatewayFactory, pg_server: EmbeddedCluster, pair: dict[int, str], gone: int
) -> None:
    _, standby = pair
    dsn = hosts_dsn(gone, standby, pg_server.port, target_session_attrs="read-write")
    gateway = make_gateway(dsn)
    with gateway.connect() as connection:
        found = connection.execute("SELECT inet_server_port(), pg_is_in_recovery()").fetchone()
    assert (pg_server.port, False) == found


def test_a_gateway_whose_hosts_will_not_do(make_gateway: GatewayFactory, gone: int) -> None:
    with unused_port() as other:
        gateway = make_gateway(hosts_dsn(gone, other))
        with pytest.raises(psycopg.OperationalError) as caught:
            gateway.connect().close()
    for port in (gone, other):
        assert f"127.0.0.1:{port}/postgres as postgres cannot be reached" in str(caught.value)


def test_a_gateway_with_a_connect_query(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__connect_query="SET work_mem = '77kB'")
    with gateway.connect() as connection:
        assert ("77kB",) == connection.execute("SHOW work_mem").fetchone()


def test_a_gateway_with_a_connect_query_that_fails(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__connect_query="SET no_such_setting = 1")
    with pytest.raises(psycopg.OperationalError, match="refused connect_query"):
        gateway.connect().close()
