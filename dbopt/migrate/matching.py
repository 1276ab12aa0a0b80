"""Which index serves which declaration, by meaning. PURE, and total: it never raises.

Each declared index is given the one that serves it, if there is one. What its name then asks for is
`settling.py`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.parts import foreign
from dbopt.migrate.steps import Wanted, required, same_index, serves
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.sql.indexdef import IndexDefinition

_NO_TABLE = (
    "its table is not in this database, or it is a view, a foreign or temporary table, an "
    "extension's, or dbopt's own"
)
_FOREIGN = (
    "{} has partitions that are foreign tables or an extension's, so that an index made in steps "
    "is never valid: declare it on each of the other partitions"
)


class Matching:
    """The declared ones, by their number, beside a catalog.

    `leaders`: of several of one meaning those that an index is for; the others follow theirs.
    `sources`: the index of a leader's meaning that serves, and `claimants` the leader by its oid.
    `in_question`: the oids of indexes that have a declared name, or one that dbopt makes of it,
    and serve no declaration: they may be dropped.
    """

    def __init__(self, wanted: Sequence[Wanted], catalog: Catalog) -> None:
        self.wanted = wanted
        self.catalog = catalog
        self.leaders: dict[int, int] = {}
        self.sources: dict[int, Index] = {}
        self.claimants: dict[int, int] = {}
        self._lead()
        self._give()
        self.in_question = {index.oid for index in self._named_so()} - self.claimants.keys()

    def hand_on(self, leader: int, number: int) -> None:
        """Let another of the same meaning lead, and have the source."""
        for other, first in self.leaders.items():
            if first == leader:
                self.leaders[other] = number
        if leader in self.sources:
            self.sources[number] = source = self.sources[leader]
            self.claimants[source.oid] = number

    def _lead(self) -> None:
        """Of several of one meaning, those whose own name has it lead, or else the first."""
        groups: defaultdict[tuple[object, ...], list[list[int]]] = defaultdict(list)
        for number, one in enumerate(self.wanted):
            same = groups[_shape(one.definition)]
            group = next((g for g in same if self._same(g[0], number)), None)
            same.append([number]) if group is None else group.append(number)
        for group in (group for same in groups.values() for group in same):
            own = [number for number in group if self._named_same(number)]
            valid = next((n for n in own if (found := self.named(n)) and found.valid), None)
            first = valid if valid is not None else (own or group)[0]
            self.leaders.update({n: n if n in own else first for n in group})

    def _give(self) -> None:
        """Each leader's source: the index that is of its meaning, and serves."""
        for number in sorted(set(self.leaders.values())):
            source = self._named_same(number) or self._twin(self.wanted[number].definition)
            if source is not None:
                self.sources[number] = source
                self.claimants[source.oid] = number

    def _named_so(self) -> Iterator[Index]:
        for one in self.wanted:
            name = one.definition.name
            for each in (name, new_name(name), old_name(name)):
                found = self.catalog.indexes_by_name.get((one.definition.schema, each))
                if found is not None:
                    yield found

    def _twin(self, definition: IndexDefinition) -> Index | None:
        """The best index of that meaning under another name: one that a killed run has built,
        one that stays as it is, one that can be renamed."""
        ready = new_name(definition.name)
        return min(
            (index for index in self._on(definition) if serves(index, definition)),
            key=lambda index: (index.name != ready, not required(index), index.name),
            default=None,
        )

    def _on(self, definition: IndexDefinition) -> Sequence[Index]:
        table = self.table(definition)
        return self.catalog.indexes_by_table.get(table.oid, ()) if table else ()

    def table(self, definition: IndexDefinition) -> Table | None:
        """Its table, if the catalog has it."""
        return self.catalog.tables_by_name.get((definition.schema, definition.table))

    def named(self, number: int) -> Index | None:
        """The index that has the declared one's name, whatever it means."""
        definition = self.wanted[number].definition
        return self.catalog.indexes_by_name.get((definition.schema, definition.name))

    def _named_same(self, number: int) -> Index | None:
        """The index of that name, if it is of that meaning; a deferrable one is of none."""
        found = self.named(number)
        if found is None or found.deferrable:
            return None
        return found if same_index(found.definition, self.wanted[number].definition) else None

    def _same(self, one: int, other: int) -> bool:
        return same_index(self.wanted[one].definition, self.wanted[other].definition)

    def invalid(self, definition: IndexDefinition) -> list[Index]:
        """Those of that meaning that cannot serve."""
        on = self._on(definition)
        return [
            index for index in on if not index.valid and same_index(index.definition, definition)
        ]

    def being_built(self, definition: IndexDefinition) -> Index | None:
        """One of that meaning that a session builds now, or what it builds as the successor."""
        successor = (definition.schema, new_name(definition.name))
        found = [*self.invalid(definition), self.catalog.indexes_by_name.get(successor)]
        return next((index for index in found if index and index.builder_pid is not None), None)

    def half(self, definition: IndexDefinition) -> Index | None:
        """The successor that a killed run has begun on a partitioned table."""
        name = (definition.schema, new_name(definition.name))
        found = self.catalog.indexes_by_name.get(name)
        same = found is not None and same_index(found.definition, definition)
        return found if same else None

    def refused(self, definition: IndexDefinition) -> str:
        """Why it cannot be at all; "" where it can."""
        table = self.table(definition)
        if table is None:
            return _NO_TABLE
        if definition.nulls_not_distinct and self.catalog.version < 15:
            return "PostgreSQL knows NULLS NOT DISTINCT from version 15 on"
        return ""

    def unfinishable(self, definition: IndexDefinition) -> str:
        """Why it would never be valid if it was made in steps; "" where it would."""
        table = self.table(definition)
        found = foreign(table, self.catalog) if table and table.partitioned else None
        return _FOREIGN.format(found) if found else ""


def _shape(definition: IndexDefinition) -> tuple[object, ...]:
    """Equal for all of one meaning, and cheap: what is compared in full are those of one shape."""
    columns = tuple(key.expression if key.is_column else "" for key in definition.keys)
    return (definition.schema, definition.table, definition.method, definition.unique, columns)
