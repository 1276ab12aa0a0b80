"""What the guard says of a statement: each rule, at each place where it can be set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from asyncpg import introspection  # type: ignore[import-untyped]

from dbopt.guard.policy import RULES, decide, needs_cost
from dbopt.guardsection import AppRoute
from dbopt.guardsettings import GuardRules, guard_rules
from dbopt.settings import Application, Database, Guard, Settings, User
from dbopt.sql.query import Kind
from dbopt.verdict import Verdict
from tests.unit.guard.made import NUMBER, held, query, scored

LAX: dict[str, Any] = {"max_complexity": 0, "unqualified_writes": "allow"}
"""[guard] that refuses nothing."""
COMPLEX = "SELECT * FROM a, b, c, d, e, f"
HEX = f"{NUMBER:016x}"

CASES: dict[str, tuple[dict[str, Any], Any, float | None, str]] = {
    "complexity": ({"max_complexity": 10}, COMPLEX, None, "54001"),
    "cost": ({"max_cost": 5.0}, "SELECT a FROM t WHERE b = 1", 5.5, "54001"),
    "unqualified-write": ({"unqualified_writes": "refuse"}, "DELETE FROM t", None, "21000"),
    "ddl": ({"ddl": "refuse"}, "DROP TABLE t", None, "42501"),
    "read-only": ({"read_only": True}, "INSERT INTO t VALUES (1)", None, "25006"),
    "deny": ({"deny": f"{query('SELECT 1').fingerprint:016x}"}, "SELECT 2", None, "42501"),
}
"""Rule → what switches it on, a text that it refuses, its cost, the SQLSTATE."""
LEVELS = ("guard", "databases", "databases.*", "users", "applications", "routes")
EACH = pytest.mark.parametrize("rule", CASES)


def settings(level: str, values: dict[str, Any]) -> Settings:
    lax = Guard(**LAX)
    if level == "guard":
        return Settings(guard=replace(lax, **values))
    own = {f"guard_{name}": value for name, value in values.items()}
    return {
        "databases": lambda: Settings(guard=lax, databases={"app": Database(**own)}),
        "databases.*": lambda: Settings(guard=lax, databases={"*": Database(**own)}),
        "users": lambda: Settings(guard=lax, users={"alice": User(**own)}),
        "applications": lambda: Settings(guard=lax, applications={"web": Application(**own)}),
        "routes": lambda: Settings(guard=lax, routes={"/orders": AppRoute(**own)}),
    }[level]()


def rules(level: str, values: dict[str, Any]) -> GuardRules:
    return guard_rules(settings(level, values), "app", "alice", "web", "/orders")


# Every rule


@EACH
@pytest.mark.parametrize("level", LEVELS)
def test_a_rule_refuses_wherever_it_is_set(rule: str, level: str) -> None:
    values, text, cost, sqlstate = CASES[rule]
    verdict = decide(query(text), rules(level, values), cost)
    assert (True, rule, sqlstate) == (verdict.refused, verdict.rule, verdict.sqlstate)


@EACH
@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_rule_holds_for_nobody_else(rule: str, level: str) -> None:
    values, text, cost, _ = CASES[rule]
    if level == "databases.*":
        return  # that is everybody
    found = guard_rules(settings(level, values), "other", "bob", "psql", "/other")
    assert not decide(query(text), found, cost).refused


@EACH
def test_without_the_rule_it_runs(rule: str) -> None:
    _, text, cost, _ = CASES[rule]
    assert not decide(query(text), rules("guard", {}), cost).refused


@EACH
def test_who_is_allowed_passes(rule: str) -> None:
    values, text, cost, _ = CASES[rule]
    one = query(text)
    allowed = rules("users", values | {"allow": f"{one.fingerprint:016x}"})
    assert not decide(one, allowed, cost).refused


@EACH
def test_a_refusal_has_all_its_words_and_no_literal(rule: str) -> None:
    values, text, cost, _ = CASES[rule]
    one = query(text.replace("1", "4711").replace("SELECT 2", "SELECT 4711"))
    verdict = decide(one, replace(rules("guard", values), deny=frozenset({one.fingerprint})), cost)
    assert verdict.refused
    assert verdict.message.startswith("statement refused by the guard: ")
    assert not verdict.message.endswith(".")
    assert f"{one.fingerprint:016x} in guard.allow." in verdict.hint
    assert f"Its complexity is {one.complexity.score} ({one.complexity.grade})" in verdict.detail
    assert "4711" not in verdict.message + verdict.detail + verdict.hint


def test_every_rule_has_its_case() -> None:
    assert {rule.name for rule in RULES} == {*CASES, "quarantine"}


# Limits


@pytest.mark.parametrize(("score", "refused"), [(99, False), (100, False), (101, True)])
def test_the_limit_itself_may_be_reached(score: int, refused: bool) -> None:
    assert refused == decide(scored(score), GuardRules()).refused


@pytest.mark.parametrize(("cost", "refused"), [(None, False), (7.5, False), (7.6, True)])
def test_the_cost_may_reach_its_limit(cost: float | None, refused: bool) -> None:
    assert refused == decide(scored(1), GuardRules(max_cost=7.5), cost).refused


def test_the_words_of_a_refusal() -> None:
    assert Verdict(
        refused=True,
        rule="complexity",
        sqlstate="54001",
        message="statement refused by the guard: its complexity is 120, and the limit is 100",
        detail="Its complexity is 120 (extreme): 120 for 3 x cross join. The planner's cost is 12.",
        hint="Rewrite it so that the largest of these reasons goes away. If it must run as it is, "
        f"ask for {HEX} in guard.allow.",
        score=120,
        grade="extreme",
    ) == decide(scored(120, "extreme"), GuardRules(max_cost=50.0), 12.3)


# Lanes, time and rows


@pytest.mark.parametrize(
    ("grade", "heavy", "timeout"),
    [
        ("simple", False, 1.0),
        ("moderate", False, 2.0),
        ("complex", True, 3.0),
        ("extreme", True, 4),
    ],
)
def test_each_class_has_its_lane_and_its_time(grade: str, heavy: bool, timeout: float) -> None:
    found = GuardRules(
        max_rows=5, timeout_simple=1, timeout_moderate=2, timeout_complex=3, timeout_extreme=4
    )
    verdict = decide(scored(1, grade), found)
    assert Verdict(score=1, grade=grade, heavy=heavy, timeout=timeout, max_rows=5) == verdict


def test_no_lane_where_heavy_statements_may_have_all() -> None:
    assert not decide(scored(1, "extreme"), GuardRules(heavy_share=1.0)).heavy


def test_what_is_allowed_has_no_limits_but_goes_by_the_lane() -> None:
    found = GuardRules(allow=frozenset({NUMBER}), max_rows=5, timeout_extreme=1.0)
    verdict = decide(scored(900, "extreme"), found)
    assert Verdict(score=900, grade="extreme", heavy=True) == verdict


def test_the_defaults_let_a_simple_read_pass_untouched() -> None:
    assert decide(query("SELECT name FROM users WHERE id = 1"), GuardRules()).plain


# Quarantine


def test_quarantine_refuses_even_what_is_allowed_until_it_ends() -> None:
    found = GuardRules(allow=frozenset({NUMBER}))
    one = held(until=100.0, reason="takes the server down.", by="postgres")

    verdict = decide(scored(1), found, None, one, now=99.0)

    assert (True, "quarantine", "42501", 100.0) == (
        verdict.refused, verdict.rule, verdict.sqlstate, verdict.expires,
    )  # fmt: skip
    assert verdict.message.endswith("it is in quarantine until 1970-01-01 00:01:40 UTC")
    assert verdict.detail.startswith("The reason given is: takes the server down. Its complexity")
    assert "Wait, or ask for `dbopt guard release`." == verdict.hint
    assert "postgres" not in verdict.message + verdict.detail + verdict.hint
    assert not decide(scored(1), found, None, one, now=100.0).refused


# Kinds


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM t", "UPDATE t SET a = 1", "WITH x AS (DELETE FROM t RETURNING *) TABLE x",
        "BEGIN; DELETE FROM t; COMMIT", "PREPARE p AS DELETE FROM t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "PREPARE p (int) AS UPDATE t SET a = $1", "DELETE FROM t WHERE true",
        "UPDATE t SET a = 1 WHERE 1 = 1",
    ],
)  # fmt: skip
def test_writes_of_a_whole_table(text: str) -> None:
    assert "unqualified-write" == decide(query(text), GuardRules()).rule


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM t WHERE a = 1", "INSERT INTO t SELECT * FROM u", "SELECT * FROM t",
        "TRUNCATE t", "EXPLAIN DELETE FROM t", "PREPARE p AS DELETE FROM t WHERE a = $1",
        "UPDATE t SET a = 1 WHERE CURRENT OF c", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    ],
)  # fmt: skip
def test_other_writes(text: str) -> None:
    assert "unqualified-write" != decide(query(text), GuardRules()).rule


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a int)", "ALTER TABLE t ADD b int", "DROP INDEX i", "TRUNCATE t",
        "CREATE TABLE u AS SELECT 1", "SELECT * INTO u FROM t", "GRANT SELECT ON t TO u",
        "SELECT 1; DROP TABLE t", "CREATE INDEX CONCURRENTLY i ON t (a)",
        "EXPLAIN ANALYZE CREATE TABLE u AS SELECT 1",
    ],
)  # fmt: skip
def test_what_counts_as_ddl(text: str) -> None:
    assert "ddl" == decide(query(text), GuardRules(ddl="refuse")).rule


READ_ONLY = GuardRules(read_only=True, max_complexity=0)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1", "BEGIN", "COMMIT", "SET search_path = x", "SHOW work_mem", "BEGIN; SELECT 1",
        "PREPARE p AS SELECT 1", "EXECUTE p", "DECLARE c CURSOR FOR SELECT 1", "FETCH c",
        "EXPLAIN DELETE FROM t", "COPY t TO STDOUT", "SAVEPOINT s", "DEALLOCATE ALL", "LISTEN x",
    ],
)  # fmt: skip
def test_what_a_read_only_client_may(text: str) -> None:
    assert not decide(query(text), READ_ONLY).refused


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (1)", "SELECT * FROM t FOR UPDATE", "SELECT nextval('s')",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "COPY t FROM STDIN", "DO 'x'",
        "BEGIN; SELECT 1; DELETE FROM t WHERE a = 1", "EXPLAIN ANALYZE DELETE FROM t WHERE a = 1",
        "PREPARE p AS DELETE FROM t WHERE a = 1", "CALL f()", "VACUUM",
        "REFRESH MATERIALIZED VIEW v",
        "SELECT pg_terminate_backend(1)", "TRUNCATE t", "LOCK TABLE t", "this is no SQL",
        "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE",
    ],
)  # fmt: skip
def test_what_a_read_only_client_may_not(text: str) -> None:
    assert "read-only" == decide(query(text), READ_ONLY).rule


# Whether the planner is asked


def test_the_planner_is_asked_about_reads_where_it_matters() -> None:
    limited = GuardRules(max_cost=10.0)
    read = query("SELECT a FROM t")
    assert needs_cost(read, limited)
    assert not needs_cost(read, GuardRules())
    assert not needs_cost(read, replace(limited, allow=frozenset({read.fingerprint})))
    for text in ("DELETE FROM t", "SELECT nextval('s')", "BEGIN", "SELEKT 1", "EXPLAIN SELECT 1"):
        assert not needs_cost(query(text), limited), text


def test_a_kind_is_said_in_words() -> None:
    verdict = decide(scored(0, kind=Kind.DCL), GuardRules(ddl="refuse"))
    assert "statement refused by the guard: statements of kind dcl are not allowed" == (
        verdict.message
    )
    assert verdict.detail == "Its complexity is 0 (simple)."


# The catalog


MANY = ", ".join(f"a.a{n}" for n in range(200))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (f"SELECT {MANY} FROM pg_catalog.pg_class a JOIN pg_type b ON a.reltype = b.oid", False),
        (f"SELECT {MANY} FROM information_schema.columns a", False),
        (f"WITH RECURSIVE x AS (SELECT {MANY} FROM pg_type a) SELECT * FROM x", False),
        (introspection.INTRO_LOOKUP_TYPES, False),
        (f"SELECT {MANY} FROM pg_class a CROSS JOIN pg_type b", True),
        (f"SELECT {MANY} FROM pg_class a, pg_type b, pg_attribute c", True),
        (f"SELECT {MANY} FROM pg_class a JOIN orders b ON a.oid = b.id", True),
        (f"SELECT {MANY} FROM app.pg_class a", True),
        (f"SELECT {MANY} FROM a", True),
        (f"SELECT {', '.join(['1'] * 200)}", True),
    ],
)
def test_reads_of_the_catalog_may_be_complex(text: str, refused: bool) -> None:
    assert ("complexity" if refused else "") == decide(query(text), GuardRules()).rule
