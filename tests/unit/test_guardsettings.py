"""The guard's rules for one client, by what is set where."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from dbopt.guardsection import AppRoute, Guard, GuardOverrides
from dbopt.guardsettings import GuardRules, fingerprints, guard_rules
from dbopt.poolsettings import Application, Database, User
from dbopt.settings import NAMED_TABLE, Settings

FIELDS = [field.name for field in fields(Guard)]
OVERRIDDEN = [field.name.removeprefix("guard_") for field in fields(GuardOverrides)]
OTHER: dict[str, Any] = {
    "mode": "enforce", "max_complexity": 7, "max_cost": 8.0, "unqualified_writes": "allow",
    "ddl": "refuse", "read_only": True, "max_rows": 9, "timeout_simple": 1.0,
    "timeout_moderate": 2.0, "timeout_complex": 3.0, "timeout_extreme": 4.0,
    "allow": "00000000000000aa", "deny": "00000000000000bb", "fail": "closed", "heavy_share": 0.25,
    "verdict_timeout": 2.0,
}  # fmt: skip
"""Another value than the default, of each setting."""


def test_the_rules_are_the_settings() -> None:
    assert [field.name for field in fields(GuardRules)] == FIELDS == sorted(OTHER, key=FIELDS.index)
    assert GuardRules() == guard_rules(Settings(), "app", "alice", "web", "/x")


@pytest.mark.parametrize("name", FIELDS)
def test_guard_gives_each_rule(name: str) -> None:
    rules = guard_rules(Settings(guard=Guard(**{name: OTHER[name]})), "app", "alice", "web")
    wanted = frozenset({0xAA if name == "allow" else 0xBB}) if name in ("allow", "deny") else None
    assert (wanted or OTHER[name]) == getattr(rules, name)


def test_who_may_have_what_of_their_own() -> None:
    assert [name for name in FIELDS if name not in ("heavy_share", "verdict_timeout")] == OVERRIDDEN
    for kind, own in NAMED_TABLE.items():
        shared = kind in ("databases", "users")
        assert shared == ("guard_heavy_share" in own)
        assert {f"guard_{name}" for name in OVERRIDDEN} <= set(own)


@pytest.mark.parametrize("name", OVERRIDDEN)
@pytest.mark.parametrize("level", ["databases", "users", "applications", "routes"])
def test_each_level_has_each_rule(name: str, level: str) -> None:
    kind, key = {
        "databases": (Database, "app"), "users": (User, "alice"),
        "applications": (Application, "web"), "routes": (AppRoute, "/x"),
    }[level]  # fmt: skip
    given: Any = {level: {key: kind(**{f"guard_{name}": OTHER[name]})}}
    rules = guard_rules(Settings(**given), "app", "alice", "web", "/x")
    assert getattr(rules, name) != getattr(GuardRules(), name)
    others = [f for f in FIELDS if f != name]
    assert [getattr(GuardRules(), f) for f in others] == [getattr(rules, f) for f in others]
    assert GuardRules() == guard_rules(Settings(**given), "b", "b", "b", "b")


def test_the_nearest_comes_first() -> None:
    settings = Settings(
        guard=Guard(max_rows=1),
        databases={"app": Database(guard_max_rows=2), "*": Database(guard_max_rows=6)},
        users={"alice": User(guard_max_rows=3)},
        applications={"web": Application(guard_max_rows=4)},
        routes={"/x": AppRoute(guard_max_rows=5)},
    )
    names = ("app", "alice", "web", "/x")
    found = []
    for known in range(5):
        who = [name if known > at else "other" for at, name in enumerate(names)]
        found.append(guard_rules(settings, *who).max_rows)
    assert [6, 2, 3, 4, 5] == found


def test_zero_and_no_are_values_too() -> None:
    settings = Settings(
        guard=Guard(read_only=True, max_complexity=50, allow="00000000000000aa"),
        users={"admin": User(guard_read_only=False, guard_max_complexity=0, guard_allow="")},
    )
    rules = guard_rules(settings, "app", "admin", "")
    assert (False, 0, frozenset()) == (rules.read_only, rules.max_complexity, rules.allow)


def test_heavy_statements_share_by_database_and_user() -> None:
    settings = Settings(databases={"app": Database(guard_heavy_share=0.1)})
    assert 0.1 == guard_rules(settings, "app", "alice", "").heavy_share
    assert 0.5 == guard_rules(settings, "other", "alice", "").heavy_share


def test_lists_of_fingerprints() -> None:
    assert frozenset() == fingerprints("")
    two = fingerprints(" 00000000000000ff, F000000000000001 ,nonsense,")
    assert frozenset({0xFF, 0xF000_0000_0000_0001}) == two


def test_times_by_class() -> None:
    rules = GuardRules(
        timeout_simple=1, timeout_moderate=2, timeout_complex=3, timeout_extreme=4, fail="closed"
    )
    assert [1, 2, 3, 4, 0] == [
        rules.timeout(grade) for grade in ("simple", "moderate", "complex", "extreme", "")
    ]
    assert rules.fails_closed
    assert not rules.enforced
    assert {rules: 1} == {rules: 1}, "it is a key of a dict"
