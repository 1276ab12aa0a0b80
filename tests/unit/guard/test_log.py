"""What the guard has decided."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dbopt.guard import log
from dbopt.guard.log import OBSERVED, REFUSED, GuardLog, Key
from dbopt.metrics import Sample


def key(number: int = 1, rule: str = "ddl", action: str = OBSERVED, route: str = "") -> Key:
    return (number, "app", "alice", "web", route, rule, action)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_calls_of_one_decision_add_up() -> None:
    time = Time()
    kept = GuardLog(time)
    kept.add(key(0xAB), 3, "no DDL", 7)
    time.now = 1.5
    kept.add(key(0xAB), 2)

    (decision,) = kept.latest()
    assert {
        "fingerprint": "00000000000000ab",
        "query": "DROP TABLE t",
        "database": "app",
        "user": "alice",
        "application": "web",
        "route": "",
        "rule": "ddl",
        "action": "observed",
        "message": "no DDL",
        "score": 7,
        "calls": 5,
        "first_seen": "1970-01-01T00:00:00.000+00:00",
        "last_seen": "1970-01-01T00:00:01.500+00:00",
    } == decision.to_dict("DROP TABLE t")


def test_the_newest_come_first_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CAPACITY", 3)
    kept = GuardLog()
    for number in (1, 2, 3, 1, 4):
        kept.add(key(number), 1)
    assert [4, 1, 3] == [decision.fingerprint for decision in kept.latest()]
    assert [4] == [decision.fingerprint for decision in kept.latest(1)]
    assert {("ddl", OBSERVED): 5} == kept.totals()


def test_routes_rules_and_actions_are_told_apart() -> None:
    kept = GuardLog()
    for one in (key(), key(rule="cost"), key(action=REFUSED), key(route="/x"), key(action=REFUSED)):
        kept.add(one, 2)
    assert [2, 2, 2, 4] == sorted(decision.calls for decision in kept.latest())
    assert [
        Sample("dbopt_guard_decisions_total", 4, ("ddl", "observed")),
        Sample("dbopt_guard_decisions_total", 2, ("cost", "observed")),
        Sample("dbopt_guard_decisions_total", 4, ("ddl", "refused")),
    ] == list(kept.samples())


def test_rules_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = GuardLog()
    for number in range(100):
        kept.add(key(rule=str(number)), 1)
    assert 50 == len(kept.totals())


def test_what_is_new_is_said_once_and_not_too_often() -> None:
    time = Time()
    kept = GuardLog(time)
    with capture_logs() as said:
        for number in (1, 1, *range(2, 30)):
            kept.add(key(number), 1, score=7)
        assert 10 == len(said)
        time.now = 60.0
        kept.add(key(30, action=REFUSED), 1)
    assert {
        "event": "statement would be refused", "log_level": "info", "rule": "ddl", "score": 7,
        "fingerprint": "0000000000000001", "database": "app", "user": "alice", "application": "web",
    } == said[0]  # fmt: skip
    assert "statement refused" == said[10]["event"]
