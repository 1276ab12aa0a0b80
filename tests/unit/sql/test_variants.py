from __future__ import annotations

from dbopt.sql.query import Relation
from dbopt.sql.samples import Column, Ready, ready
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation
from dbopt.sql.variants import MOST_VARIANTS, constants, mentioned, neighbours, variants

PEOPLE, ORDERS = Relation("public", "people"), Relation("public", "orders")
SCHEMA = Schema(
    {
        PEOPLE: SchemaRelation(
            PEOPLE,
            columns={
                "id": SchemaColumn("id", "integer", True),
                "city": SchemaColumn("city", "text"),
                "age": SchemaColumn("age", "integer", True),
            },
        ),
        ORDERS: SchemaRelation(ORDERS, columns={"person": SchemaColumn("person", "integer")}),
    }
)


def _ready(text: str) -> Ready:
    found = ready(text, SCHEMA)
    assert not isinstance(found, str)
    return found


def test_a_constant_is_one_of_what_is_joined_too() -> None:
    found = constants([_ready("select 1 from orders, people where person = id and person = 5")])
    assert {"5": None} == found[Column(PEOPLE, "id")] == found[Column(ORDERS, "person")]


def test_the_row_that_meets_all_comes_first_then_what_is_nearly_that() -> None:
    statement = _ready("select id from people where city = 'x' and age between 3 and 9")
    made = variants([statement], SCHEMA.relations[PEOPLE], constants([statement]))

    whole = {"city": "x", "age": "3"}
    assert whole == made[0]
    assert {"city": None, "age": "3"} == made[1]
    for one in (
        whole | {"age": "9"},
        whole | {"age": "10"},
        whole | {"city": "X"},
        {"city": None},
        {"age": "9"},
        {"city": "x"},
    ):
        assert one in made
    assert not any(one.get("age", "") is None or "id" in one for one in made)
    assert len({tuple(sorted(one.items())) for one in made}) == len(made)


def test_there_are_not_too_many() -> None:
    listed = ", ".join(map(str, range(1000)))
    statement = _ready(f"select id from people where age in ({listed}) and city = 'x'")
    made = variants([statement], SCHEMA.relations[PEOPLE], constants([statement]))
    assert MOST_VARIANTS == len(made)
    assert {"city": None} in made


def test_nothing_compared_leaves_the_nulls() -> None:
    statement = _ready("select id, city from people")
    table = SCHEMA.relations[PEOPLE]
    assert [{"city": None}] == variants([statement], table, constants([statement]))
    assert ["id", "city"] == [column.name for column in mentioned([statement], table)]


def test_neighbours() -> None:
    assert ["6", "4", "5.4"] == list(neighbours("5"))
    assert ["Ab", "aB ", "aBx", "aB 23:59:59.5"] == list(neighbours("aB"))
    assert "2024-01-01 23:59:59.5" in neighbours("2024-01-01")
