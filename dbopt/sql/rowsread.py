"""How many rows a statement reads, from the sizes and indexes of a Schema. PURE.

A small planner: an index narrows what it can, and where a table is joined by an indexed column it
is read as often as the other side has rows. The default selectivities are PostgreSQL's own
(src/include/utils/selfuncs.h). It is right within a factor of some; the score takes its logarithm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from dbopt.sql.blocks import Block, Source
from dbopt.sql.columns import folded
from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.query import Relation
from dbopt.sql.sargable import indexed_expression
from dbopt.sql.schema import Schema, SchemaRelation
from dbopt.sql.shape import is_aggregate_row, list_length

_EQUAL = 0.005
_RANGE = 1 / 3
_PATTERN = 0.1
_CONTAINED = 0.01
_LIMIT = 100
"""Rows that a LIMIT of unknown size is taken for."""
_ROUNDS = 8
"""Joins in a chain through which one table's few rows narrow another's."""
_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_CONTAINS = (exp.ArrayContainsAll, exp.ArrayOverlaps, exp.JSONBContains, exp.MatchAgainst)


@dataclass(slots=True)
class RowsRead:
    """Rows that are read: by each block where its tables are known, in all, and by each table."""

    of_block: dict[Block, float] = field(default_factory=dict)
    of_table: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        """Of the whole statement."""
        return sum(self.of_table.values())


@dataclass(slots=True)
class _Reading:
    """How one table of so many `rows` is read: those that are read and those that are kept, and
    what its columns are compared with."""

    source: Source
    known: SchemaRelation
    rows: float
    read: float
    kept: float
    equal: dict[str, int] = field(default_factory=dict)
    ranges: set[str] = field(default_factory=set)
    contains: set[str] = field(default_factory=set)
    selectivity: float = 1.0


_Link = tuple[_Reading, str, _Reading, str]


def rows_read(blocks: Sequence[Block], schema: Schema) -> RowsRead:
    """The rows that the blocks of one statement read; the outer ones come before the inner."""
    plans = _Plans(schema, {id(block.node): block for block in blocks})
    for block in reversed(blocks):
        plans.add(block)
    found = RowsRead()
    for block in blocks:
        readings = [r for r in plans.readings[block] if r.source.relation is not None]
        outer = plans.runs.get(block.outer) if block.outer and block.correlated else None
        for reading in readings:
            rows = max(1.0, reading.read) * (outer or 1.0)
            if block.role == "exists" and block.correlated:
                rows = min(rows, reading.rows)  # it is a join, then
            found.of_table[str(reading.source.relation)] += rows
            found.of_block[block] = found.of_block.get(block, 0.0) + rows
    return found


class _Plans:
    """How the blocks of one statement are read, the inner ones planned first.

    `kept` are the rows that a block gives, `runs` those for which its correlated blocks run.
    """

    def __init__(self, schema: Schema, blocks: dict[int, Block]) -> None:
        self._schema = schema
        self._blocks = blocks
        self.readings: dict[Block, list[_Reading]] = {}
        self.kept: dict[Block, float] = {}
        self.runs: dict[Block, float] = {}

    def add(self, block: Block) -> None:
        """Plan a block."""
        readings = [r for r in (self._reading(source) for source in block.sources) if r]
        self.readings[block] = readings
        if not readings:
            return
        links = _examine(block, readings)
        for part in block.conditions:
            self._narrow_by_query(part, block, readings)
        _propagate(readings, links)
        share = _limited(block, readings)
        for reading in readings:
            reading.read *= share
        tables = [r.kept for r in readings if r.source.relation is not None]
        self.runs[block] = max(1.0, share * max(tables, default=1.0))
        self.kept[block] = self._given(block, max(reading.kept for reading in readings))

    def _given(self, block: Block, kept: float) -> float:
        """How many rows the block gives to who reads it."""
        if block.select is None or is_aggregate_row(block.select):
            return 1.0
        return max(1.0, min(kept, _wanted(block.select)) if block.bounded else kept)

    def _reading(self, source: Source) -> _Reading | None:
        """Of a table what the Schema knows; of a subquery or CTE what it gives."""
        if source.known is not None:
            rows = _rows(source.known, self._schema)
            return _Reading(source, source.known, rows, rows, rows)
        inner = self._blocks.get(id(source.query)) if source.query is not None else None
        rows = self.kept.get(inner, 0.0) if inner is not None else 0.0
        if not rows:
            return None
        return _Reading(
            source, SchemaRelation(Relation("", source.name), rows=rows), rows, 0.0, rows
        )

    def _narrow_by_query(self, part: exp.Expr, block: Block, readings: list[_Reading]) -> None:
        """`column IN (SELECT ...)`: as many rows as the query gives are looked up."""
        if not isinstance(part, exp.In) or not isinstance(part.args.get("query"), exp.Expr):
            return
        inner = self._blocks.get(id(part.args["query"].unnest()))
        whose = _whose(part.this, block, {id(reading.source): reading for reading in readings})
        if inner is not None and inner in self.kept and not inner.correlated and whose:
            _narrow(self.kept[inner], whose[0], {whose[1]: 1})


def _rows(known: SchemaRelation, schema: Schema) -> float:
    """A table's rows; a view's are those of the tables under it."""
    if not known.reads:
        return max(1.0, known.rows)
    under = (schema.relations.get(relation) for relation in known.reads)
    return max(1.0, sum(one.rows for one in under if one is not None))


def _examine(block: Block, readings: list[_Reading]) -> list[_Link]:
    """Note what each condition says of a table; gives the equalities between two tables."""
    by_source = {id(reading.source): reading for reading in readings}
    links: list[_Link] = []
    for part in (*block.conditions, *block.optional):
        if isinstance(part, exp.EQ):
            left, right = (_whose(side, block, by_source) for side in (part.this, part.expression))
            if left and right and left[0] is not right[0]:
                links.append((*left, *right))
            elif left is not None and _is_constant(part.expression, block):
                left[0].equal.setdefault(left[1], max(1, list_length(part)))
            elif right is not None and _is_constant(part.this, block):
                right[0].equal.setdefault(right[1], 1)
        else:
            _note(part, block, by_source)
    links += _using(block, readings)
    for reading in readings:
        _own(reading)
    return links


def _whose(
    side: exp.Expr, block: Block, by_source: dict[int, _Reading]
) -> tuple[_Reading, str] | None:
    """The table and column that a side is; or the expression, where an index is on it."""
    column = side if isinstance(side, exp.Column) else side.find(exp.Column)
    source = block.source_of(column) if column is not None else None
    reading = by_source.get(id(source))
    if column is None or reading is None:
        return None
    if column is side:
        return (reading, folded(column.this))
    indexed = indexed_expression(reading.known, side)
    return (reading, indexed) if indexed else None


def _is_constant(side: exp.Expr, block: Block) -> bool:
    """Whether it is the same for each row of the block: it has none of the block's columns."""
    return not any(
        block.source_of(column) is not None or (block.has_unknown_columns and not column.table)
        for column in side.find_all(exp.Column)
    )


