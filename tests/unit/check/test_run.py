from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dbopt.check import run
from dbopt.check.rules import RULES
from dbopt.check.run import Outcome, choose, judge
from dbopt.checksettings import Check
from dbopt.errors import UsageError
from dbopt.pg.health import Health
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Finding, Severity
from tests.unit.check.builders import SERVER, health, session

GRANT = Unseen("Hidden.", 'GRANT pg_monitor TO "dbopt";')
NAMES = tuple(rule.name for rule in RULES)


def outcome(*findings: Finding, rules: tuple[str, ...] = NAMES, **more: Any) -> Outcome:
    return Outcome(SERVER, ("app",), rules, findings, **more)


def found(looked: Health, *only: str) -> list[tuple[str, str, bool]]:
    return [(f.rule, f.object, f.examined) for f in judge(looked, Check(), choose(only))]


def test_a_server_that_is_well() -> None:
    assert [] == judge(health(), Check())
    assert outcome().worst is None
    assert {"critical": 0, "warning": 0, "info": 0, "fine": len(RULES), "not_examined": 0,
            "ignored": 0} == outcome().counts()  # fmt: skip


def test_the_gravest_comes_first() -> None:
    ill = health({"fsync": "off", "jit": "on", "password_encryption": "md5"})
    assert ["fsync", "password-encryption", "jit"] == [f.rule for f in judge(ill, Check())]


def test_a_part_that_is_missing_is_not_examined_and_never_healthy() -> None:
    blind = replace(health(sessions=session(query_seconds=9e9)), unseen={"sessions": GRANT})
    (finding,) = judge(blind, Check(), choose(["long-queries"]))
    assert not finding.examined
    assert ("server", "Hidden.", GRANT.remedy) == (finding.object, finding.message, finding.remedy)


def test_what_is_seen_of_a_part_that_is_partly_hidden_counts() -> None:
    partly = {"sessions": replace(GRANT, partly=True)}
    blind = replace(health(sessions=session(query_seconds=9e9)), unseen=partly)
    assert [("long-queries", "pid 11", True), ("long-queries", "server", False)] == found(
        blind, "long-queries"
    )


def test_a_reason_is_given_once() -> None:
    blind = replace(health(), unseen={"sessions": GRANT, "replicas": GRANT})
    assert [("xmin-horizon", "server", False)] == found(blind, "xmin-horizon")


def test_choosing() -> None:
    assert NAMES == tuple(rule.name for rule in choose())
    assert ["fsync", "jit"] == [
        r.name for r in choose(["jit", "fsync", "wal-level"], ["wal-level"])
    ]
    with pytest.raises(UsageError, match=r"fsink: there is no such check. Did you mean fsync\?"):
        choose(["fsink"])
    with pytest.raises(UsageError, match="dbopt check --list"):
        choose(skip=["xxxxxxxxxxxxxxxx"])


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("", ["jit:jit", "no-primary-key:public.log"]),
        ("jit", ["no-primary-key:public.log"]),
        ("no-primary-key:public.lo?, x:y", ["jit:jit"]),
        ("no-primary-key:public.l", ["jit:jit", "no-primary-key:public.log"]),
        ("*", []),
    ],
)
def test_ignoring(ignore: str, left: list[str]) -> None:
    findings = [Finding("jit", Severity.INFO, "jit", "x"),
                Finding("no-primary-key", Severity.INFO, "public.log", "x")]  # fmt: skip
    kept, ignored = run._without_ignored(findings, ignore)
    assert left == [f"{f.rule}:{f.object}" for f in kept]
    assert 2 - len(left) == ignored


def test_counts_by_rule() -> None:
    done = outcome(
        Finding("fsync", Severity.CRITICAL, "fsync", "x"),
        Finding("sessions", Severity.INFO, "server", "x", examined=False),
        rules=("fsync", "jit"),
    )
    assert {("fsync", "critical"): 1, ("fsync", "warning"): 0, ("jit", "critical"): 0,
            ("jit", "warning"): 0, ("sessions", "not_examined"): 1} == done.by_rule()  # fmt: skip


def test_the_document() -> None:
    done = outcome(Finding("fsync", Severity.CRITICAL, "fsync", "x", {"a": 1}, "y"),
                   seconds=0.12345, measures={"connections": (3, "")})  # fmt: skip
    document = json.loads(json.dumps(done.to_dict()))
    assert {
        "taken_at": "2026-11-01T00:00:00+00:00",
        "server_version": "18.6",
        "in_recovery": False,
        "databases": ["app"],
        "seconds": 0.123,
        "summary": done.counts(),
        "measures": {"connections": 3},
        "findings": [{"rule": "fsync", "severity": "critical", "object": "fsync", "message": "x",
                      "evidence": {"a": 1}, "remedy": "y", "examined": True}],
    } == document  # fmt: skip


def test_measures() -> None:
    looked = health(sessions=(session(1, transaction_seconds=5.0), session(2, blocked_by=(1,))))
    assert {
        "connections": (3, ""),
        "blocked_sessions": (1, ""),
        "oldest_transaction": (5.0, "s"),
        "oldest_xid_age": (1000, ""),
        "slot_retained": (0, "B"),
    } == run.measures(looked)
