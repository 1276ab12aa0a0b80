"""What was traced, through the store, and told by `dbopt slow` and `dbopt trace`."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from dbopt.pg.pool import control_pool
from dbopt.settings import Stats
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.store import partitions
from dbopt.store import plans as plan_store
from dbopt.store.frame import Frame, Target
from dbopt.store.writer import Batch, Writer
from dbopt.trace.history import TraceHistory
from dbopt.trace.keeping import SlowKeeper
from dbopt.trace.planbook import PlanBook, Sighting
from dbopt.trace.recorder import Recorder
from dbopt.trace.slow import SlowEvent
from dbopt.trace.transactions import Transactions
from dbopt.trace.workers import Workers
from tests.integration.store_support import create_store, on_connection
from tests.unit.cli.calls import Call, caller
from tests.unit.trace.observations import count, slow
from tests.unit.trace.test_planbook import INDEX, SEQ

SQL = "SELECT * FROM users WHERE email = 'topsecret'"
NUMBER = fingerprint(SQL)
SERVER = Target("db1:5432")
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(monkeypatch, capsys)


def batches() -> list[Batch]:
    """Three minutes of a statement whose plan becomes worse in the last."""
    recorder = Recorder(100, Analyzer())
    start = NOW - timedelta(minutes=4)
    workers, transactions = Workers(lambda: 0), Transactions(lambda number: "")
    history = TraceHistory(recorder, transactions, workers, start)
    book = PlanBook(lambda database: Target(SERVER.server, database))
    keeper = SlowKeeper(book.latest, 10)
    found = []
    for minute, (plan, ms) in enumerate(((INDEX, 5.0), (INDEX, 5.0), (SEQ, 1500.0)), 1):
        recorder.add([count(SQL, (ms * 1e3,) * 2, route="/cart", queue_us=1000.0)])
        recorder.add([count("SELECT other")])
        book.seen(Sighting(NUMBER, "app", plan, ms))
        found.append(history.batch(SERVER.server, start + timedelta(minutes=minute)))
    started = (NOW - timedelta(minutes=1)).timestamp()
    event = SlowEvent(slow(SQL, started=started, route="/cart", rows=7), "read")
    event.waits.update({"IO:DataFileRead": 1})
    keeper.take([event])
    plans, events = book.take()
    found.append(Batch(slow=keeper.ripe(SERVER.server, 0.0), plans=plans, events=events))
    waits = Frame(
        SERVER, "waits", NOW, 60.0, ("samples",),
        changed={("active", "IO", "DataFileRead", NUMBER, "alice", "web", "app"): (3,),
                 ("active", "", "", NUMBER, "alice", "web", "app"): (1,),
                 ("active", "", "", 5, "alice", "web", "app"): (9,)},
    )  # fmt: skip
    counted = Frame(
        replace(SERVER, database="app"), "statements", NOW, 60.0,
        ("calls", "total_exec_us", "rows", "shared_blks_hit", "shared_blks_read"),
        changed={(1, 10, 1): (6, 3000, 12, 90, 10)}, base={(1, 10, 1): (6, 3000, 12, 90, 10)},
        labels={(1, 10, 1): {"role": "alice", "fingerprint": NUMBER}},
    )  # fmt: skip
    return [*found, Batch(frames=(waits, counted))]


@pytest.fixture
def store(pg_dsn: str) -> str:
    create_store(pg_dsn)

    async def fill() -> None:
        async with control_pool(pg_dsn, Stats()) as pool:
            async with pool.connection() as connection:
                await partitions.keep(connection, NOW, 7)
            writer = Writer(pool)
            with capture_logs():  # unconfigured, the log is on standard output
                for batch in batches():
                    writer.put(batch)
            assert await writer.flush(), writer.error

    asyncio.run(fill())
    return pg_dsn


def test_the_whole_story(call: Call, store: str) -> None:
    found = call("--dsn", store, "trace", fingerprint_hex(NUMBER))
    assert 0 == found.code, found.err
    for words in (
        "SELECT * FROM users WHERE email = $1", "6 calls, 3.02 s in all", "/cart 100.0 %",
        "6 calls, 500 µs each; 2 rows each", "90.0 % from cache",
        "IO:DataFileRead 75.0 %, CPU 25.0 % of 4 samples", "1.50 s",
        "users: Seq Scan instead of Index Scan; cost 8.50 before, 900.00 now.",
    ):  # fmt: skip
        assert words in re.sub(r"\s+", " ", found.out)
    assert "topsecret" not in found.out


def test_its_json(call: Call, store: str) -> None:
    story = json.loads(call("--dsn", store, "trace", fingerprint_hex(NUMBER), "--json").out)
    assert ([2, 2, 2], 3000, 3_020_000) == (
        [one["calls"] for one in story["timeline"]], story["queue_us"], story["total_us"],
    )  # fmt: skip
    assert {"IO:DataFileRead": 3, "CPU": 1} == story["waits"]
    assert [("seq", 1), ("index", 2)] == [(one["shape"], one["times"]) for one in story["plans"]]
    assert ["seq"] == [one["new_shape"] for one in story["plan_changes"]]
    assert {"calls": 6, "rows": 12} == {
        n: story["pg_stat_statements"][n] for n in ("calls", "rows")
    }


def test_slow_reaches_back_into_the_store(call: Call, store: str) -> None:
    (one,) = json.loads(call("--dsn", store, "slow", "--route", "/cart", "--json").out)
    assert ("seq", {"IO:DataFileRead": 1}, 7, SERVER.server) == (
        one["shape"], one["waits"], one["rows"], one["server"],
    )  # fmt: skip
    assert [] == json.loads(call("--dsn", store, "slow", "--user", "nobody", "--json").out)


def test_an_unknown_statement(call: Call, store: str) -> None:
    found = call("--dsn", store, "trace", "00000000000000ff")
    assert (2, "") == (found.code, found.out)


def test_a_change_of_plan_is_seen_across_a_restart(store: str) -> None:
    target = Target(SERVER.server, "app")
    known = on_connection(store, lambda connection: plan_store.read(connection, target=target))
    book = PlanBook(lambda database: Target(SERVER.server, database))
    book.remember(known)
    book.seen(Sighting(NUMBER, "app", INDEX, 4.0))
    (event,) = book.take()[1]
    assert "users: Index Scan instead of Seq Scan" == event.data["change"]
