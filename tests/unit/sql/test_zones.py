from __future__ import annotations

import pytest

from dbopt.sql.analyze import analyze
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation

TABLE = Relation("public", "t")
COLUMNS = {
    "day": "date",
    "at": "timestamp without time zone",
    "at3": "timestamp(3) without time zone",
    "zoned": "timestamp with time zone",
    "own": "moment",
}
SCHEMA = Schema(
    {
        TABLE: SchemaRelation(
            TABLE,
            columns={name: SchemaColumn(name, type_) for name, type_ in COLUMNS.items()},
            row_security=False,
        )
    }
)


@pytest.mark.parametrize(
    ("text", "cacheable"),
    [
        ("select extract(year from day) from t", True),
        ("select extract(year from (x.at3)) from t x", True),
        ("select date_part('year', day), date_trunc('month', at) from t", True),
        ("select extract(year from d) from (select day as d from t) x", False),
        ("select extract(year from zoned) from t", False),
        ("select extract(year from own) from t", False),
        ("select extract(year from day), extract(year from zoned) from t", False),
        ("select date_trunc('day', at, 'UTC') from t", False),
        ("select date_trunc('day', $1) from t", False),
        ("select date_trunc('day', day + interval '1 day') from t", False),
        ("select extract(year from unknown) from t", False),
        ("select date_trunc('day', day) from t", False),
        ("select date_trunc('day', at), now() from t", False),
    ],
)
def test_what_the_time_zone_may_change(text: str, cacheable: bool) -> None:
    assert cacheable == analyze(text, schema=SCHEMA).cacheable


def test_without_a_schema_any_may() -> None:
    assert "calls extract(), which is stable" in (
        analyze("select extract(year from day) from t").uncacheable_because
    )
