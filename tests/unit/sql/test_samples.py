from __future__ import annotations

import pytest

from dbopt.sql.query import Relation
from dbopt.sql.samples import Column, Compared, Ready, array, literal, ready
from dbopt.sql.schema import RelationKind, Schema, SchemaColumn, SchemaRelation

PEOPLE = Relation("public", "people")
ORDERS = Relation("app", "Orders")


def _table(relation: Relation, *columns: str) -> SchemaRelation:
    return SchemaRelation(relation, columns={c: SchemaColumn(c, "integer") for c in columns})


SCHEMA = Schema(
    {
        PEOPLE: _table(PEOPLE, "id", "age"),
        ORDERS: _table(ORDERS, "id", "person", "Odd"),
        Relation("public", "s"): SchemaRelation(Relation("public", "s"), RelationKind.SEQUENCE),
        Relation("pg_catalog", "pg_class"): _table(Relation("pg_catalog", "pg_class")),
        Relation("public", "v"): SchemaRelation(
            Relation("public", "v"), RelationKind.VIEW, functions=(("app", "calm"),)
        ),
        Relation("public", "w"): SchemaRelation(
            Relation("public", "w"), RelationKind.VIEW, functions=(("app", "wild"),)
        ),
    },
    functions={("app", "calm"): "s", ("app", "wild"): "v"},
)
NAMES = {PEOPLE: "pg_temp.one", ORDERS: "pg_temp.two", Relation("public", "v"): "pg_temp.three"}


def made(text: str) -> Ready:
    found = ready(text, SCHEMA)
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select id from people", 'select id from pg_temp.one AS "people"'),
        ("select p.id from people p", "select p . id from pg_temp.one p"),
        ("select 1 from PUBLIC.people as p", "select 1 from pg_temp.one as p"),
        (
            'select app."Orders"."Odd" from app."Orders" join people on true',
            'select "Orders" . "Odd" from pg_temp.two AS "Orders" '
            'join pg_temp.one AS "people" on true',
        ),
        (
            "select 'people', $1 from people, pg_class, generate_series(1, 2)",
            "select 'people' , 7 from pg_temp.one AS \"people\" , pg_class ,"
            " generate_series ( 1 , 2 )",
        ),
        ("with o as (select 1) select * from o, v", None),
        ("update people set age = 1 where id = $1", None),
        ("delete from people using v where true", None),
        ("select 'ü𝄞', id from people /* people */ -- people", None),
    ],
)
def test_tables_are_named_anew_where_they_stand(text: str, expected: str | None) -> None:
    found = made(text).text(NAMES, {1: "7"})
    if expected is not None:
        assert expected == found
    assert found.count("pg_temp.") == len(made(text).tables)
    # Each is still called as it was.
    assert "people" not in text or 'AS "people"' in found or " p" in found


def test_what_is_compared_and_joined() -> None:
    found = made(
        'select 1 from people p join app."Orders" o on o.person = p.id where p.age between 3 and $2'
        " and $1 < o.id and o.person in (4, -5) and p.age like 'a%b_' and o.id = any ($3::int[])"
        " limit $4"
    )
    age, person, order = Column(PEOPLE, "age"), Column(ORDERS, "person"), Column(ORDERS, "id")
    assert {
        Compared(age, "3", 0, "low"),
        Compared(age, "", 2, "high"),
        Compared(order, "", 1, "low"),
        Compared(person, "4"),
        Compared(person, "-5"),
        Compared(age, "abx"),
        Compared(order, "", 3, "", True),
    } == set(found.compared)
    assert ((person, Column(PEOPLE, "id")),) == found.links
    assert (frozenset({1, 2, 3, 4}), frozenset({4})) == (found.parameters, found.counts)
    assert {age, person, order, Column(PEOPLE, "id")} == set(found.mentioned)


def test_links_of_using_and_of_in() -> None:
    using = made('select 1 from people join app."Orders" using (id)')
    assert ((Column(PEOPLE, "id"), Column(ORDERS, "id")),) == using.links

    inside = made('select 1 from people where people.id in (select person from app."Orders")')
    assert ((Column(PEOPLE, "id"), Column(ORDERS, "person")),) == inside.links


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("select id from people", ()),
        ("select id, age a from people order by a desc, id, 1", ("a", "id", 1)),
        ("select p.id as x from people p order by p.id", ("x",)),
        ("select * from people order by age", ("age",)),
        ("select id from people order by age", (None,)),
        ("select id from people order by age + 1, 2", (None, 2)),
        ("select id from people union select 1 order by id", ("id",)),
        ("select id from (select id from people order by age) q", ()),
    ],
)
def test_the_keys_of_the_order(text: str, order: tuple[str | int | None, ...]) -> None:
    assert order == made(text).order


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not one statement"),
        ("select from from", "it is no query that can be parsed"),
        ("copy people to stdout", "copy statements are not run"),
        ("create table x (a int)", "ddl statements are not run"),
        ("insert into people values (1)", "insert statements are not run"),
        ("select * into x from people", "ddl statements are not run"),
        ("select lo_unlink(1)", "it may write"),
        ("select last_value from s", "it reads a sequence"),
        ("select * from w", "the view w calls app.wild()"),
        ("select * from missing.people", "the relation missing.people is not known"),
        ("select * from people tablesample system (1)", "ONLY and TABLESAMPLE"),
        ("with people as (select * from people) select * from people", "one name"),
        ("with x as (delete from people returning *) select * from x", "it may do more"),
        ("update people set age = app.wild()", "it may do more than change its table"),
        (
            "with x as (delete from v returning *) update people set age = 1",
            "it may do more than change its table",
        ),
    ],
)
def test_what_is_not_run(text: str, reason: str) -> None:
    found = ready(text, SCHEMA)
    assert isinstance(found, str)
    assert reason in found


def test_a_writes_target() -> None:
    assert PEOPLE == made("delete from people where id = 1").target
    assert None is made("select 1").target


def test_values_as_sql() -> None:
    assert "CAST('it''s' AS text)" == literal("it's", "text")
    assert "CAST(NULL AS integer)" == literal(None, "integer")
    assert "CAST(ARRAY['1', NULL] AS bigint[])" == array(["1", None], "bigint")
