from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dbopt.errors import UsageError
from dbopt.metrics import Sample
from dbopt.trace.slow import SlowEvent, SlowLog, Wanted
from tests.unit.trace.observations import FakeClock, slow


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
        "type": "slow_query",
        "fingerprint": f"{log.latest()[0].statement.fingerprint:016x}",
        "query": "SELECT * FROM users WHERE email = $1",
        "kind": "read",
        "database": "app",
        "user": "alice",
        "application": "web",
        "route": "",
        "started": "2023-11-14T22:13:20.250+00:00",
        "duration_ms": 1500.0,
        "queue_ms": 100.0,
        "server_ms": 1400.0,
        "transfer_ms": 0.0,
        "rows": 3,
        "received_bytes": 0,
        "sent_bytes": 0,
        "sqlstate": "",
        "backend_pid": 42,
        "trace_id": "",
        "tags": {},
        "waits": {},
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


class Sampled:
    """Samples of which only the question is looked at."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float, float]] = []

    def waits(self, pid: int, started: float, ended: float) -> dict[str, int]:
        self.asked.append((pid, started, ended))
        return {"CPU": 1, "Lock:transactionid": 3}


def test_waits_come_two_seconds_after_the_end_and_once() -> None:
    clock, samples = FakeClock(), Sampled()
    log = SlowLog(10, lambda fingerprint: "read", clock)
    log.add([slow(started=clock.now - 1.5), slow(started=clock.now, backend_pid=0)])
    log.settle(samples)
    assert {} == log.latest()[1].waits
    clock.now += 2.0
    log.settle(samples)
    log.settle(samples)
    # Of its 1500 ms, 100 were in the queue: no backend was its own then.
    assert [(42, 998.6, 1000.0)] == samples.asked
    assert {"CPU": 1, "Lock:transactionid": 3} == log.latest()[1].to_dict()["waits"]
    clock.now += 60.0
    log.settle(samples)
    assert 1 == len(samples.asked)  # a statement that no backend ran waited for none


def test_the_trace_is_named() -> None:
    number = "4bf92f3577b34da6a3ce929d0e0e4736"
    shown = SlowEvent(slow(tags={"traceparent": f"00-{number}-00f067aa0ba902b7-01"}), "read")
    assert number == shown.to_dict()["trace_id"]


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        ({}, ["SELECT c", "SELECT b", "SELECT a"]),
        ({"order": "duration"}, ["SELECT b", "SELECT a", "SELECT c"]),
        ({"errors": True}, ["SELECT c"]),
        ({"fields": (("route", "/cart"),)}, ["SELECT b"]),
        ({"fields": (("user", "alice"), ("route", ""))}, ["SELECT c", "SELECT a"]),
        ({"since": 20.0}, ["SELECT c", "SELECT b"]),
        ({"until": 20.0}, ["SELECT a"]),
    ],
)
def test_wanted(wanted: dict[str, Any], texts: list[str]) -> None:
    log = slow_log()
    log.add([
        slow("SELECT a", started=10.0), slow("SELECT b", started=20.0, duration_ms=9e3,
        route="/cart"), slow("SELECT c", started=30.0, sqlstate="57014", duration_ms=1.0),
    ])  # fmt: skip
    assert texts == [e.statement.text for e in log.latest(wanted=Wanted(**wanted))]
    assert texts[:1] == [e.statement.text for e in log.latest(1, Wanted(**wanted))]


def test_an_error_is_an_event_of_its_own_type() -> None:
    assert "query_error" == SlowEvent(slow(sqlstate="40P01"), "read").to_dict()["type"]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(UsageError):
        Wanted(order="colour")


def test_a_storm_of_fast_errors_leaves_the_slow_ones() -> None:
    log = SlowLog(3, lambda _: "read", threshold_ms=1000.0)
    log.add([slow(started=1.0), slow(started=2.0, sqlstate="57014")])
    log.add([slow(started=3.0 + n, sqlstate="22012", duration_ms=1.0) for n in range(10)])
    assert [12.0, 11.0, 10.0, 2.0, 1.0] == [one.statement.started for one in log.latest()]
    assert (2, 11) == (log.count, log.errors)
