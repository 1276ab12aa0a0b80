"""A pool and the daemon's socket: what arrives, and what happens when the daemon does not."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dbopt import AsyncTracedConnectionPool, TracedConnectionPool, route
from dbopt.errors import ConfigError
from dbopt.frames import frame
from dbopt.inprocess.ingest import Ingest
from dbopt.inprocess.ledger import Ledger
from dbopt.inprocess.messages import VERSION, Hello, Report, Welcome
from tests.integration.daemon_support import running
from tests.support import wait_until

ROOT = Path(__file__).parents[2]


class Listener:
    """The daemon's socket, served in a thread, and what it was told."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = str(path)
        self.reports: list[Report] = []
        self.welcome = Welcome(VERSION, slow=1000.0, parameters=False, n_plus_one=10)
        self.loop = asyncio.new_event_loop()
        self.ingest = Ingest(self.path, self.reports.append, lambda: self.welcome, **options)
        self.thread = threading.Thread(target=self.loop.run_forever)

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def total(self) -> Ledger:
        total = Ledger()
        for report in list(self.reports):
            total.add(report)
        return total

    def calls(self, text: str = "") -> int:
        counts = self.total().counts.values()
        return sum(count.calls for count in counts if text in count.text)


@contextmanager
def listening(path: Path, **options: Any) -> Iterator[Listener]:
    listener = Listener(path, **options)
    listener.thread.start()
    try:
        listener.call(listener.ingest.start())
        yield listener
        listener.call(listener.ingest.close())
    finally:
        listener.loop.call_soon_threadsafe(listener.loop.stop)
        listener.thread.join()
        listener.loop.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.sock"


def hurried(pool: Any, interval: float = 0.02) -> Any:
    """The pool, reporting more often than each second."""
    pool._reporter.interval = interval
    return pool


def run(pool: TracedConnectionPool[Any], text: str = "SELECT 1", times: int = 1) -> None:
    with pool.connection() as connection:
        for _ in range(times):
            connection.execute(text)


def test_a_pool_reports(pg_dsn: str, path: Path) -> None:
    with (
        listening(path) as daemon,
        TracedConnectionPool(
            pg_dsn, min_size=1, open=True, report_to=str(path), application="shop", slow_ms=0
        ) as pool,
    ):
        hurried(pool)
        with route("GET /a"):
            run(pool, times=12)
        wait_until(lambda: daemon.calls("SELECT") == 12 and daemon.total().transactions)
        assert pool.reporting
        total = daemon.total()
        (count,) = (c for c in total.counts.values() if c.text == "SELECT $1")
        assert ("shop", "GET /a", 12) == (count.application, count.route, count.rows)
        assert ("test", "postgres") == (count.database.split("_")[1], count.user)
        (transactions,) = total.transactions.values()
        assert (1, 12) == (transactions.count, transactions.statements)
        (repeated,) = total.repeated.values()
        assert (count.fingerprint, 12) == (repeated.fingerprint, repeated.calls)
        assert 13 == len(total.slow)  # the COMMIT, too
        # The text goes over a connection once.
        run(pool)
        wait_until(lambda: sum(c.calls for r in daemon.reports for c in r.counts) == 15)
        assert 1 == sum(c.text == "SELECT $1" for r in daemon.reports for c in r.counts)


def test_an_async_pool_reports_the_last_when_it_closes(pg_dsn: str, path: Path) -> None:
    async def application() -> None:
        async with (
            AsyncTracedConnectionPool(pg_dsn, open=False, report_to=str(path)) as pool,
            pool.connection() as connection,
        ):
            await connection.execute("SELECT 1")

    with listening(path) as daemon:
        asyncio.run(application())
        wait_until(lambda: daemon.calls() == 2)


