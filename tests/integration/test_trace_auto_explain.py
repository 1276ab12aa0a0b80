"""auto_explain's plans, read in the logs of real servers as they write them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from dbopt.pg.connect import connect_async
from dbopt.sql.fingerprint import fingerprint
from dbopt.trace.autoplans import AutoPlans, read_prefix
from dbopt.trace.planbook import PlanBook
from tests.fix_pg import Server
from tests.support import wait_until

SQL = "SELECT count(*)\n  FROM users u JOIN users v ON v.id = u.id + 1 WHERE u.email = 'topsecret'"


@pytest.fixture(params=[18, 15])
def server(request: pytest.FixtureRequest) -> Server:
    made: Server = request.getfixturevalue("pg_backend" if request.param == 18 else "pg15_backend")
    if made.cluster is None:
        pytest.skip("needs the log of a server of our own")
    return made


@pytest.fixture
def dsn(request: pytest.FixtureRequest, server: Server) -> str:
    name = "pg15_dsn" if server.major == 15 else "pg_dsn"
    made: str = request.getfixturevalue(name)
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text);"
            "INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 2000) g; ANALYZE users"
        )
    return made


def run(dsn: str, log_format: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("LOAD 'auto_explain'")
        connection.execute(
            "SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;"
            f"SET auto_explain.log_format = {log_format}"
        )
        for sql in statements:
            connection.execute(sql)


def poll(plans: AutoPlans) -> int:
    return asyncio.run(plans.poll())


def polled(auto: AutoPlans, number: int, times: int = 1, shapes: int = 1) -> list[dict[str, Any]]:
    """The shapes of a statement, once there are so many, each seen so often."""
    poll(auto)
    found = auto._book.shapes(number)
    return found if len(found) == shapes and found[0]["times"] == times else []


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_plan_with_what_really_happened(server: Server, dsn: str, log_format: str) -> None:
    assert server.cluster is not None
    plans = PlanBook()
    number = fingerprint(SQL)
    # This server's prefix may not name the database: then the recorder knows where it runs.
    auto = AutoPlans(str(server.cluster.log_path), plans, lambda _: "app")
    poll(auto)
    run(dsn, log_format, SQL, SQL)
    found = wait_until(lambda: polled(auto, number, times=2), what="both plans")
    auto.close()
    assert ("auto_explain", "app", True) == (
        found[0]["source"], found[0]["database"], found[0]["cost"] > 10,
    )  # fmt: skip
    plan = plans.latest(number)
    assert plan is not None
    text = "\n".join(plan.lines)
    assert "using users_pkey" in text
    assert "actual" in text
    assert "topsecret" not in text + str(plan.json)
    assert 0 < plan.duration_ms < 60_000


def test_a_new_plan_is_a_change(server: Server, dsn: str) -> None:
    assert server.cluster is not None
    plans = PlanBook()
    auto = AutoPlans(str(server.cluster.log_path), plans)
    poll(auto)
    sql = "SELECT email FROM users WHERE email = 'u7'"
    run(dsn, "json", sql, "CREATE INDEX users_email ON users (email)", sql)
    number = fingerprint(sql)
    wait_until(lambda: polled(auto, number, shapes=2), what="both plans")
    auto.close()
    (event,) = (one for one in plans.take()[1] if one.data["fingerprint"] == f"{number:016x}")
    assert "users: Index Only Scan using users_email instead of Seq Scan" == event.data["change"]
    assert "auto_explain" == event.data["source"]


def test_the_prefix_is_the_servers(dsn: str) -> None:
    async def main() -> str:
        async with await connect_async(dsn) as connection:
            return await read_prefix(connection)

    with psycopg.connect(dsn) as connection:
        assert connection.execute("SHOW log_line_prefix").fetchone() == (asyncio.run(main()),)


def test_a_log_that_cannot_be_read_is_said_once_and_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "none.log"
    auto = AutoPlans(str(path), PlanBook())
    with capture_logs() as logs:
        assert (0, 0) == (poll(auto), poll(auto))
    assert ["the server's log cannot be read"] == [one["event"] for one in logs]
    finding = auto.finding()
    assert finding is not None
    assert (False, str(path)) == (finding.examined, finding.object)
    assert "log_file_mode" in finding.remedy
    path.write_bytes(b"")
    poll(auto)
    assert auto.finding() is None
    auto.close()


def test_of_a_flood_so_many_are_taken_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "server.csv"
    path.write_bytes(b"")
    auto = AutoPlans(str(path), PlanBook())
    poll(auto)
    text = "duration: 1.0 ms  plan:\nQuery Text: SELECT 1\nResult  (cost=0.0..0.1 rows=1 width=4)"
    row = ["2026-01-02 03:04:05.678 UTC", "alice", "app", "42", *[""] * 9, text, *[""] * 8]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    path.write_text(out.getvalue() * 120)
    assert 50 == poll(auto)
    assert (50, 70) == (auto.read, auto.dropped)
    assert [("app", 50)] == [
        (one["database"], one["times"]) for one in auto._book.shapes(fingerprint("SELECT 1"))
    ]
    auto.close()


def test_what_only_looks_like_a_plan_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    path.touch()
    auto = AutoPlans(str(path), PlanBook())
    poll(auto)
    node = {"Node Type": "Result", "Startup Cost": 0.0, "Total Cost": 1.0, "Plan Rows": 1}
    entries = [
        {"Query Text": f"SELECT {name}", "Plan": node | {"Plan Width": 4, "Total Cost": cost}}
        for name, cost in (("a", "no number"), ("b", 1.0))
    ]
    with path.open("a") as log, capture_logs() as logs:
        for entry in entries:
            text = f"duration: 1.000 ms  plan:\n{json.dumps(entry)}"
            log.write(json.dumps({"message": text, "dbname": "app", "pid": 1}) + "\n")
        log.flush()
        assert 2 == poll(auto)
    auto.close()
    assert (1, 1) == (auto.read, auto.dropped)
    assert 1 == len(auto._book.shapes(fingerprint("SELECT b")))
    assert ["ValueError"] == [entry["error"] for entry in logs]
