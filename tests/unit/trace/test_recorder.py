from __future__ import annotations

import asyncio
import contextlib

import pytest

from dbopt.errors import UsageError
from dbopt.metrics import Sample
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.trace.recorder import Recorder
from tests.support import wait_until_async
from tests.unit.trace.observations import FakeClock, count


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


def test_beyond_the_bound_the_least_go_into_other_and_totals_stay_exact() -> None:
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
    assert 1001 == len(seen._rows)


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
    assert "total, calls, mean, p95, max, rows, errors, recent" in caught.value.hint


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
    assert [
        "fingerprint", "query", "kind", "complexity", "calls", "rows", "errors", "total_ms",
        "mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms", "queue_ms", "server_ms", "transfer_ms",
        "received_bytes", "sent_bytes", "databases", "users", "applications", "routes",
    ] == list(shown)  # fmt: skip
    assert {"score", "grade", "reasons"} == set(shown["complexity"])


def test_queue_server_and_transfer_are_apart_and_add_up() -> None:
    seen = recorder()
    given = {"queue_us": 800.0, "transfer_us": 1200.0, "received": 70, "sent": 9000}
    seen.add([count("SELECT 1", (1000.0, 3000.0), **given)])
    (one,) = seen.statements()
    assert (2.0, 0.4, 1.0, 0.6) == (one.mean_ms, one.queue_ms, one.server_ms, one.transfer_ms)
    assert (70, 9000) == (one.received_bytes, one.sent_bytes)
    totals = seen.totals().to_dict()
    assert (0.6, 70, 9000) == (
        totals["transfer_ms"], totals["received_bytes"], totals["sent_bytes"],
    )  # fmt: skip


def test_sums_by_who_ran_it_and_what_they_ran() -> None:
    seen = recorder()
    seen.add([
        count("SELECT a", (1000.0,), route="/cart"),
        count("SELECT b", (4000.0,), route="/cart", user="bob"),
        count("SELECT a", (2000.0,), route="/home", user="bob"),
    ])  # fmt: skip
    routes = seen.scopes("route")
    assert [("/cart", 2, 2, 5.0), ("/home", 1, 1, 2.0)] == [
        (one.name, one.statements, one.calls, one.total_ms) for one in routes
    ]
    assert {"route": "/cart", "statements": 2} == dict(list(routes[0].to_dict().items())[:2])
    assert [("bob", 6.0), ("alice", 1.0)] == [(s.name, s.total_ms) for s in seen.scopes("user")]
    (cart_of_bob,) = seen.statements(where={"route": "/cart", "user": "bob"})
    assert ("SELECT b", ("/cart",)) == (cart_of_bob.query, cart_of_bob.routes)
    number = cart_of_bob.fingerprint.upper()
    assert ["bob"] == [one.name for one in seen.scopes("user", where={"fingerprint": number})]


@pytest.mark.parametrize(
    ("by", "where", "words"),
    [
        ("colour", {}, "database, user, application, route"),
        ("user", {"colour": "x"}, "database, user, application, route"),
        ("user", {"fingerprint": "12"}, "/statements"),
    ],
)
def test_what_cannot_be_summed_by_is_refused(by: str, where: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        recorder().scopes(by, where=where)
    assert words in caught.value.hint


def test_a_period_is_what_was_added_since_it_was_taken() -> None:
    seen = recorder()
    seen.add([count("SELECT a", (1000.0,))])
    assert [1] == [part.histogram.count for _, part in seen.take_period()]
    seen.add([count("SELECT a", (1000.0, 2000.0), route="/x")])
    ((key, part),) = seen.take_period()
    assert ("app", "alice", "web", "/x") == key[1:]
    assert (2, 3000.0) == (part.histogram.count, part.histogram.total)
    assert [] == seen.take_period()
    assert 3 == seen.statements()[0].calls


def test_what_ran_lately_comes_first_when_that_is_asked_for() -> None:
    clock = FakeClock()
    seen = Recorder(100, Analyzer(), clock)
    seen.add([count("SELECT a", (9000.0,))])
    clock.now += 3600
    seen.add([count("SELECT b", (1000.0,))])
    assert ["SELECT b", "SELECT a"] == [one.query for one in seen.statements(order="recent")]


def test_the_database_in_which_a_statement_runs_most() -> None:
    seen = recorder()
    seen.add([
        count("SELECT a", (1.0,)), count("SELECT a", (9.0,), database="b"),
        count("SELECT a", (5.0,), user="bob"), count("SELECT a", (5.0,), user="eve"),
    ])  # fmt: skip
    assert "app" == seen.database_of(fingerprint("SELECT a"))
    assert "" == seen.database_of(5)
