from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.blocks import Block
from dbopt.sql.features import features
from dbopt.sql.parse import parse, split
from dbopt.sql.sargable import hidden_column, joins_of, leading_wildcard
from tests.unit.sql.complexity_support import SCHEMA


def block(text: str, known: bool = False) -> Block:
    tree = parse(split(text)[0])
    assert tree is not None
    return features(tree, SCHEMA if known else None).blocks[0]


def condition(of: Block) -> exp.Expr:
    return of.conditions[0]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("lower(a) = 'x'", "function"),
        ("'x' = lower(a)", "function"),
        ("extract(year from a) = 1995", "function"),
        ("coalesce(a, 0) > 1", "function"),
        ("mine(a) = 1", "function"),
        ("a ->> 'x' = 'y'", "function"),
        ("a at time zone 'utc' > $1", "function"),
        ("lower(a) in ('x', 'y')", "function"),
        ("lower(a) like 'x%'", "function"),
        ("date(a) between $1 and $2", "function"),
        ("a::date = $1", "cast"),
        ("cast(a as text) = $1", "cast"),
        ("a + 1 = 2", "arithmetic"),
        ("(a * 2) > $1", "arithmetic"),
        ("-a = 2", "arithmetic"),
        ("a || 'x' = $1", "arithmetic"),
        ("a = lower('x')", ""),
        ("a = $1::date", ""),
        ("a > $1 - 1", ""),
        ("a = lower(b)", ""),
        ("a > now() - interval '1 day'", ""),
        ("lower('x') = 'x'", ""),
        ("a = (select lower(b) from u)", ""),
        ("case when a > 1 then 2 end = 2", ""),
        ("exists (select lower(a))", ""),
    ],
)
def test_what_hides_a_column(text: str, hidden: str) -> None:
    found = block(f"select 1 from t where {text}")
    assert hidden == hidden_column(condition(found), found)
    assert hidden == hidden_column(condition(found), None)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("abs(id) = 1", "function"),
        ("owner::text = 'x'", "cast"),
        ("note + 1 = 2", ""),
        ("made::date = $1", ""),
        ("abs(id) = 1 and lower(email) = 'x'", "function"),
        ("lower(email) = 'x'", ""),
        ("nobody + 1 = 2", "arithmetic"),
    ],
)
def test_with_a_schema_only_an_index_can_be_lost(text: str, hidden: str) -> None:
    found = block(f"select 1 from big where {text}", known=True)
    assert hidden == hidden_column(condition(found), found)


def test_an_expression_that_is_indexed_costs_nothing_even_if_its_column_is_too() -> None:
    found = block("select 1 from big where upper(email) = 'x'", known=True)
    assert hidden_column(condition(found), found) == ""


def test_leading_wildcards() -> None:
    for pattern, leads in (("'%x'", True), ("'_x'", True), ("'x%'", False), ("$1", False)):
        found = block(f"select 1 from t where a like {pattern}")
        assert leads is leading_wildcard(condition(found), found)
    for column, leads in (("note", True), ("title", False)):
        found = block(f"select 1 from big where {column} ilike '%x'", known=True)
        assert leads is leading_wildcard(condition(found), found)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("select 1 from t", []),
        ("select 1 from t, u where t.a = u.a", ["join"]),
        ("select 1 from t, u where a = b", ["join"]),
        ("select 1 from t, u where t.a = lower(u.a)", ["join"]),
        ("select 1 from t, u where t.a > u.a", ["cross_join"]),
        ("select 1 from t, u where t.a = t.b", ["cross_join"]),
        ("select 1 from t, u where t.a = 1", ["cross_join"]),
        ("select 1 from t, u where (t.a = u.a and t.b > 1) or (u.a = t.a)", ["join"]),
        ("select 1 from t, u where t.a = u.a or t.b > 1", ["cross_join"]),
        ("select 1 from t, u, v where t.a = u.a", ["join", "cross_join"]),
        ("update t set a = 1 from u where t.a = u.a", ["join"]),
        ("delete from t using u", ["cross_join"]),
        ("merge into t using s on t.a = s.a when matched then delete", ["join"]),
        ("select 1 from t left join u using (a), v where v.a = u.a", ["outer_join", "join"]),
    ],
)
def test_joins(text: str, kinds: list[str]) -> None:
    assert kinds == list(joins_of(block(text)))
