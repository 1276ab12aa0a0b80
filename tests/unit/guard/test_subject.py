"""What the guard judges of a text."""

from __future__ import annotations

import pytest

from dbopt.guard.subject import subject
from dbopt.sql.analyze import Analyzer
from dbopt.sql.query import Kind, Relation
from tests.unit.guard.made import query

T = (Relation("", "t"),)


@pytest.mark.parametrize("text", ["", "  ", ";", "-- nothing", "/* nothing */;"])
def test_no_statement(text: str) -> None:
    assert subject(text, 7, Analyzer().analyze) is None


@pytest.mark.parametrize(
    "text",
    [
        "PREPARE p AS SELECT * FROM t",
        "prepare p(int, text) as select * from t",
        'PREPARE "as" AS SELECT * FROM t',
        "PREPARE p (numeric(10, 2)) AS SELECT * FROM t",
        "/* c */ DECLARE c CURSOR FOR SELECT * FROM t",
        'declare "for" binary scroll cursor with hold for select * from t;',
    ],
)
def test_what_a_statement_holds_is_judged(text: str) -> None:
    found, inside = query(text), query("SELECT * FROM t")
    assert (Kind.READ, True, T) == (found.kind, found.read_only, found.reads)
    assert inside.complexity == found.complexity
    assert inside.fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PREPARE TRANSACTION 'as'", Kind.TRANSACTION),
        ("PREPARE p", Kind.SESSION),
        ("PREPARE p AS", Kind.SESSION),
        ("DECLARE", Kind.SESSION),
        ("EXECUTE p (1)", Kind.SESSION),
        ("CALL f()", Kind.CALL),
    ],
)
def test_what_holds_no_statement(text: str, kind: Kind) -> None:
    assert kind is query(text).kind


def test_several_statements_read_if_each_does() -> None:
    assert query("BEGIN; SELECT * FROM t; COMMIT").read_only
    assert not query("BEGIN; DELETE FROM t; COMMIT").read_only
    assert not query("SELECT 1; SELECT nextval('s')").read_only
    assert not query("PREPARE p AS SELECT 1; PREPARE q AS DELETE FROM t").read_only


def test_of_several_statements_the_dearest_counts() -> None:
    dear = query("SELECT * FROM a, b").complexity
    assert dear == query("SELECT a FROM c WHERE b = 1; SELECT * FROM a, b; COMMIT").complexity
    batch = "; ".join(["UPDATE t SET y = 1 WHERE x = 2"] * 100)
    found = query(batch)
    assert query("UPDATE t SET y = 1 WHERE x = 2").complexity == found.complexity
    assert (Kind.UPDATE, False, 100, T[:0]) == (
        found.kind, found.read_only, found.statements, found.reads,
    )  # fmt: skip


def test_an_explain_that_only_plans_is_never_too_complex() -> None:
    text = "SELECT * FROM a, b, c, d, e, f"
    assert 0 == query(f"EXPLAIN {text}").complexity.score
    assert 0 == query(f"EXPLAIN (VERBOSE) {text}").complexity.score
    judged = query(text).complexity.score
    for options in ("ANALYZE", "VERBOSE ANALYSE", "(ANALYZE)", r'(U&"\0061nalyze")'):
        assert judged == query(f"EXPLAIN {options} {text}").complexity.score, options


def test_a_text_that_is_too_long_to_be_parsed_may_write() -> None:
    long = " UNION ALL ".join(f"SELECT a{n}, b{n} FROM t{n}" for n in range(6000))
    for text in (long, f"{long}; DELETE FROM t", f"PREPARE p AS {long}"):
        found = query(text)
        assert not found.read_only
        assert found.kind not in (Kind.SESSION, Kind.TRANSACTION)


def test_the_fingerprint_is_the_texts_own() -> None:
    found = subject("PREPARE p AS SELECT 1", 7, Analyzer().analyze)
    assert found is not None
    assert (7, "SELECT 1") == (found.query.fingerprint, found.sql)


def test_the_planner_is_asked_about_one_statement() -> None:
    for text, sql in {
        " SELECT 1; ": "SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1": "SELECT 1",
        "SELECT 1; SELECT 2": "",
    }.items():
        found = subject(text, 7, Analyzer().analyze)
        assert found is not None
        assert sql == found.sql
