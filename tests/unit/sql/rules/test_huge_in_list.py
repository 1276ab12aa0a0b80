from __future__ import annotations

import pytest

from dbopt.sql.query import Relation
from dbopt.sql.rules.huge_in_list import LONGEST_LIST, RULE
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation
from tests.unit.sql.rules.asking import matches, rewrites


def listed(item: str, count: int = LONGEST_LIST + 1) -> str:
    return ", ".join([item] * count)


def test_integers_become_an_array() -> None:
    sql = f"select name from t where id in ({listed('7')}) and a = $1"

    assert [f"SELECT name FROM t WHERE id = ANY(ARRAY[{listed('7')}]) AND a = $1"] == rewrites(
        RULE, sql
    )


def test_strings_become_one_string_that_takes_the_columns_type() -> None:
    sql = f"select name from t where id not in ({listed(chr(39) + 'a' + chr(39))}) -- c"
    inside = ",".join(['"a"'] * (LONGEST_LIST + 1))

    assert [f"SELECT name FROM t WHERE id <> ALL('{{{inside}}}')"] == rewrites(RULE, sql)


def test_elements_are_quoted_as_arrays_want_it() -> None:
    odd = r"""'a"b\c''d,{}'"""
    (rewrite,) = rewrites(RULE, f"select name from t where id in ({listed(odd)})")

    assert r'"a\"b\\c' in rewrite
    assert "''d,{}\"" in rewrite


@pytest.mark.parametrize(
    "items",
    [
        listed("$1"),
        listed("1.5"),
        listed("1 + 1"),
        listed("a"),
        listed("null"),
        listed("-1"),
        f"{listed('1')}, 'x'",
        listed("date '2024-01-01'"),
    ],
)
def test_other_lists_are_told_but_not_rewritten(items: str) -> None:
    (match,) = matches(RULE, f"select name from t where id in ({items})")

    assert "Send the items as one array parameter: id = ANY ($1)." == match.remedy
    assert "" == match.rewrite


def test_rows_are_joined_with_values() -> None:
    (match,) = matches(RULE, f"select name from t where (a, b) in ({listed('(1, 2)')})")

    assert "VALUES" in match.remedy
    assert "" == match.rewrite


def test_each_list_is_told() -> None:
    sql = f"delete from t where a in ({listed('1')}) or b not in ({listed('2')})"
    found = matches(RULE, sql)

    assert ["IN with a list of 101 items.", "NOT IN with a list of 101 items."] == sorted(
        match.message for match in found
    )
    assert all("DELETE FROM t" in match.rewrite for match in found)


@pytest.mark.parametrize(
    "sql",
    [
        f"select 1 from t where id in ({listed('7', LONGEST_LIST)})",
        f"select 1 from t where id = any (array[{listed('7')}])",
        "select 1 from t where id in (select id from u)",
        f"insert into t values {listed('(1)')}",
        f"select 1 from t where f({listed('7')})",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql)


@pytest.mark.parametrize(("type_", "count"), [("text", 1), ("text[]", 0), ("box", 0)])
def test_no_array_of_what_no_array_can_hold(type_: str, count: int) -> None:
    """There is no array of arrays, and between boxes the comma is a semicolon."""
    t = Relation("public", "t")
    schema = Schema({t: SchemaRelation(t, columns={"a": SchemaColumn("a", type_)})})
    strings = listed("'x'")

    assert count == len(rewrites(RULE, f"select 1 from t where a in ({strings})", schema))


def test_an_expression_on_the_left_is_left_alone() -> None:
    assert [] == rewrites(RULE, f"select 1 from t where a + 1 in ({listed('7')})")
