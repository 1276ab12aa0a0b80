from __future__ import annotations

import pytest

from dbopt.sql.ddl import read
from dbopt.sql.ddl.model import Unread
from dbopt.sql.findings import Severity
from dbopt.sql.migration import DEFAULT_RULES, RULES
from dbopt.sql.migration.lint import lint_migration
from dbopt.sql.migration.support import Rule

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_the_example_fires(rule: Rule) -> None:
    assert {rule.name} == {found.rule for found in lint_migration(rule.fires, rules=[rule])}


@each_rule
def test_the_counterexample_passes(rule: Rule) -> None:
    assert [] == lint_migration(rule.passes, rules=[rule])


@each_rule
def test_the_counterexample_is_free_of_graver_findings(rule: Rule) -> None:
    """What a rule proposes is nothing that another one calls critical."""
    found = lint_migration(rule.passes)
    assert [] == [one for one in found if one.severity is Severity.CRITICAL]


@each_rule
def test_a_marker_takes_it_back(rule: Rule) -> None:
    if rule.name == "ignore-without-reason":
        return
    for name in (rule.name, rule.squawk, *rule.aliases):
        marker = f"-- dbopt:ignore {name or rule.name} tested\n"
        marked = marker + rule.fires.replace(";\n", f";\n{marker}")
        assert [] == lint_migration(marked, rules=[rule]), name


@each_rule
def test_is_documented(rule: Rule) -> None:
    for text in (rule.summary, rule.reason, rule.remedy):
        assert text.endswith(".")
        assert text == text.strip()
        assert len(text) >= 15
    assert rule.check is not None or rule.check_migration is not None


@each_rule
def test_examples_can_be_read(rule: Rule) -> None:
    for text in (rule.fires, rule.passes):
        assert text == text.strip()
        unread = [one for one in read(text) if isinstance(one.does, Unread)]
        assert (rule.name == "unread" and text == rule.fires) == bool(unread)


def test_names_are_unique_and_in_order() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(set(names)) == names
    assert all(name == name.lower() and name.replace("-", "").isalnum() for name in names)


def test_some_have_to_be_asked_for() -> None:
    assert {rule.name for rule in RULES if not rule.default} == {
        rule.name for rule in set(RULES) - set(DEFAULT_RULES)
    }
