"""A schema to score statements with: a table of ten million rows, one of a hundred, a view."""

from __future__ import annotations

from dbopt.sql.complexity import DEFAULT, WORDS, Weights, complexity
from dbopt.sql.indexdef import parse_index
from dbopt.sql.query import Relation
from dbopt.sql.schema import RelationKind, Schema, SchemaColumn, SchemaRelation

BIG_ROWS = 10_000_000.0


def column(name: str, distinct: float = 0.0, type_: str = "integer") -> tuple[str, SchemaColumn]:
    return name, SchemaColumn(name, type_, distinct=distinct)


def relation(name: str, rows: float, indexes: str = "", /, **distinct: float) -> SchemaRelation:
    return SchemaRelation(
        Relation("public", name),
        columns=dict(column(*pair) for pair in distinct.items()),
        rows=rows,
        indexes=tuple(parse_index(text) for text in indexes.split(";") if text.strip()),
    )


BIG = relation(
    "big",
    BIG_ROWS,
    "create unique index big_pkey on public.big (id);"
    "create index on public.big (owner, made);"
    "create index on public.big (lower(email));"
    "create index on public.big using gin (tags);"
    "create index on public.big using gin (title gin_trgm_ops);"
    "create index on public.big (small_id) where state = 1",
    id=-1, owner=10_000, made=0, email=-1, tags=0, title=0, state=5, small_id=100, note=0,
)  # fmt: skip
SMALL = relation(
    "small", 100.0, "create unique index small_pkey on public.small (id)", id=-1, name=-1, kind=4
)
VIEW = SchemaRelation(
    Relation("public", "seen"),
    RelationKind.VIEW,
    columns=dict([column("id"), column("owner")]),
    reads=(BIG.relation, SMALL.relation),
)
SCHEMA = Schema({one.relation: one for one in (BIG, SMALL, VIEW)})


def points(text: str, weights: Weights = DEFAULT, schema: Schema | None = None) -> dict[str, int]:
    """The points of each feature, by the name of its weight; of rows and cost under these names."""
    names = {words: name for name, words in WORDS.items()}
    found: dict[str, int] = {}
    for reason in complexity(text, weights=weights, schema=schema).reasons:
        words = reason.what.split(" x ", 1)[-1]
        found["rows" if " rows read" in words else names[words]] = reason.points
    return found
