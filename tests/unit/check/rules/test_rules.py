"""Every rule fires where it should, is quiet nearby, and uses the thresholds that it names."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import pytest

from dbopt.check.rule import Rule
from dbopt.check.rules import RULES
from dbopt.checksettings import Check
from dbopt.pg.health import DATABASE_PARTS, SERVER_PARTS
from dbopt.pg.healthparts import Parameter
from dbopt.settings import TABLE
from tests.unit.check.builders import Example, database, health, parameters, server, session, table
from tests.unit.check.rules import examples_running as running
from tests.unit.check.rules import examples_standing as standing

BY_NAME = {rule.name: rule for rule in RULES}
EXAMPLES: tuple[Example, ...] = (
    *running.WRAPAROUND, *running.SESSIONS, *running.VACUUM, *running.REPLICATION,
    *running.CAPACITY, *standing.SETTINGS, *standing.INTEGRITY, *standing.SCHEMA,
    *standing.SECURITY, *standing.SOFTWARE,
)  # fmt: skip
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=[e.rule for e in EXAMPLES])
EACH_RULE = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


class Spy:
    """Thresholds that remember which of them were asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        return getattr(Check(), name)


@EACH
def test_it_fires(example: Example) -> None:
    found = list(BY_NAME[example.rule].find(example.fires, example.limits))
    assert [(example.rule, example.severity, example.object)] == [
        (f.rule, f.severity, f.object) for f in found
    ]
    (finding,) = found
    assert finding.examined
    assert example.remedy in finding.remedy
    assert finding.remedy
    assert finding.message[-1] in ".)"


@EACH
def test_it_is_quiet(example: Example) -> None:
    assert [] == list(BY_NAME[example.rule].find(example.quiet, example.limits))


@EACH_RULE
def test_each_rule_has_an_example(rule: Rule) -> None:
    assert rule.name in {example.rule for example in EXAMPLES}


@EACH_RULE
def test_each_rule_is_quiet_of_a_server_that_is_well(rule: Rule) -> None:
    assert [] == list(rule.find(health(), Check()))


@EACH_RULE
def test_each_rule_names_the_thresholds_that_it_uses(rule: Rule) -> None:
    spy = Spy()
    for example in EXAMPLES:
        if example.rule == rule.name:
            list(rule.find(example.fires, cast(Check, spy)))
            list(rule.find(example.quiet, cast(Check, spy)))
    assert set(rule.settings) == spy.asked


def test_each_threshold_is_some_rules() -> None:
    used = {name for rule in RULES for name in rule.settings}
    assert {f.name for f in fields(Check)} == used | {"interval", "ignore"}
    assert all(f"check.{name}" in TABLE for name in used)


@EACH_RULE
def test_each_rule_needs_what_there_is(rule: Rule) -> None:
    assert set(rule.needs) <= {*SERVER_PARTS, *DATABASE_PARTS, "counters"}
    assert rule.name == rule.name.lower()
    assert rule.doc.split()


def test_the_names_are_distinct() -> None:
    assert len(BY_NAME) == len(RULES) >= 80


@pytest.mark.parametrize("name", ["deadlocks", "cache-hit", "rollback-share", "never-vacuumed"])
def test_young_counters_are_not_judged(name: str) -> None:
    young = health(databases=database(counted_seconds=10.0, deadlocks=10**6),
                   tables=table(vacuumed_ago=None))  # fmt: skip
    (finding,) = BY_NAME[name].find(young, Check())
    assert not finding.examined
    assert "60 min" in finding.remedy


def test_a_managed_server_is_not_told_to_alter_its_system() -> None:
    managed = health({"jit": "on"}, server=server(managed_by="rdsadmin"))
    (finding,) = BY_NAME["jit"].find(managed, Check())
    assert "Set jit to off in the provider's parameters." == finding.remedy


def test_what_our_own_session_sets_says_nothing_of_the_server() -> None:
    settings = parameters() | {
        "statement_timeout": Parameter("statement_timeout", "0", "ms", "session")
    }
    (finding,) = BY_NAME["statement-timeout"].find(replace(health(), settings=settings), Check())
    assert not finding.examined


def test_without_timing_the_disk_is_not_known() -> None:
    untimed = health({"random_page_cost": "4", "track_io_timing": "off"})
    (finding,) = BY_NAME["random-page-cost"].find(untimed, Check())
    assert not finding.examined


def test_a_tree_of_blockers_names_all_that_wait() -> None:
    (finding,) = BY_NAME["blocking-locks"].find(running.SESSIONS[0].fires, Check())
    assert [12, 13] == [waiter["pid"] for waiter in finding.evidence["waiting"]]
    assert finding.message == (
        "app@app (web), idle in transaction for 75 s, blocks 2 sessions, the longest for 70 s: "
        "ShareLock."
    )


def test_sessions_that_wait_for_each_other_have_no_root() -> None:
    circle = (session(1, blocked_by=(2,)), session(2, blocked_by=(1,)))
    assert [] == list(BY_NAME["blocking-locks"].find(health(sessions=circle), Check()))
