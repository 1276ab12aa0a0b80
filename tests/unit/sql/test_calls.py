from __future__ import annotations

import pytest

from dbopt.sql.calls import calls
from dbopt.sql.parse import parse, split


def called(text: str) -> set[tuple[str, str]]:
    [statement] = split(text)
    tree = parse(statement)
    assert tree is not None
    return set(calls(statement.tokens, list(tree.walk())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", ""),
        ('select f(1), S.G(2), "H"(3)', "f s.g H"),
        ("select * from s.f(1), db.s.g()", "s.f s.g"),
        ("select app.lower('x'), pg_catalog.upper('x')", "app.lower pg_catalog.upper"),
        ('select encrypt(a, b), "hex"(b) from t', "encrypt hex"),
        ("select a operator(app.+) b, a operator(pg_catalog.+) b, a operator(-) b", "app.+"),
        ("select a operator(pg_catalog.+) f(b), distinct_on(c)", "f distinct_on"),
        ("select distinct on (a) f(b) from t order by a", "f"),
        ("with search (a) as (select 1) select * from search as list (b)", ""),
        ("with x (a) as (select f(1)), y (b) as (select 2) select x(3) from x, y", "f x"),
        ("select f(1) from t as f (a), u g (b)", "f"),
        ("select * from f(1) as f (a), g(2) h (b)", "f g"),
        ("select * from f(1) as (a int, b text)", "f"),
        ("select 1 where (a) and (b) or (c) = any (array(select 1)) and d in (1)", ""),
        ("select a from b join (c join d using (e)) on (true)", ""),
        ("select a from t where b ilike (c) or b like (d)", "like"),
        ("select a::numeric(10, 2), a::geometry(point, 1), cast(b as varbit(3)) from t", ""),
        ("select sum(a) filter (where b) over (partition by (c)) from t", "sum"),
        ("select mode() within group (order by (a)) from t", "mode"),
        ("select a from t group by cube (a), rollup (b), grouping sets ((a), (b))", ""),
        ("select first(2), by(4), zone(5)", "first by zone"),
        ("select a from t fetch first (1) rows only", ""),
        ("with x as not materialized (select 1) select materialized(1) from x", "materialized"),
        ("select current_user, user, a.user, current_timestamp(3)", "current_user user"),
        ("select current_schema, current_schema()", "current_schema"),
        ("select extract(year from a), coalesce(a, b), trim(both from a) from t", "extract"),
        ("select a from t tablesample system (1) repeatable (2)", ""),
        ("insert into t (a) select f(b) from u", "f"),
        ("select c at time zone (b) from t", ""),
        ("select a::character varying(1), varying(2) from t", "varying"),
    ],
)
def test_what_is_called(text: str, expected: str) -> None:
    found = {f"{schema}.{name}" if schema else name for schema, name in called(text)}
    ours = {"current_timestamp"} & found
    assert set(expected.split()) == found - ours


def test_without_a_tree_names_of_columns_count_as_calls() -> None:
    [statement] = split("with x (a) as (select 1) select * from x")
    assert [("", "x")] == calls(statement.tokens)


def test_words_between_operands_are_functions_elsewhere() -> None:
    [statement] = split("select join(3), cube(4), operator(5) from a join (b) where ilike(c)")
    assert [("", "join"), ("", "cube"), ("", "operator"), ("", "ilike")] == calls(statement.tokens)
