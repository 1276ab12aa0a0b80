from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql import shape
from dbopt.sql.parse import parse, split


def select(text: str) -> exp.Select:
    tree = parse(split(text)[0])
    assert isinstance(tree, exp.Select)
    return tree


def condition(text: str) -> exp.Expr:
    found = select(f"select 1 from t where {text}").args["where"].this
    assert isinstance(found, exp.Expr)
    return found


@pytest.mark.parametrize(
    ("join", "kind"),
    [
        ("join u on t.a = u.a", "join"),
        ("join u using (a)", "join"),
        ("natural join u", "join"),
        ("left join u using (a)", "outer_join"),
        ("full join u using (a)", "outer_join"),
        ("cross join u", "cross_join"),
        ("join u on true", "cross_join"),
        ("cross join lateral (select 1) u", "lateral_join"),
        ("join unnest(t.a) u on true", "lateral_join"),
        ("left join f(t.a) u on true", "lateral_join"),
        (", u", ""),
    ],
)
def test_join_kind(join: str, kind: str) -> None:
    assert kind == shape.join_kind(select(f"select 1 from t {join}").args["joins"][0])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("count(*)", True),
        ("sum(a) / 2, 1", True),
        ("a", False),
        ("1", False),
        ("sum(a) over ()", False),
        ("(select max(a) from u)", False),
    ],
)
def test_is_aggregate_row(fields: str, expected: bool) -> None:
    assert expected is shape.is_aggregate_row(select(f"select {fields} from t"))
    assert not shape.is_aggregate_row(select(f"select {fields} from t group by a"))


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("a <> 1", True),
        ("a is distinct from 1", True),
        ("a not in (1, 2)", True),
        ("a not like 'x'", True),
        ("a not ilike 'x'", True),
        ("a !~ 'x'", True),
        ("a not between 1 and 2", True),
        ("not (a like 'x')", True),
        ("a = 1", False),
        ("a is not null", False),
        ("not exists (select 1)", False),
        ("not a", False),
        ("a not in (select 1)", False),
    ],
)
def test_is_negated(text: str, negated: bool) -> None:
    assert negated is shape.is_negated(condition(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a not in (select 1)", True),
        ("a <> all (select 1)", True),
        ("not (a in (select 1))", True),
        ("a in (select 1)", False),
        ("a not in (1)", False),
        ("not exists (select 1)", False),
    ],
)
def test_excludes_subquery(text: str, expected: bool) -> None:
    assert expected is shape.excludes_subquery(condition(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1", True),
        ("1 <= a", True),
        ("a between 1 and 2", True),
        ("a < b", False),
        ("1 < 2", False),
        ("a = 1", False),
    ],
)
def test_is_range(text: str, expected: bool) -> None:
    assert expected is shape.is_range(condition(text))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("a in (1, 2, 3)", 3),
        ("a = any(array[1, 2])", 2),
        ("a = any((array[1, 2])::bigint[])", 2),
        ("a = any($1)", 0),
        ("a in (select 1)", 0),
        ("a = 1", 0),
    ],
)
def test_list_length(text: str, length: int) -> None:
    assert length == shape.list_length(condition(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1 or b = 2", True),
        ("a = 1 or a = 2", False),
        ("a = 1 or A = 2 or t.a = 3", True),
        ('a = 1 or "A" = 2', True),
        ("t.a = 1 or u.a = 2", True),
        ("1 = 1 or 2 = 2", False),
    ],
)
def test_mixes_columns(text: str, expected: bool) -> None:
    found = condition(text)
    assert isinstance(found, exp.Or)
    assert expected is shape.mixes_columns(found)


def test_conjuncts_and_alternatives_in_their_order() -> None:
    found = condition("a = 1 and ((b = 2 or c = 3 or (d = 4)) and e = 5)")
    parts = list(shape.conjuncts(found))
    assert [] == list(shape.conjuncts(None))
    assert ["a = 1", "b = 2 OR c = 3 OR (d = 4)", "e = 5"] == [p.sql() for p in parts]
    assert ["b = 2", "c = 3", "d = 4"] == [p.sql() for p in shape.alternatives(parts[1])]
