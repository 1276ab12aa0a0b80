"""Rows that bring out what a rewrite gets wrong: constants, what is next to them, NULLs. PURE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from dbopt.sql.query import Relation
from dbopt.sql.samples import Column, Ready
from dbopt.sql.schema import SchemaColumn, SchemaRelation

MOST_VARIANTS = 80
"""Of one table. What is left out of a list of constants is like what is in."""

Variant = Mapping[str, str | None]
"""Values of some columns in PostgreSQL's text form; None is NULL."""

_LONGEST_CHAIN = 4
"""Joins that a constant is followed over: `a.x = b.y AND b.y = c.z AND c.z = 5`."""
_FEW = 3
"""Constants of a column that are also taken with those of the others."""


def constants(statements: Iterable[Ready]) -> dict[Column, dict[str, None]]:
    """The constants that each column is compared with, itself or one that it is joined with."""
    found: defaultdict[Column, dict[str, None]] = defaultdict(dict)
    pairs: list[tuple[Column, Column]] = []
    for statement in statements:
        pairs += statement.links
        for one in statement.compared:
            if one.constant:
                found[one.column][one.constant] = None
    for _ in range(_LONGEST_CHAIN):
        for left, right in pairs:
            found[left] |= found[right]
            found[right] |= found[left]
    return found


def mentioned(statements: Iterable[Ready], table: SchemaRelation) -> list[SchemaColumn]:
    """The table's columns that the statements name, in their order."""
    names = {c.name: None for s in statements for c in s.mentioned if c.relation == table.relation}
    return [table.columns[name] for name in names]


def variants(
    statements: Sequence[Ready], table: SchemaRelation, known: Mapping[Column, Mapping[str, None]]
) -> list[Variant]:
    """Changes of rows of this table, the most telling first; some may be of the wrong type.

    First a row that meets all conditions. Then what is nearly that: a NULL, or a neighbour of a
    constant, in one column; and each such value in a row that is else as it was, for what OR
    joins.
    """
    columns = mentioned(statements, table)
    values = _values(table.relation, columns, known)
    whole: dict[str, str | None] = {name: found[0] for name, found in values.items() if found}
    nulls = [column.name for column in columns if not column.not_null]
    near = [
        whole | {name: value}
        for name, found in values.items()
        for value in (*found[1:_FEW], *(n for one in found[:_FEW] for n in neighbours(one)))
    ]
    alone: list[dict[str, str | None]] = [
        {name: value} for name, found in values.items() for value in found
    ]
    mixed = _woven(
        [whole | {name: None} for name in nulls], near, [{n: None} for n in nulls], alone
    )
    every = [whole, *mixed] if whole else list(mixed)
    distinct = {tuple(sorted(one.items())): one for one in every}
    return list(islice(distinct.values(), MOST_VARIANTS))


def neighbours(value: str) -> Iterator[str]:
    """What is nearly a constant.

    One more or less, and what is rounded to it; other letters' case, a blank; later that day.
    """
    try:
        number = int(value)
    except ValueError:
        yield from dict.fromkeys((value.swapcase(), f"{value} ", f"{value}x"))
        # Of a date; for all else it is no value of the type, or one more text.
        yield f"{value} 23:59:59.5"
    else:
        yield from (str(number + 1), str(number - 1), f"{value}.4")


def _values(
    relation: Relation,
    columns: Iterable[SchemaColumn],
    known: Mapping[Column, Mapping[str, None]],
) -> dict[str, list[str]]:
    return {one.name: list(known.get(Column(relation, one.name), ())) for one in columns}


def _woven(*lists: list[dict[str, str | None]]) -> Iterator[dict[str, str | None]]:
    """One of each in turn, so that no long list keeps the others out."""
    for row in zip_longest(*lists):
        yield from (one for one in row if one is not None)
