from __future__ import annotations

import pytest

from dbopt.sql.query import Relation
from dbopt.sql.rules.steady import is_steady
from dbopt.sql.schema import RelationKind, Schema, SchemaRelation
from dbopt.sql.script import script

VIEW, TABLE = Relation("public", "v"), Relation("public", "t")
SCHEMA = Schema(
    {
        VIEW: SchemaRelation(VIEW, RelationKind.VIEW, functions=(("public", "dice"),)),
        TABLE: SchemaRelation(TABLE),
    },
    functions={("public", "dice"): "v", ("public", "tax"): "i"},
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select lower(a), now() from t", True),
        ("select tax(a) from t", True),
        ("select dice() from t", False),
        ("select 1 from v", False),
        ("select 1 from t where a < random()", False),
        ("select nextval('s') from t", False),
        ("select gen_random_uuid() from t", False),
        ("select nobody_knows(a) from t", False),
        ("select 1 from t tablesample system (1)", False),
        ("select 'random()' from t", True),
    ],
)
def test_volatile_functions(sql: str, expected: bool) -> None:
    (subject,) = script(sql, SCHEMA).subjects

    assert expected is is_steady(subject)


def test_without_a_schema_the_applications_functions_are_unknown() -> None:
    (subject,) = script("select tax(a) from t").subjects

    assert is_steady(subject) is False
