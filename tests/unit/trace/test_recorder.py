from __future__ import annotations

import asyncio
import contextlib

import pytest

from dbopt.errors import UsageError
from dbopt.metrics import Sample
from dbopt.sql.analyze import Analyzer
from dbopt.trace.recorder import Recorder
from tests.support import wait_until_async
from tests.unit.trace.observations import count


def recorder(most: int = 100) -> Recorder:
    return Recorder(most, Analyzer())


def kinds(of: Recorder) -> dict[tuple[str, ...], float]:
    return {s.labels: s.value for s in of.samples() if s.name == "dbopt_statements_total"}  # type: ignore[misc]


def judge_all(of: Recorder) -> None:
    while of.judge_next():
        pass


def test_one_statement_of_several_scopes_is_one_summary() -> None:
    seen = recorder()
    sql = "SELECT * FROM users WHERE id = 7"
    seen.add([
        count(sql, (1000.0, 3000.0), queue_us=800.0, errors={"57014": 1}),
        count(sql, (2000.0,), text="", user="bob", application="jobs", database="other", rows=9),
    ])  # fmt: skip
    (summary,) = seen.statements()
    assert "SELECT * FROM users WHERE id = $1" == summary.query
    assert 3 == summary.calls
    assert 11 == summary.rows
    assert {"57014": 1} == summary.errors
    assert (6.0, 2.0, 3.0) == (summary.total_ms, summary.mean_ms, summary.max_ms)
    assert pytest.approx(2.0, rel=0.011) == summary.p50_ms
    assert pytest.approx(0.267) == summary.queue_ms
    assert ("app", "other") == summary.databases
    assert ("alice", "bob") == summary.users
    assert ("jobs", "web") == summary.applications
    assert "read" == summary.kind
    assert summary.complexity is not None


def test_the_text_outlives_clear_since_it_is_sent_once() -> None:
    seen = recorder()
    seen.add([count("SELECT a FROM t")])
    seen.clear()
    assert [] == seen.statements()
    assert 0 == seen.totals().histogram.count
    seen.add([count("SELECT a FROM t", text="")])
    assert ["SELECT a FROM t"] == [one.query for one in seen.statements()]


def test_beyond_the_bound_the_longest_unseen_go_into_other_and_totals_stay_exact() -> None:
    seen = recorder(most=3)
    kept = count("SELECT a FROM kept")
    for n in range(10):
        seen.add([kept, count(f"SELECT a{n} FROM t", (2000.0,), errors={"40001": 1})])
    summaries = {one.query: one for one in seen.statements()}
    assert 4 == len(summaries)
    assert 10 == summaries["SELECT a FROM kept"].calls
    other = summaries["(other)"]
    assert "0" * 16 == other.fingerprint
    assert ("other", None) == (other.kind, other.complexity)
    assert (8, 16.0, {"40001": 8}) == (other.calls, other.total_ms, other.errors)
    assert 20 == seen.totals().histogram.count
    assert 20 == sum(one.calls for one in summaries.values())


def test_the_others_themselves_are_bounded() -> None:
    seen = recorder(most=10)
    seen.add([count(fingerprint=0, text="(other)", user=f"u{n}") for n in range(1500)])
    assert 1500 == seen.statements()[0].calls
    assert 1001 == len(seen._others)


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("total", "SELECT often"), ("calls", "SELECT often"), ("mean", "SELECT long"),
        ("p95", "SELECT long"), ("max", "SELECT long"), ("rows", "SELECT wide"),
        ("errors", "SELECT bad"),
    ],
)  # fmt: skip
def test_orders(order: str, first: str) -> None:
    seen = recorder()
    seen.add([
        count("SELECT often", (1000.0,) * 100, rows=0),
        count("SELECT long", (50_000.0,)),
        count("SELECT wide", (10.0,), rows=1000),
        count("SELECT bad", (10.0,), errors={"42P01": 1}),
    ])  # fmt: skip
    assert [first] == [one.query for one in seen.statements(1, order)]


def test_an_unknown_order_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        recorder().statements(order="colour")
    assert "total, calls, mean, p95, max, rows, errors" in caught.value.hint


def test_kinds_count_once_judged_and_never_twice() -> None:
    seen = recorder()
    batch = [
        count("SELECT 1", (1.0, 2.0)), count("DELETE FROM t"),
        count(fingerprint=0, text="(other)"), count(fingerprint=5, text=""),
    ]  # fmt: skip
    seen.add(batch)
    assert {("app", "other"): 2} == kinds(seen)
    seen.statements()  # judges, and must not count
    judge_all(seen)
    assert {("app", "other"): 2, ("app", "read"): 2, ("app", "delete"): 1} == kinds(seen)
    seen.add(batch)
    assert {("app", "other"): 4, ("app", "read"): 4, ("app", "delete"): 2} == kinds(seen)


def test_what_metrics_shows_never_goes_down() -> None:
    seen = recorder(most=1)
    seen.add([count("SELECT 1", errors={"42P01": 2})])
    seen.clear()
    seen.add([count("SELECT 2 FROM t")])
    judge_all(seen)
    assert {("app", "read"): 2} == kinds(seen)
    assert Sample("dbopt_statement_errors_total", 2, ("42P01",)) in list(seen.samples())
    assert 2 == seen.lifetime.histogram.count


def test_judging_runs_beside_the_loop() -> None:
    async def main() -> None:
        seen = recorder()
        task = asyncio.create_task(seen.judging())
        for n in range(3):
            seen.add([count(f"SELECT a{n} FROM t")])

            async def judged(n: int = n) -> bool:
                return kinds(seen) == {("app", "read"): n + 1}

            await wait_until_async(judged)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_to_dict_holds_no_literal() -> None:
    seen = recorder()
    seen.add([count("SELECT * FROM users WHERE email = 'topsecret' AND pin = 987654")])
    shown = str(seen.statements()[0].to_dict()) + str(seen.totals().to_dict())
    assert "topsecret" not in shown
    assert "987654" not in shown


def test_to_dict() -> None:
    seen = recorder()
    seen.add([count("SELECT * FROM a JOIN b USING (id)")])
    shown = seen.statements()[0].to_dict()
    assert list(shown) == [
        "fingerprint", "query", "kind", "complexity", "calls", "rows", "errors", "total_ms",
        "mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms", "queue_ms", "databases", "users",
        "applications",
    ]  # fmt: skip
    assert {"score", "grade", "reasons"} == set(shown["complexity"])
