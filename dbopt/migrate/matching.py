"""Declared indexes against those that are there, by meaning. PURE, and total: it never raises.

Each declared index is given the one that serves it, if there is one; then its name decides what is
to be done. Where an index must give its name to one declaration and take that of another, the one
that leaves a name comes first, and of two that change names one steps aside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.parts import foreign, parts
from dbopt.migrate.steps import Action, Step, Wanted, needed, required, same_index, serves
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.sql.indexdef import IndexDefinition

Name = tuple[str, str]
"""Schema and name."""

_NO_TABLE = (
    "its table is not in this database, or it is a view, a foreign or temporary table, an "
    "extension's, or dbopt's own"
)
_FOREIGN = (
    "{} has partitions that are foreign tables, so that an index made in steps is never valid: "
    "declare it on each of the other partitions"
)
_UNSEEN = " (grant pg_read_all_stats to dbopt's role, so that it sees who builds)"


@dataclass(slots=True)
class Matching:
    """The declared ones beside a catalog. `steps` answers; `claimed` are then the oids in use."""

    wanted: Sequence[Wanted]
    catalog: Catalog
    managed: Collection[Name] = ()
    prune: bool = False
    claimed: set[int] = field(default_factory=set)
    _leaders: dict[int, int] = field(default_factory=dict)
    _sources: dict[int, Index] = field(default_factory=dict)
    _claimants: dict[int, int] = field(default_factory=dict)
    _done: dict[int, Step] = field(default_factory=dict)
    _ordered: list[int] = field(default_factory=list)
    _going: set[int] = field(default_factory=set)

    def steps(self) -> list[Step]:
        """A step for each declared index: in their order, but that names are freed first."""
        self._lead()
        self._give()
        for number in range(len(self.wanted)):
            self._settle(number, ())
        return [self._done[number] for number in self._ordered]

    # --- who has what

    def _lead(self) -> None:
        """Of several of one meaning, those whose own name has it lead, or else the first."""
        groups: defaultdict[Name, list[list[int]]] = defaultdict(list)
        for number, one in enumerate(self.wanted):
            same = groups[one.definition.schema, one.definition.table]
            group = next((g for g in same if self._same(g[0], number)), None)
            same.append([number]) if group is None else group.append(number)
        for group in (group for same in groups.values() for group in same):
            own = [number for number in group if self._named_same(number)]
            valid = next((n for n in own if (found := self._named(n)) and found.valid), None)
            first = valid if valid is not None else (own or group)[0]
            self._leaders.update({n: n if n in own else first for n in group})

    def _give(self) -> None:
        """Each leader's source: the index that is of its meaning, and serves."""
        for number in sorted(set(self._leaders.values())):
            source = self._named_same(number) or self._twin(self.wanted[number].definition)
            if source is not None:
                self._sources[number] = source
                self._claimants[source.oid] = number
                self.claimed.add(source.oid)
        self._going = {index.oid for index in self._in_question()} - self._claimants.keys()

    def _in_question(self) -> Iterator[Index]:
        """Those that have a declared name, or one that dbopt makes of it: they may be dropped."""
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
        table = self._table(definition)
        return self.catalog.indexes_by_table.get(table.oid, ()) if table else ()

    def _table(self, definition: IndexDefinition) -> Table | None:
        return self.catalog.tables_by_name.get((definition.schema, definition.table))

    def _named(self, number: int) -> Index | None:
        definition = self.wanted[number].definition
        return self.catalog.indexes_by_name.get((definition.schema, definition.name))

    def _named_same(self, number: int) -> Index | None:
        """The index of that name, if it is of that meaning; a deferrable one is of none."""
        found = self._named(number)
        if found is None or found.deferrable:
            return None
        return found if same_index(found.definition, self.wanted[number].definition) else None

    def _same(self, one: int, other: int) -> bool:
        return same_index(self.wanted[one].definition, self.wanted[other].definition)

    # --- what each needs

    def _settle(self, number: int, open_: tuple[int, ...]) -> Step:
        """The step of one; `open_` are those that wait for it, whose names it may free."""
        if number not in self._done:
            step, before = self._step(number, (*open_, number))
            if before in open_:
                step = self._aside(step, self._named(number), open_)
            self._done[number] = replace(step, where=self.wanted[number].where)
            self._ordered.append(number)
        return self._done[number]

    def _step(self, number: int, open_: tuple[int, ...]) -> tuple[Step, int | None]:
        """The step, and the number of the one that must free its name first."""
        definition = self.wanted[number].definition
        if refused := self._refused(definition):
            return Step(Action.CONFLICT, definition, None, refused), None
        leader = self._leaders[number]
        if leader != number and not self._succeeds(number, leader, open_):
            return self._second(definition, leader), None
        source = self._sources.get(number)
        if source is not None and _has_name(source, definition):
            return self._own(definition, source), None
        if source is not None and (why := required(source)):
            return Step(Action.PRESENT, definition, source, f"as {source.name}: {why}"), None
        return self._with_name(number, definition, source, open_)

    def _succeeds(self, number: int, leader: int, open_: tuple[int, ...]) -> bool:
        """Whether the first of this meaning cannot have its name, so that this one leads now."""
        if leader in open_ or self._settle(leader, open_).action is not Action.CONFLICT:
            return False
        for other, first in self._leaders.items():
            if first == leader != other:
                self._leaders[other] = number
        if leader in self._sources:
            self._sources[number] = source = self._sources[leader]
            self._claimants[source.oid] = number
        return True

    def _refused(self, definition: IndexDefinition) -> str:
        table = self._table(definition)
        if table is None:
            return _NO_TABLE
        if definition.nulls_not_distinct and self.catalog.version < 15:
            return "PostgreSQL knows NULLS NOT DISTINCT from version 15 on"
        return ""

    def _second(self, definition: IndexDefinition, leader: int) -> Step:
        first = self.wanted[leader].definition
        if first.name == definition.name:
            return Step(Action.PRESENT, definition, self._sources.get(leader), "declared twice")
        reason = f"as {first.name}, which is declared and means the same"
        return Step(Action.PRESENT, definition, self._sources.get(leader), reason)

    def _own(self, definition: IndexDefinition, index: Index) -> Step:
        """The index is there under its name."""
        if index.partitioned:
            return self._whole(definition, index)
        if index.valid:
            return Step(Action.PRESENT, definition, index, _difference(definition, index))
        if index.builder_pid is not None:
            return self._busy(definition, index)
        if why := required(index):
            return Step(Action.CONFLICT, definition, index, f"it is invalid, and {why}")
        hidden = "" if self.catalog.sees_builds else _UNSEEN
        return Step(Action.REBUILD, definition, index, f"it is invalid{hidden}")

    def _whole(self, definition: IndexDefinition, index: Index) -> Step:
        """A partitioned table's index, by its partitions."""
        below = self._parts(definition, index)
        if index.valid and all(part.action is Action.PRESENT for part in below):
            reason = _difference(definition, index)
            return Step(Action.PRESENT, definition, index, reason, partitions=below)
        if refused := self._unfinishable(definition):
            return Step(Action.CONFLICT, definition, index, refused, partitions=below)
        reason = "partitions lack theirs"
        return Step(Action.ATTACH, definition, index, reason, partitions=below)

    def _with_name(
        self, number: int, definition: IndexDefinition, source: Index | None, open_: tuple[int, ...]
    ) -> tuple[Step, int | None]:
        """The index is not there under its name, which may be another's."""
        holder = self._named(number)
        if holder is None:
            kind = self.catalog.kinds.get((definition.schema, definition.name))
            if kind is not None:
                reason = f"that name is taken by a {kind}"
                return Step(Action.CONFLICT, definition, None, reason), None
            return self._unnamed(definition, source), None
        claimant = self._claimants.get(holder.oid)
        if claimant is not None:
            if claimant in open_ or self._moves(holder, claimant, open_):
                return self._unnamed(definition, source), claimant
            return self._taken(definition, holder, "which serves another declaration"), None
        self.claimed.add(holder.oid)
        return self._in_the_way(definition, holder, source, open_), None

    def _moves(self, index: Index, claimant: int, open_: tuple[int, ...]) -> bool:
        """Whether the one that the index serves gives it another name."""
        step = self._settle(claimant, open_)
        renamed = step.action is Action.RENAME and step.existing is index
        return renamed or (step.action is Action.REPLACE and step.ready is index)

    def _unnamed(self, definition: IndexDefinition, source: Index | None) -> Step:
        """The name is free, or will be."""
        if source is not None:
            return Step(Action.RENAME, definition, source, f"it is called {source.name}")
        if refused := self._unfinishable(definition):
            return Step(Action.CONFLICT, definition, None, refused)
        invalid = self._invalid(definition)
        if (built := self._being_built(definition)) is not None:
            return self._busy(definition, built)
        reason = f"{invalid[0].name} means the same and is invalid" if invalid else ""
        return Step(
            Action.CREATE, definition, None, reason, partitions=self._parts(definition, None)
        )

    def _aside(self, step: Step, holder: Index | None, open_: tuple[int, ...]) -> Step:
        """Of two that change names, the one that goes first: the other steps aside."""
        definition = step.definition
        if why := self._occupied(definition, (old_name(definition.name),), open_):
            return Step(Action.CONFLICT, definition, holder, why)
        return replace(step, holder=holder)

    def _occupied(
        self, definition: IndexDefinition, names: Sequence[str], open_: tuple[int, ...]
    ) -> str:
        """Why one of the names that are used for a moment cannot be; what is there otherwise is a
        leftover, which is dropped first.
        """
        for name in names:
            key = (definition.schema, name)
            index = self.catalog.indexes_by_name.get(key)
            number = self._claimants.get(index.oid) if index else None
            if index is None or number is None:
                why = needed(index, self.catalog) if index else self.catalog.kinds.get(key, "")
                if index and index.definition.table != definition.table:
                    why = f"it is on {index.definition.table}"
            else:
                free = number not in open_ and self._moves(index, number, open_)
                why = "" if free else "it serves another declaration"
            if why:
                return f"the name {name} is needed for a moment, and is taken: {why}"
        return ""

    def _invalid(self, definition: IndexDefinition) -> list[Index]:
        """Those of that meaning that cannot serve."""
        on = self._on(definition)
        return [
            index for index in on if not index.valid and same_index(index.definition, definition)
        ]

    def _being_built(self, definition: IndexDefinition) -> Index | None:
        """One of that meaning that a session builds now, or what it builds as the successor."""
        successor = (definition.schema, new_name(definition.name))
        found = [*self._invalid(definition), self.catalog.indexes_by_name.get(successor)]
        return next((index for index in found if index and index.builder_pid is not None), None)

    def _busy(self, definition: IndexDefinition, index: Index) -> Step:
        self.claimed.add(index.oid)
        name = "it" if index.name == definition.name else index.name
        reason = f"pid {index.builder_pid} builds {name} now"
        return Step(Action.BUSY, definition, index, reason)

    def _in_the_way(
        self,
        definition: IndexDefinition,
        holder: Index,
        source: Index | None,
        open_: tuple[int, ...],
    ) -> Step:
        """The name is that of an index of another meaning, which is not declared."""
        if why := needed(holder, self.catalog):
            return self._taken(definition, holder, why)
        if holder.definition.table != definition.table and not self._may_go(holder):
            why = f"which dbopt does not manage, on {holder.definition.table}"
            return self._taken(definition, holder, why)
        if holder.builder_pid is not None:
            return self._busy(definition, holder)
        built = None if source else self._being_built(definition)
        if built is not None:
            return self._busy(definition, built)
        if source is None and (refused := self._unfinishable(definition)):
            return Step(Action.CONFLICT, definition, holder, refused)
        new = () if source else (new_name(definition.name),)
        if why := self._occupied(definition, (*new, old_name(definition.name)), open_):
            return Step(Action.CONFLICT, definition, holder, why)
        half = self._half(definition) if source is None else None
        below = () if source else self._parts(definition, half)
        reason = f"that name is another index's: {holder.sql}"
        return Step(Action.REPLACE, definition, holder, reason, partitions=below, ready=source)

    def _half(self, definition: IndexDefinition) -> Index | None:
        """The successor that a killed run has begun on a partitioned table."""
        name = (definition.schema, new_name(definition.name))
        found = self.catalog.indexes_by_name.get(name)
        if found is None or not same_index(found.definition, definition):
            return None
        self.claimed.add(found.oid)
        return found

    def _may_go(self, index: Index) -> bool:
        return self.prune or (index.definition.schema, index.name) in self.managed

    def _taken(self, definition: IndexDefinition, holder: Index, why: str) -> Step:
        reason = f"that name is taken ({why}): {holder.sql}"
        return Step(Action.CONFLICT, definition, holder, reason)

    # --- partitions

    def _parts(self, definition: IndexDefinition, index: Index | None) -> tuple[Step, ...]:
        table = self._table(definition)
        if table is None or not table.partitioned:
            return ()
        below = parts(definition, index, table, self.catalog, self._going)
        self._claim(below)
        return below

    def _claim(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.existing is not None:
                self.claimed.add(step.existing.oid)
            self._claim(step.partitions)

    def _unfinishable(self, definition: IndexDefinition) -> str:
        table = self._table(definition)
        found = foreign(table, self.catalog) if table and table.partitioned else None
        return _FOREIGN.format(found) if found else ""


def _has_name(index: Index, definition: IndexDefinition) -> bool:
    return (index.definition.schema, index.name) == (definition.schema, definition.name)


def _difference(definition: IndexDefinition, index: Index) -> str:
    """How a present index lies otherwise than declared: ALTER INDEX changes that in place."""
    found = index.definition
    different = [
        what
        for what, one, other in (
            ("storage parameters", definition.storage, found.storage),
            ("tablespace", definition.tablespace, found.tablespace),
        )
        if one != other
    ]
    return f"its {' and '.join(different)} differ: ALTER INDEX changes them" if different else ""
