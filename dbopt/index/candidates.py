"""Which indexes might help a workload: the syntactically relevant ones, before any proof.

For each table of a statement: columns compared by equality first, then one range or the sort
order, since a btree can use no key after a range (Lahdenmäki and Leach, "Relational Database
Index Design and the Optimizers"; docs: "Multicolumn Indexes").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from dbopt.index.rules.support import index_name, supported
from dbopt.index.workload import WorkloadQuery
from dbopt.pg.catalog import Catalog, Table
from dbopt.sql.columns import ColumnUse, Role, Tables, column_uses
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from dbopt.sql.query import Relation

MAX_WIDTH = 3
MOST_CANDIDATES = 60

_NO_BTREE = frozenset({"json", "jsonb", "xml", "point", "box", "polygon", "circle", "tsvector"})
"""Types without a btree operator class, or whose comparison nobody asks for."""
_GIN = frozenset({"jsonb", "tsvector"})

_Keys = tuple[IndexKey, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that might help these statements (fingerprints), and why one may think so.

    `partitioned`: its table is, so that PostgreSQL does not build it concurrently.
    """

    definition: IndexDefinition
    fingerprints: frozenset[int]
    reason: str
    partitioned: bool = False


def candidates(workload: Sequence[WorkloadQuery], catalog: Catalog) -> list[Candidate]:
    """Candidates that no valid index covers yet, those for the most expensive statements first."""
    tables = {Relation(table.schema, table.name): table for table in catalog.tables}
    columns: Tables = {
        relation: frozenset(column.name for column in table.columns)
        for relation, table in tables.items()
    }
    found = _Collected(catalog)
    for query in sorted(workload, key=lambda query: (-query.total_ms, query.fingerprint)):
        for uses in _by_source(column_uses(query.text, columns)):
            table = tables[uses[0].relation]
            for method, keys, reason in _proposals(table, uses):
                found.add(table, method, keys, reason, query.fingerprint)
    _add_foreign_keys(found, catalog)
    return found.all()[:MOST_CANDIDATES]


class _Collected:
    """Candidates by meaning; one that several statements propose is one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._found: dict[tuple[int, str, _Keys], Candidate] = {}
        self._names = {index.name for index in catalog.indexes}
        self.touched: defaultdict[int, set[int]] = defaultdict(set)

    def add(self, table: Table, method: str, keys: _Keys, reason: str, fingerprint: int) -> None:
        self.touched[table.oid].add(fingerprint)
        known = self._found.get((table.oid, method, keys))
        if known is not None:
            merged = known.fingerprints | {fingerprint}
            self._found[table.oid, method, keys] = replace(known, fingerprints=merged)
            return
        definition = IndexDefinition("", table.schema, table.name, method, keys)
        if not self._covered(table, definition):
            named = replace(definition, name=self._name(definition))
            self._found[table.oid, method, keys] = Candidate(
                named, frozenset({fingerprint}), reason, table.partitioned
            )

    def all(self) -> list[Candidate]:
        return list(self._found.values())

    def _covered(self, table: Table, definition: IndexDefinition) -> bool:
        indexes = self._catalog.indexes_by_table.get(table.oid, ())
        return any(index.valid and index.definition.covers(definition) for index in indexes)

    def _name(self, definition: IndexDefinition) -> str:
        stem = index_name(definition.table, [key.expression for key in definition.keys])
        names = (stem if number == 0 else f"{stem[:60]}{number}" for number in count())
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return name


def _by_source(uses: Iterable[ColumnUse]) -> Iterator[list[ColumnUse]]:
    groups: defaultdict[tuple[Relation, int], list[ColumnUse]] = defaultdict(list)
    for use in uses:
        groups[use.relation, use.source].append(use)
    yield from groups.values()


def _proposals(table: Table, uses: list[ColumnUse]) -> Iterator[tuple[str, _Keys, str]]:
    """Access method, keys and reason of each index that might help one occurrence of a table."""
    for column in _columns(table, uses, Role.CONTAIN, gin=True):
        yield "gin", (IndexKey(column),), f"containment in {column}"
    equal = _columns(table, uses, Role.EQUAL)
    join = [c for c in _columns(table, uses, Role.JOIN) if c not in equal]
    ranges = [c for c in _columns(table, uses, Role.RANGE) if c not in equal]
    for columns, reason in _column_lists(equal, join, ranges):
        yield "btree", tuple(map(IndexKey, columns[:MAX_WIDTH])), reason
    order = _order(table, uses, without=equal)
    if order:
        words = "order by " + ", ".join(key.expression for key in order)
        yield "btree", order[:MAX_WIDTH], words
        if equal:
            prefix = tuple(map(IndexKey, equal))
            reason = f"equality on {', '.join(equal)}, {words}"
            yield "btree", (prefix + order)[:MAX_WIDTH], reason


def _column_lists(
    equal: list[str], join: list[str], ranges: list[str]
) -> Iterator[tuple[list[str], str]]:
    searched = equal + join
    for column in searched:
        yield [column], f"{'equality' if column in equal else 'join'} on {column}"
    for column in ranges:
        yield [column], f"range on {column}"
    if len(searched) > 1:
        yield searched, f"equality on {', '.join(searched)}"
        yield searched[::-1], f"equality on {', '.join(searched[::-1])}"
    for column in ranges:
        if equal:
            yield [*equal, column], f"equality on {', '.join(equal)}, then range on {column}"


def _columns(table: Table, uses: list[ColumnUse], role: Role, *, gin: bool = False) -> list[str]:
    """The columns used so, in order, once each, whose type the access method can hold."""
    names = dict.fromkeys(use.column for use in uses if use.role is role and _useful(use))
    return [name for name in names if _indexable(table, name, gin)]


def _useful(use: ColumnUse) -> bool:
    # Under OR each condition may still be searched on its own and the results united.
    return use.always or use.role is Role.CONTAIN


def _indexable(table: Table, name: str, gin: bool) -> bool:
    column = table.column(name)
    if column is None:
        return False
    if gin:
        return column.is_array or column.type in _GIN
    return not column.is_array and column.type not in _NO_BTREE


def _order(table: Table, uses: list[ColumnUse], without: list[str]) -> _Keys:
    """The sort order as keys. One direction throughout needs none: it is read backwards."""
    sort = [use for use in uses if use.role is Role.ORDER and use.column not in without]
    if not all(_indexable(table, use.column, gin=False) for use in sort):
        return ()
    usual = all(use.nulls_first == use.descending for use in sort)
    if usual and len({use.descending for use in sort}) == 1:
        return tuple(IndexKey(use.column) for use in sort)
    return tuple(
        IndexKey(use.column, descending=use.descending, nulls_first=use.nulls_first) for use in sort
    )


def _add_foreign_keys(found: _Collected, catalog: Catalog) -> None:
    """Foreign keys without an index, of the tables that the workload touches."""
    for key in catalog.foreign_keys:
        table = catalog.by_oid.get(key.table_oid)
        if table is None or supported(catalog, key):
            continue
        for fingerprint in sorted(found.touched[table.oid]):
            keys = tuple(map(IndexKey, key.columns))
            found.add(table, "btree", keys, f"foreign key {key.name}", fingerprint)