def _note(part: exp.Expr, block: Block, by_source: dict[int, _Reading]) -> None:
    inner = part.this if isinstance(part, exp.Not) else part
    side = inner.args.get("this")
    whose = _whose(side, block, by_source) if isinstance(side, exp.Expr) else None
    if whose is None:
        return
    reading, column = whose
    if isinstance(part, exp.In) and part.expressions:
        reading.equal.setdefault(column, len(part.expressions))
    elif isinstance(part, _RANGES):
        reading.ranges.add(column)
    elif isinstance(part, _CONTAINS):
        reading.contains.add(column)
    elif isinstance(part, exp.Like | exp.ILike | exp.RegexpLike | exp.SimilarTo):
        reading.selectivity *= 1 - _PATTERN if part.args.get("negate") else _PATTERN


def _using(block: Block, readings: list[_Reading]) -> list[_Link]:
    """The links of JOIN ... USING, with the table before that has the column."""
    links: list[_Link] = []
    for at, reading in enumerate(readings):
        join = reading.source.joined
        for name in (join.args.get("using") or ()) if join is not None else ():
            column = folded(name)
            before = [one for one in readings[:at] if column in one.known.columns]
            links += [(one, column, reading, column) for one in before[-1:]]
    return links


def _own(reading: _Reading) -> None:
    """What the table's own conditions leave of it."""
    known, rows = reading.known, reading.kept
    share = reading.selectivity * _RANGE ** len(reading.ranges)
    share *= _CONTAINED ** len(reading.contains)
    for column, count in reading.equal.items():
        share *= min(1.0, count * _equal_share(known, column, rows))
    reading.kept = max(1.0, rows * share)
    reading.read = min([reading.read, *(_by_index(i, reading, {}) for i in known.indexes)])
    if known.indexes:
        reading.kept = min(reading.kept, reading.read)


