from __future__ import annotations

from dbopt.sql.query import Relation
from dbopt.sql.relations import Found
from dbopt.sql.resolve import known_views, resolved
from dbopt.sql.schema import RelationKind, Schema, SchemaRelation

APP, PUBLIC = Relation("app", "t"), Relation("public", "t")
VIEW = SchemaRelation(
    Relation("public", "v"), RelationKind.VIEW, reads=(APP,), functions=(("app", "f"),)
)
SCHEMA = Schema(
    {APP: SchemaRelation(APP), PUBLIC: SchemaRelation(PUBLIC), VIEW.relation: VIEW},
    search_path=("app", "public"),
)


def test_without_a_schema_names_stay_as_written() -> None:
    found = Found({Relation("", "t")}, {Relation("x", "y")})
    assert found is resolved(found, None)


def test_the_search_path_finds_bare_names() -> None:
    found = resolved(Found({Relation("", "t")}, {PUBLIC, Relation("", "unknown")}), SCHEMA)
    assert Found({APP}, {PUBLIC, Relation("", "unknown")}) == found


def test_a_view_brings_what_it_stands_on() -> None:
    found = resolved(Found({Relation("", "v")}, {VIEW.relation}), SCHEMA)
    assert Found({VIEW.relation, APP}, {VIEW.relation, APP}) == found


def test_views_with_functions() -> None:
    assert [VIEW] == known_views([APP, VIEW.relation, VIEW.relation], SCHEMA)
    assert [] == known_views([VIEW.relation], None)
