from __future__ import annotations

from collections.abc import Sequence

from dbopt.metrics import Sample
from dbopt.trace.slow import SlowEvent, SlowLog
from tests.unit.trace.observations import slow


def slow_log(most: int = 10) -> SlowLog:
    return SlowLog(most, lambda fingerprint: "read")


def test_newest_first_and_bounded() -> None:
    log = slow_log(3)
    log.add([slow(f"SELECT a{n}") for n in range(5)])
    assert ["SELECT a4", "SELECT a3", "SELECT a2"] == [e.statement.text for e in log.latest()]
    assert ["SELECT a4"] == [e.statement.text for e in log.latest(1)]
    assert 5 == log.count
    log.clear()
    assert [] == log.latest()
    assert [Sample("dbopt_slow_statements_total", 5)] == list(log.samples())


def test_errors_are_counted() -> None:
    log = slow_log()
    log.add([slow(sqlstate="57014"), slow()])
    assert 1 == log.errors
    assert [False, True] == [event.failed for event in log.latest()]


def test_to_dict_never_holds_the_text_that_ran() -> None:
    log = slow_log()
    log.add([slow("SELECT * FROM users WHERE email = 'topsecret'")])
    assert {
        "fingerprint": f"{log.latest()[0].statement.fingerprint:016x}",
        "query": "SELECT * FROM users WHERE email = $1",
        "kind": "read",
        "database": "app",
        "user": "alice",
        "application": "web",
        "started": "2023-11-14T22:13:20.250+00:00",
        "duration_ms": 1500.0,
        "queue_ms": 100.0,
        "server_ms": 1400.0,
        "rows": 3,
        "sqlstate": "",
        "backend_pid": 42,
    } == log.latest()[0].to_dict()


def test_subscribers_hear_each_batch_though_one_fails() -> None:
    heard: list[int] = []

    def broken(events: Sequence[SlowEvent]) -> None:
        raise RuntimeError("topsecret")

    log = slow_log()
    log.subscribe(broken)
    log.subscribe(lambda events: heard.append(len(events)))
    log.add([slow(), slow()])
    log.add([])
    assert [2] == heard
