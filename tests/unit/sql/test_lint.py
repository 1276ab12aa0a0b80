from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.lint import MOST_FINDINGS, MOST_OF_A_RULE, RULES, UNPARSED, lint
from dbopt.sql.rules import leading_wildcard, not_in_subquery, select_star
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Script
from tests.unit.sql.rules.sample import SAMPLE

ALL = [rule for rule in RULES if not rule.needs_schema]
STAR = (select_star.RULE,)


def test_a_finding_says_where() -> None:
    text = "select 1;\n  select id,\n   * from users"
    (found,) = lint(text, rules=STAR)
    assert "select-star" == found.rule
    assert Severity.WARNING is found.severity
    assert "3:4" == found.object
    assert select_star.RULE.remedy == found.remedy
    fingerprint = found.evidence.pop("fingerprint")
    assert re.fullmatch("[0-9a-f]{16}", fingerprint)
    assert {"line": 3, "column": 4, "end_line": 3, "end_column": 5, "statement": 2} == (
        found.evidence
    )


def test_the_fingerprint_is_the_statements() -> None:
    (found,) = lint("select 1; select * from t where a = 5", rules=STAR)
    (other,) = lint("select * from t where a = 7", rules=STAR)
    assert other.evidence["fingerprint"] == found.evidence["fingerprint"]
    assert fingerprint_hex(0) != found.evidence["fingerprint"]


def test_findings_come_in_the_order_of_the_text() -> None:
    text = "select id from t where a like '%abc'; select * from t; select * from t offset 5"
    found = lint(text, rules=ALL)
    lines = [tuple(map(int, one.object.split(":"))) for one in found]
    assert sorted(lines) == lines
    assert ["leading-wildcard", "select-star", "select-star"] == [one.rule for one in found]


def test_a_rewrite_is_evidence() -> None:
    text = "select id from users where id not in (select user_id from orders)"
    (found,) = lint(text, SAMPLE, rules=[not_in_subquery.RULE])
    assert Severity.INFO is found.severity
    assert found.evidence["rewrite"].startswith("SELECT id FROM users WHERE NOT EXISTS(")
    assert found.remedy.startswith("Write NOT EXISTS")


@pytest.mark.parametrize("before", ["explain ", "prepare p as ", "create table c as "])
def test_a_part_of_a_statement_has_no_rewrite(before: str) -> None:
    text = f"{before}select id from users where id not in (select user_id from orders)"
    (found,) = lint(text, SAMPLE, rules=[not_in_subquery.RULE])
    assert "rewrite" not in found.evidence


def test_what_cannot_be_parsed_is_one_finding() -> None:
    found = lint("select * from t; selec * from t;\nselect from where (", rules=ALL)
    assert ["select-star", UNPARSED, UNPARSED] == [one.rule for one in found]
    assert ["1:8", "1:18", "2:1"] == [one.object for one in found]
    assert Severity.INFO is found[1].severity
    assert found[1].remedy


@pytest.mark.parametrize("text", ["", " ; -- nothing\n;", "begin; set a = 1; commit; vacuum t"])
def test_nothing_to_say(text: str) -> None:
    assert [] == lint(text, rules=ALL)


def test_ignored_rules() -> None:
    text = "select * from t; selec"
    assert [UNPARSED] == [found.rule for found in lint(text, rules=ALL, ignore={"select-star"})]
    assert [] == lint(text, rules=ALL, ignore={"select-star", UNPARSED})


def test_a_marker_takes_a_finding_back() -> None:
    text = (
        "-- dbopt:ignore select-star the report wants all\nselect * from a;\n"
        "select * from b;\nselect * from c -- dbopt:ignore all\n"
    )
    assert ["3:8"] == [found.object for found in lint(text, rules=STAR)]
    assert [] == lint("selec 1 -- dbopt:ignore unparsed", rules=ALL)


def test_a_rule_that_needs_a_schema_says_that_it_had_none() -> None:
    needy = replace(select_star.RULE, name="needy", needs_schema=True)
    (found,) = lint("select * from t; select * from t", rules=[needy])
    assert ("needy", False, "") == (found.rule, found.examined, found.object)
    assert 2 == len(lint("select * from t; select * from t", SAMPLE, rules=[needy]))
    assert [] == lint("", rules=[needy])
    assert [] == lint("select * from t", rules=[needy], ignore=["needy"])


def test_a_rule_of_several_statements_sees_them_all() -> None:
    def check(script: Script) -> list[Match]:
        return [Match(script.subjects[-1], f"{len(script.subjects)} statements")]

    rule = Rule("whole", Severity.CRITICAL, "", "", "Say less.", "", "", check_script=check)
    (found,) = lint("select 1;\nselect 2", rules=[rule])
    assert ("2:1", "2 statements", "Say less.") == (found.object, found.message, found.remedy)
    assert 2 == found.evidence["statement"]


def test_there_is_a_limit() -> None:
    text = "select * from t;" * 1000
    assert MOST_FINDINGS == len(lint(text, rules=STAR))
    assert 7 == len(lint(text, rules=STAR, limit=7))
    many = "select 1 from t where " + " or ".join(["a like '%abc'"] * 100)
    assert MOST_OF_A_RULE == len(lint(many, rules=[leading_wildcard.RULE]))


def test_a_deep_tree_does_no_harm() -> None:
    def deep(subject: object) -> list[Match]:
        raise RecursionError

    assert [] == lint("select 1", rules=[replace(select_star.RULE, check=deep)])
    assert [] == lint("select 1", rules=[replace(select_star.RULE, check=None, check_script=deep)])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_examples(rule: Rule) -> None:
    schema = SAMPLE if rule.needs_schema else None
    assert rule.name in {found.rule for found in lint(rule.fires, schema)}
    assert rule.name not in {found.rule for found in lint(rule.passes, schema)}


def test_no_message_holds_a_literal() -> None:
    text = (
        "select * from users where name like '%secret' and lower(email) = 'secret' "
        "and created_at::date = 'secret' and score + 4711 > 4712 limit 5 offset 4713"
    )
    for schema in (None, SAMPLE):
        for found in lint(text, schema):
            assert "secret" not in found.message + found.remedy
            assert "471" not in found.message + found.remedy
