"""A daemon's trace, from clients' statements to the store and the command line."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from dbopt.pg.connect import AsyncConnection
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.store import events, history
from dbopt.store import plans as plan_store
from dbopt.store import slow as slow_store
from tests.fix_pg import Server
from tests.integration.daemon_support import Daemon, running
from tests.integration.store_support import create_store, on_connection
from tests.support import wait_until
from tests.unit.cli.calls import Call, caller

T = TypeVar("T")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SLEEP = f"SELECT pg_sleep(1.6) /*route='%2Fsleep',traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/"
READ = "SELECT email FROM users WHERE email = 'u7'"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(monkeypatch, capsys)


def stored(
    dsn: str, work: Callable[[AsyncConnection], Awaitable[Collection[T]]], least: int = 1
) -> Collection[T]:
    """What the store gives, once there is so much of it."""

    def enough() -> Collection[T]:
        found = on_connection(dsn, work)
        return found if len(found) >= least else ()

    return wait_until(enough, 30, "what is stored")


def test_a_statement_from_the_client_to_the_store(
    pg_backend: Server, pg_dsn: str, tmp_path: Path, call: Call
) -> None:
    create_store(pg_dsn)
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text);"
            "INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 2000) g; ANALYZE users"
        )
    given: dict[str, Any] = {
        "trace__slow": 1000,
        "stats__interval": 1,
        "stats__sample_interval": 0.2,
    }
    if pg_backend.cluster is not None:
        given["trace__auto_explain_log"] = pg_backend.cluster.log_path
    with running(pg_dsn, tmp_path, **given) as daemon:
        with daemon.connect(application_name="shop") as client:
            with client.transaction():
                for number in range(12):
                    client.execute(f"SELECT * FROM users WHERE id = {number}")
            client.execute(SLEEP)
            with pytest.raises(psycopg.errors.DivisionByZero):
                client.execute("SELECT 1/0")
        if pg_backend.cluster is not None:
            wait_until(lambda: _runs(daemon, "auto-explain"), what="the log's first look")
            _log_plans(pg_dsn)
        (again,) = wait_until(lambda: daemon.get("/transactions")["repeated"], what="an N+1")
        assert ("SELECT * FROM users WHERE id = $1", 12, "shop") == (
            again["query"], again["most"], again["application"],
        )  # fmt: skip
        stored(pg_dsn, lambda connection: slow_store.read(connection, route="/sleep"))
        (slow,) = json.loads(call("--dsn", pg_dsn, "slow", "--route", "/sleep", "--json").out)
        assert ("SELECT pg_sleep($1)", TRACE, "shop") == (
            slow["query"], slow["trace_id"], slow["application"],
        )  # fmt: skip
        assert slow["waits"].get("Timeout:PgSleep", 0) >= 1
        assert slow["shape"]
        stored(pg_dsn, lambda connection: slow_store.read(connection, errors=True))
        (failed,) = json.loads(call("--dsn", pg_dsn, "slow", "--errors", "--json").out)
        assert ("22012", "shop", 0) == (failed["sqlstate"], failed["application"], failed["rows"])
        if pg_backend.cluster is not None:
            _plans_of_the_log(pg_dsn)
        number = fingerprint(SLEEP)
        stored(pg_dsn, lambda connection: history.texts(connection, [number]))
        story = json.loads(call("--dsn", pg_dsn, "trace", f"{number:016x}", "--json").out)
        assert (1, {"/sleep"}) == (story["calls"], set(story["by"]["route"]))
        assert [TRACE] == [one["trace_id"] for one in story["slow"]]


def _runs(daemon: Daemon, job: str) -> int:
    return sum(one["runs"] for one in daemon.get("/status")["jobs"] if one["name"] == job)


def _log_plans(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("LOAD 'auto_explain'")
        connection.execute("SET auto_explain.log_min_duration = 0")
        connection.execute(READ)
        connection.execute("CREATE INDEX users_email ON users (email)")
        connection.execute(READ)


def _plans_of_the_log(dsn: str) -> None:
    """auto_explain's plans get into the store, and that one took another's place is an event."""
    number = fingerprint(READ)
    plans = stored(dsn, lambda connection: plan_store.read(connection, fingerprint=number), 2)
    assert {"auto_explain"} == {plan.source for plan in plans}
    (change,) = stored(dsn, lambda connection: events.read(connection, kinds=["plan-change"]))
    words = "users: Index Only Scan using users_email instead of Seq Scan"
    assert (fingerprint_hex(number), words) == (change.object, change.data["change"])
