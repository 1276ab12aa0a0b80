from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.sql.indexdef import parse_index
from dbopt.sql.query import Relation
from dbopt.sql.rules.leading_wildcard import RULE
from dbopt.sql.schema import Schema
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select id from users where name like '%smith'",
    "select id from users where name ilike '%smith%'",
    "select id from users u where u.name like '_mith%'",
    "select id from users where name like '%' || $1",
    "select id from users where name like '%' || $1 || '%'",
    "select id from users where name like concat('%', $1, '%')",
    "select id from users where name like ('%' || $1)::text",
    "select id from users where lower(name) like '%smith%'",
    "select id from users where name like '%smith!%' escape '!'",
    "select id from users where active and (name like '%smith' or id = 3)",
    "select id from orders o join users u on u.name like '%smith%'",
    "delete from users where email like '%@example.com'",
]
PASSES = [
    "select id from users where name like 'smith%'",
    "select id from users where name like 'smi%th'",
    "select id from users where name like '\\%smith'",
    "select id from users where name like '!%smith' escape '!'",
    "select id from users where name like $1",
    "select id from users where name like $1 || '%'",
    "select id from users where name not like '%smith%'",
    "select id from users where not name like '%smith%'",
    "select id from users where name like '%'",
    "select id from users where name like '%ab%'",
    "select id from users where name = '%smith'",
    "select name like '%smith%' from users",
    "select count(*) filter (where name like '%smith%') from users",
    "select id from users where $1 like '%smith%'",
    "select id from users where name like '%smith' escape '%'",
    "select id from users group by id having max(name) like '%smith%'",
]


def with_index(definition: str) -> Schema:
    users = Relation("public", "users")
    table = SAMPLE.relations[users]
    more = replace(table, indexes=(*table.indexes, parse_index(definition)))
    return Schema(relations={**SAMPLE.relations, users: more})


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))
    assert 1 == len(matches(RULE, text, SAMPLE))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


@pytest.mark.parametrize("method", ["gin (name gin_trgm_ops)", "gist (id, name gist_trgm_ops)"])
def test_an_index_of_trigrams_serves_it(method: str) -> None:
    schema = with_index(f"create index i on public.users using {method}")
    assert [] == matches(RULE, FIRES[0], schema)
    assert 1 == len(matches(RULE, "select id from users where lower(name) like '%smith'", schema))


def test_an_index_of_an_expression_serves_that_expression() -> None:
    schema = with_index("create index i on public.users using gin (lower(name) gin_trgm_ops)")
    assert [] == matches(RULE, "select id from users u where lower(u.name) like '%smi%'", schema)
    assert 1 == len(matches(RULE, FIRES[0], schema))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("select 1 from users where name like '%abc'", "ON users USING gin (name gin_trgm_ops)"),
        (
            "select 1 from app.users u where lower(u.name) like '%abc'",
            "ON app.users USING gin ((LOWER(name)) gin_trgm_ops)",
        ),
        ('select 1 from "T" where "C" like \'%abc\'', 'ON "T" USING gin ("C" gin_trgm_ops)'),
    ],
)
def test_the_remedy_is_the_index(text: str, index: str) -> None:
    (found,) = matches(RULE, text)
    assert f"CREATE INDEX CONCURRENTLY {index};" in found.remedy


def test_the_remedy_is_general_where_the_table_cannot_be_told() -> None:
    (found,) = matches(RULE, "with x as (select 1) select 1 from x where name like '%abc'")
    assert "" == found.remedy


def test_no_literal_is_repeated() -> None:
    (found,) = matches(RULE, "select id from users where name like '%secret%'")
    assert "secret" not in found.message + found.remedy
