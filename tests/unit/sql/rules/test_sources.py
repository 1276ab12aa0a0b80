from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.indexdef import parse_index
from dbopt.sql.query import Relation
from dbopt.sql.rules.sources import column_of, is_key, keys, source_of, sources, statement_of
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation
from dbopt.sql.script import script
from tests.unit.sql.rules.sample import SAMPLE


def owner(sql: str, schema: Schema | None = SAMPLE) -> str:
    """The source of the first column in WHERE, "?" where there is none."""
    (subject,) = script(sql, schema).subjects
    assert subject.tree is not None
    where = subject.tree.find(exp.Where)
    column = where.find(exp.Column) if where is not None else None
    statement = statement_of(column) if column is not None else None
    assert statement is not None
    source = source_of(column, sources(statement, schema))
    return source.name if source is not None else "?"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from users u where u.name = 'x'", "u"),
        ("select 1 from users where NAME = 'x'", "users"),
        ("select 1 from users, orders where name = 'x'", "users"),
        ("select 1 from users, orders where id = 1", "?"),
        ("select 1 from users, unknown where name = 'x'", "?"),
        ("select 1 from users u join orders o on true where o.id = 1", "o"),
        ("select 1 from users u where users.name = 'x'", "?"),
        ("select 1 from users \"U\" where u.name = 'x'", "?"),
        ("select 1 from public.users where public.users.name = 'x'", "?"),
        ("update users set name = 'x' from orders where user_id = 1", "orders"),
        ("delete from users using orders where user_id = 1", "orders"),
        ("delete from users u where u.id = 1", "u"),
    ],
)
def test_a_columns_table(sql: str, expected: str) -> None:
    assert expected == owner(sql)


def test_without_a_schema_only_a_single_table_is_sure() -> None:
    assert "t" == owner("select 1 from t where a = 1", None)
    assert "?" == owner("select 1 from t, u where a = 1", None)
    assert "u" == owner("select 1 from t, u where u.a = 1", None)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from users u where u.created_at = $1", "timestamp with time zone"),
        ("select 1 from users u (a, b) where u.email = $1", ""),
        ("with users as (select 1 as id) select 1 from users where id = 1", ""),
        ("with users as (select 1) select 1 from public.users where id = 1", "bigint"),
        ("select 1 from users where nothing = 1", ""),
    ],
)
def test_what_is_known_of_a_column(sql: str, expected: str) -> None:
    (subject,) = script(sql, SAMPLE).subjects
    where = subject.tree.find(exp.Where) if subject.tree is not None else None
    assert where is not None
    statement = statement_of(where)
    assert statement is not None
    known = column_of(where.find(exp.Column), sources(statement, SAMPLE))

    assert expected == (known.type if known is not None else "")


def test_keys_are_unique_whole_and_not_null() -> None:
    users = SAMPLE.relations[Relation("public", "users")]
    items = SAMPLE.relations[Relation("public", "items")]

    assert {frozenset({"id"}), frozenset({"email"})} == set(keys(users))
    assert not is_key(items, frozenset({"order_id"}))
    assert is_key(items, frozenset({"order_id", "position", "sku"}))
    assert not is_key(None, frozenset({"id"}))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("unique index on t (a)", True),
        ("unique index on t (a desc) include (b)", True),
        ("unique index on t (a, b)", False),
        ("unique index on t (lower(a))", False),
        ("unique index on t (a) where b > 1", False),
        # Unique by one equality, and alike by the column's own.
        ('unique index on t (a collate "C")', False),
        ("unique index on t (a own_ops)", False),
        ("index on t (a)", False),
    ],
)
def test_which_index_makes_a_key(index: str, expected: bool) -> None:
    columns = {name: SchemaColumn(name, "text", True) for name in "ab"}
    definition = parse_index(f"create {index}")
    table = SchemaRelation(Relation("public", "t"), columns=columns, indexes=(definition,))

    assert expected is is_key(table, frozenset({"a"}))