def _equal_share(known: SchemaRelation, column: str, rows: float) -> float:
    """Which share of a table's rows have one value in a column."""
    found = known.columns.get(column)
    if found is not None and found.distinct:
        count = found.distinct if found.distinct > 0 else -found.distinct * rows
        return 1 / max(1.0, count)
    alone = any(
        i.unique and not i.predicate and [k.expression for k in i.keys] == [column]
        for i in known.indexes
    )
    return 1 / max(1.0, rows) if alone else _EQUAL


def _by_index(index: IndexDefinition, reading: _Reading, joined: dict[str, int]) -> float:
    """The rows that an index leaves to read; all of them where it does not help.

    `joined` are columns that are equal to one row's of another table.
    """
    rows = reading.rows
    if index.predicate or not index.keys:
        return rows
    columns = [key.expression for key in index.keys]
    if index.method not in {"btree", "hash"}:
        return rows * _CONTAINED if columns[0] in reading.contains else rows
    equal, times, share = reading.equal | joined, 1, 1.0
    for at, column in enumerate(columns):
        if column not in equal:
            return rows * share * (_RANGE if column in reading.ranges else 1.0)
        times *= equal[column]
        share *= min(1.0, equal[column] * _equal_share(reading.known, column, rows))
        if index.unique and at == len(columns) - 1:
            return float(times)
    return rows * share


def _propagate(readings: list[_Reading], links: list[_Link]) -> None:
    """Let one table's few rows narrow those that an index joins to it."""
    pairs: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    by_id = {id(reading): reading for reading in readings}
    for one, a, other, b in links:
        pairs[id(one), id(other)][b] = 1
        pairs[id(other), id(one)][a] = 1
    for _ in range(_ROUNDS):
        changed = False
        for (giver, taker), columns in pairs.items():
            changed |= _narrow(by_id[giver].kept, by_id[taker], columns)
        if not changed:
            return


def _narrow(rows_given: float, taker: _Reading, columns: dict[str, int]) -> bool:
    """Look a table's rows up by columns that are equal to so many rows'; whether it helped."""
    rows = taker.rows
    share = 1.0
    for column in columns:
        share *= _equal_share(taker.known, column, rows)
    kept = min(taker.kept, max(1.0, rows_given * max(1.0, rows * share)))
    each = min([rows, *(_by_index(index, taker, columns) for index in taker.known.indexes)])
    read = min(taker.read, max(1.0, rows_given * each)) if each < rows else taker.read
    changed = kept < taker.kept or read < taker.read
    taker.kept, taker.read = kept, read
    return changed


def _limited(block: Block, readings: list[_Reading]) -> float:
    """The share of its rows that a LIMIT lets it read."""
    select = block.select
    if select is None or not block.bounded or len(readings) < len(block.sources):
        return 1.0
    if any(select.args.get(key) for key in ("group", "distinct")):
        return 1.0
    if any(item.find(exp.AggFunc, exp.Window) for item in select.expressions):
        return 1.0
    order = select.args.get("order")
    if order is not None and not _is_ordered(order, readings[0], block):
        return 1.0
    return min(1.0, _wanted(select) / max(reading.kept for reading in readings))


def _wanted(select: exp.Select) -> float:
    """The rows that LIMIT and OFFSET ask for."""
    return _number(select.args["limit"]) + _number(select.args.get("offset"))


def _number(limit: exp.Expr | None) -> float:
    if limit is None:
        return 0.0
    count = limit.args.get("expression") or limit.args.get("count")
    if isinstance(count, exp.Literal) and not count.is_string and str(count.this).isdigit():
        return float(str(count.this)[:18])
    return float(_LIMIT)


def _is_ordered(order: exp.Expr, reading: _Reading, block: Block) -> bool:
    """Whether an index gives the first table's rows in this order, so that it can stop early."""
    first = order.expressions[0].this if order.expressions else None
    if not isinstance(first, exp.Column) or block.source_of(first) is not reading.source:
        return False
    wanted = folded(first.this)
    for index in reading.known.indexes:
        keys = [key.expression for key in index.keys if key.is_column and not index.predicate]
        rest = [key for key in keys if key not in reading.equal]
        if index.method == "btree" and wanted in (keys[:1] + rest[:1]):
            return True
    return False