def test_the_environment_names_the_socket(
    pg_dsn: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPT_SOCKET", str(path))
    with listening(path) as daemon:
        with TracedConnectionPool(pg_dsn, min_size=1, open=True) as pool:
            run(pool)
        wait_until(lambda: daemon.calls() == 2)


def test_the_daemons_settings_hold_where_the_application_has_none(pg_dsn: str, path: Path) -> None:
    with listening(path) as daemon:
        daemon.welcome = Welcome(VERSION, slow=0.0, parameters=True, n_plus_one=2)
        with TracedConnectionPool(
            pg_dsn, min_size=1, open=True, report_to=str(path), parameters=False
        ) as pool:
            hurried(pool)
            run(pool)
            wait_until(lambda: pool.reporting)
            run(pool, "SELECT 'secret'", times=2)
            assert "SELECT $1" == pool.slow()[-2].text
            assert 2 == pool.repeated()[0].calls


@pytest.mark.parametrize("state", ["absent", "directory", "full", "silent"])
def test_a_daemon_that_does_not_answer_costs_nothing(pg_dsn: str, path: Path, state: str) -> None:
    with (
        deaf(path, state),
        TracedConnectionPool(pg_dsn, min_size=1, open=True, report_to=str(path)) as pool,
    ):
        hurried(pool)
        pool.wait()
        began = time.monotonic()
        for _ in range(20):
            run(pool)
        assert time.monotonic() - began < 5.0
        assert not pool.reporting
        assert 20 == sum(one.calls for one in pool.statements() if "SELECT" in one.text)
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    assert 0 == pool.trace_faults


@contextmanager
def deaf(path: Path, state: str) -> Iterator[None]:
    if state == "absent":
        yield
    elif state == "directory":
        path.mkdir()
        yield
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(0 if state == "full" else 8)
            waiting = [socket.socket(socket.AF_UNIX) for _ in range(2 if state == "full" else 0)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(str(path))
            yield
            for one in waiting:
                one.close()


def test_what_a_daemon_missed_is_sent_when_it_is_back(pg_dsn: str, path: Path) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, open=True, report_to=str(path)) as pool:
        hurried(pool)
        pool._reporter._link._calm = lambda: None  # type: ignore[union-attr]
        with listening(path) as daemon:
            run(pool)
            wait_until(lambda: daemon.calls("SELECT") == 1)
        run(pool, times=5)
        wait_until(lambda: not pool.reporting)
        pool._reporter._link._not_before = 0.0  # type: ignore[union-attr]
        with listening(path) as again:
            wait_until(lambda: again.calls("SELECT") == 5)
            assert "SELECT $1" in {c.text for c in again.total().counts.values()}


def test_a_forked_child_reports_its_own(pg_dsn: str, path: Path) -> None:
    code = f"""
import os, sys, time
from dbopt import TracedConnectionPool
def run(text):
    with TracedConnectionPool({pg_dsn!r}, min_size=1, open=True, report_to={str(path)!r}) as pool:
        with pool.connection() as connection:
            connection.execute(text)
early = TracedConnectionPool({pg_dsn!r}, min_size=1, open=False, report_to={str(path)!r})
run("SELECT 'parent'")
child = os.fork()
if not child:
    early.open()
    with early.connection() as connection:
        connection.execute("SELECT oid FROM pg_class LIMIT 1")
    early.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    with listening(path) as daemon:
        done(code)
        wait_until(lambda: daemon.calls("pg_class") == 1)
        assert 1 == daemon.calls("SELECT $1")


def test_the_interpreters_end_sends_the_last_and_waits_for_nobody(pg_dsn: str, path: Path) -> None:
    code = f"""
import warnings
from dbopt import TracedConnectionPool
pool = TracedConnectionPool({pg_dsn!r}, min_size=1, open=True, report_to={str(path)!r})
with pool.connection() as connection:
    connection.execute("SELECT 1")
"""
    with listening(path) as daemon:
        done(code)
        wait_until(lambda: daemon.calls("SELECT") == 1)
        done(f"{code}del connection, pool; import gc; gc.collect()")
        wait_until(lambda: daemon.calls("SELECT") == 2)
    began = time.monotonic()
    done(code)
    assert time.monotonic() - began < 8.0


def done(code: str) -> None:
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_no_thread_before_the_first_statement(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, open=True, report_to="") as pool:
        pool.wait()
        assert pool._reporter._thread is None
        run(pool)
        thread = pool._reporter._thread
        assert thread is not None
        assert thread.daemon
    wait_until(lambda: not thread.is_alive())


# The daemon's side


def connected(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5.0)
    client.connect(path)
    return client


def left(client: socket.socket) -> bytes:
    """All that comes until it is closed."""
    data = b""
    with client:
        while part := client.recv(65_536):
            data += part
    return data


HELLO = frame(Hello(VERSION, 1, "test"))
Spoil = Callable[[], bytes]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"A frame of 1195725856 bytes"),
        (b"\xff\xff\xff\xff", b"A frame of 4294967295 bytes"),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00", b"could not be read"),
        (frame(Report()), b"did not say hello"),
        (frame(Hello(VERSION + 1, 1, "")), b"version"),
        (HELLO + HELLO, b"hello twice"),
        (HELLO + frame(Report(lost=-1)), b"cannot be true"),
    ],
)
def test_malformed_input_closes_that_client_alone(path: Path, sent: bytes, reason: bytes) -> None:
    with listening(path) as daemon, connected(daemon.path) as good:
        good.sendall(HELLO)
        bad = connected(daemon.path)
        bad.sendall(sent)
        assert reason in left(bad)
        good.sendall(frame(Report(lost=3)))
        wait_until(lambda: daemon.ingest.lost == 3)
        assert (1, 1) == (daemon.ingest.clients, daemon.ingest.refused)


def test_the_number_of_clients_is_bounded(path: Path) -> None:
    with listening(path, max_clients=1) as daemon, connected(daemon.path) as first:
        first.sendall(HELLO)
        assert first.recv(1)
        assert b"pools already" in left(connected(daemon.path))


def test_who_sends_too_much_is_read_later(path: Path) -> None:
    with listening(path, bytes_a_second=1.0) as daemon, connected(daemon.path) as client:
        client.sendall(HELLO)
        client.settimeout(0.2)
        large = frame(Report()) * 100_000
        with pytest.raises(TimeoutError):
            wait_until(lambda: client.sendall(large))
        assert 0 < len(daemon.reports)


def test_the_socket_is_its_owners_alone_and_goes_away(path: Path) -> None:
    with listening(path):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert not path.exists()


def test_a_live_socket_is_left_alone_and_a_stale_one_replaced(path: Path) -> None:
    with (
        listening(path) as daemon,
        pytest.raises(ConfigError, match=r"trace\.socket: somebody listens"),
    ):
        asyncio.run(Ingest(str(path), print, lambda: daemon.welcome).start())
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    with listening(path) as daemon:
        assert connected(daemon.path).close() is None


def test_dbopt_serve_takes_a_pools_reports(pg_dsn: str, tmp_path: Path) -> None:
    path = str(tmp_path / "t.sock")
    with running(pg_dsn, tmp_path, trace__socket=path, stats__enabled=False) as daemon:
        with (
            TracedConnectionPool(pg_dsn, min_size=1, open=True, report_to=path) as pool,
            route("GET /a"),
        ):
            run(pool, "SELECT 'in process'::text", times=3)
        seen = daemon.statement("::text")
        assert ("SELECT $1::text", 3) == (seen["query"], seen["calls"])
