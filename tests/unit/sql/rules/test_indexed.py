from __future__ import annotations

from dataclasses import replace

import pytest
from sqlglot import exp

from dbopt.sql.query import Relation
from dbopt.sql.rules.indexed import compared, defeats_index, missing_index, type_name
from dbopt.sql.rules.predicates import Scopes, predicates
from dbopt.sql.script import script
from tests.unit.sql.rules.sample import SAMPLE

ORDERS = SAMPLE.relations[Relation("public", "orders")]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a = 1", [("a", exp.EQ)]),
        ("1 < a", [("a", exp.GT)]),
        ("(a) >= (1)", [("a", exp.GTE)]),
        ("a between 1 and 2", [("a", exp.Between)]),
        ("a in (1, 2)", [("a", exp.In)]),
        ("a = b", []),
        ("a between b and 2", []),
        ("a in (1, b)", []),
        ("a in (select 1)", []),
        ("a <> 1", []),
    ],
)
def test_compared(condition: str, expected: list[tuple[str, type[exp.Expr]]]) -> None:
    tree = script(f"select 1 from t where {condition}").subjects[0].tree
    assert tree is not None
    where = tree.find(exp.Where)
    assert where is not None
    assert expected == [(side.sql(), operator) for side, _, operator in compared(where.this)]


@pytest.mark.parametrize(
    ("column", "form", "defeated"),
    [
        ("status", "lower(status)", True),
        ("note", "lower(note)", False),
        ("note", "upper(note)", False),
        ("total", "abs(total)", False),
    ],
)
def test_defeats_index(column: str, form: str, defeated: bool) -> None:
    assert defeated is defeats_index(ORDERS, column, [form])


def test_a_small_table_needs_no_index() -> None:
    assert not defeats_index(replace(ORDERS, rows=10.0), "status", ["lower(status)"])
    assert defeats_index(replace(ORDERS, rows=0.0), "status", ["lower(status)"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1 from t where a", "CREATE INDEX CONCURRENTLY ON t USING btree (a)"),
        ('select 1 from s."T" x where x."A"', 'ON s."T" USING btree ("A")'),
        ("select 1 from t, u where t.a", "ON t USING btree (a)"),
        ("select 1 from t, u where a", ""),
        ("with t as (select 1) select 1 from t where a", ""),
        ("select 1 from (select 1) t where a", ""),
    ],
)
def test_missing_index(text: str, expected: str) -> None:
    subject = script(text).subjects[0]
    assert subject.tree is not None
    (found,) = predicates(subject.tree)
    index = missing_index(subject, Scopes(None), found.statement, found.node)
    assert index.endswith(expected)
    assert bool(index) is bool(expected)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("timestamp without time zone", "TIMESTAMP"),
        ("timestamp(0) with time zone", "TIMESTAMPTZ"),
        ("numeric(10,2)", "DECIMAL"),
        ("app.mood", ""),
        ('"Weird Type"', ""),
        ("", ""),
    ],
)
def test_type_name(written: str, name: str) -> None:
    assert name == type_name(written)
