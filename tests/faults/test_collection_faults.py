"""The collection under faults: of a fleet one collects; a killed one, or a store that is away,
costs no history. The counter that is looked for is a table's inserts: each must be told once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dbopt.pg.connect import AsyncConnection
from dbopt.store import history
from dbopt.store.frame import Frame
from tests.fix_pg import Server, fresh_database
from tests.integration.daemon_support import Daemon, running
from tests.integration.store_support import create_store, on_connection
from tests.support import wait_until

OFTEN = {"stats__interval": 1, "stats__budget": 1, "check__interval": 3600}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


def leads(daemon: Daemon) -> bool:
    return 1.0 == metric(daemon, "dbopt_collecting")


def metric(daemon: Daemon, name: str) -> float:
    lines = daemon.answer("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def frames(store: str, view: str) -> list[Frame]:
    """All frames of a view of the only database, in order of time."""

    async def work(conn: AsyncConnection) -> list[Frame]:
        found: list[Frame] = []
        for target in await history.targets(conn):
            if target.database or view in ("waits", "pools"):
                found += [frame async for frame in history.read(conn, target, (view,))]
        return found

    return on_connection(store, work)


def inserted(store: str) -> int | None:
    """Rows that all frames together say were inserted into `busy`; None before the first frame."""

    async def work(conn: AsyncConnection) -> int | None:
        for target in await history.targets(conn):
            found = await history.total(conn, target, "tables", LONG_AGO, FAR_AHEAD)
            for key, labels in (found.labels if found is not None else {}).items():
                if found is not None and "busy" in labels.values():
                    place = found.counters.index("n_tup_ins")
                    return found.values[key][place] or 0 if key in found.values else 0
        return None

    return on_connection(store, work)


def gapless(store: str) -> bool:
    """Whether each frame begins where the one before ended."""
    told = frames(store, "tables")
    return all(abs((b.at - a.at).total_seconds() - b.seconds) < 0.01 for a, b in pairwise(told))


class Work:
    """Inserts rows into `busy`, and knows how many."""

    def __init__(self, dsn: str) -> None:
        self.rows = 0
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._connection.execute("CREATE TABLE busy (n int)")

    def insert(self, rows: int = 10) -> None:
        self._connection.execute("INSERT INTO busy SELECT generate_series(1, %s)", [rows])
        # Else the server may tell of them a second later.
        self._connection.execute("SELECT pg_stat_force_next_flush()")
        self.rows += rows

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def work(pg_dsn: str) -> Iterator[Work]:
    made = Work(pg_dsn)
    yield made
    made.close()


def begun(store: str) -> Callable[[], bool]:
    """Whether the first look at the table is in the store: what came before is not told."""
    return lambda: inserted(store) is not None


def told(store: str, work: Work) -> Callable[[], bool]:
    return lambda: inserted(store) == work.rows


def test_of_two_one_collects_and_the_other_takes_over(
    pg_dsn: str, tmp_path: Path, work: Work
) -> None:
    create_store(pg_dsn)
    (tmp_path / "other").mkdir()
    with (
        running(pg_dsn, tmp_path, **OFTEN) as one,
        running(pg_dsn, tmp_path / "other", **OFTEN) as two,
    ):
        wait_until(begun(pg_dsn), what="the first frame")
        leader, follower = (one, two) if leads(one) else (two, one)
        work.insert()
        wait_until(told(pg_dsn, work), what="the first rows")
        work.insert()
        leader.signal(signal.SIGKILL)
        leader.wait()
        work.insert()
        wait_until(lambda: leads(follower), what="the other one to collect")
        work.insert()
        wait_until(told(pg_dsn, work), what="all rows, each once")
        assert gapless(pg_dsn)


def test_a_restart_loses_nothing(pg_dsn: str, tmp_path: Path, work: Work) -> None:
    create_store(pg_dsn)
    for end in (signal.SIGTERM, signal.SIGKILL):
        with running(pg_dsn, tmp_path, **OFTEN) as daemon:
            wait_until(begun(pg_dsn), what="the first frame")
            work.insert()
            wait_until(told(pg_dsn, work), what="all rows, each once")
            daemon.signal(end)
            daemon.wait()
        work.insert()
    with running(pg_dsn, tmp_path, **OFTEN):
        wait_until(told(pg_dsn, work), what="the rows of the pause too")
    assert gapless(pg_dsn)


@contextmanager
def away(admin: str, name: str) -> Iterator[None]:
    """Nobody can connect to that database."""
    with psycopg.connect(admin, autocommit=True) as connection:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_a_store_that_is_away_costs_nothing(
    pg_backend: Server, pg_dsn: str, tmp_path: Path, work: Work
) -> None:
    with fresh_database(pg_backend) as store:
        create_store(store)
        name = conninfo_to_dict(store)["dbname"]
        settings = {**OFTEN, "store__dsn": store, "store__spool_dir": str(tmp_path / "spool")}
        with running(pg_dsn, tmp_path, **settings) as daemon:
            wait_until(begun(store), what="the first frame")
            work.insert()
            wait_until(told(store, work), what="the first rows")
            with away(pg_dsn, str(name)):
                work.insert()
                wait_until(lambda: not daemon.get("/status")["store"]["ready"], what="the loss")
                wait_until(lambda: metric(daemon, "dbopt_store_pending_batches") > 1)
                daemon.signal(signal.SIGKILL)
                daemon.wait()
        assert any((tmp_path / "spool").iterdir())
        work.insert()
        with running(pg_dsn, tmp_path, **settings) as daemon:
            wait_until(told(store, work), what="all rows, each once")
            wait_until(lambda: daemon.get("/status")["store"]["ready"], what="the store")
        assert gapless(store)


def slept(store: str) -> bool:
    return any("PgSleep" in key for frame in frames(store, "waits") for key in frame.changed)


def test_waits_and_load_are_told(pg_dsn: str, tmp_path: Path) -> None:
    create_store(pg_dsn)
    settings = {**OFTEN, "trace__slow": 500}
    with running(pg_dsn, tmp_path, **settings) as daemon:
        wait_until(lambda: leads(daemon), what="the lock")
        with daemon.connect(application_name="shop") as connection:
            connection.execute("SELECT pg_sleep(2.5)")
        wait_until(
            lambda: any("Timeout:PgSleep" in slow["waits"] for slow in daemon.get("/slow")),
            what="what it waited for",
        )
        wait_until(
            lambda: any("PgSleep" in key for f in frames(pg_dsn, "waits") for key in f.changed)
        )
    with psycopg.connect(pg_dsn) as stored:
        (waits,) = stored.execute("SELECT waits FROM dbopt.slow_statement").fetchone() or ({},)
    assert waits["Timeout:PgSleep"] >= 1
