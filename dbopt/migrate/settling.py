"""What each declared index needs, now that it is known which index serves it. PURE, and total.

Its name decides. Where an index must give its name to one declaration and take that of another, the
one that leaves a name comes first, and of two that change names one steps aside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from dbopt.migrate.matching import Matching
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.parts import parts
from dbopt.migrate.steps import Action, Step, Wanted, needed, required
from dbopt.pg.catalog import Catalog, Index
from dbopt.sql.indexdef import IndexDefinition

Name = tuple[str, str]
"""Schema and name."""

_UNSEEN = " (grant pg_read_all_stats to dbopt's role, so that it sees who builds)"


class Settling:
    """`steps` answers; `claimed` are then the oids of the indexes that are in use."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        catalog: Catalog,
        managed: Collection[Name] = (),
        prune: bool = False,
    ) -> None:
        self._matching = Matching(wanted, catalog)
        self._wanted = wanted
        self._catalog = catalog
        self._managed = managed
        self._prune = prune
        self._done: dict[int, Step] = {}
        self._first: defaultdict[int, list[int]] = defaultdict(list)
        self.claimed = set(self._matching.claimants)

    def steps(self) -> list[Step]:
        """A step for each declared index: in their order, but that names are freed first."""
        for number in range(len(self._wanted)):
            self._settle(number, ())
        for number, leader in self._matching.leaders.items():
            if self._is_refused(number) and not self._is_refused(leader):
                # It led, could not have its name, and is served now by who came after it.
                step = self._second(self._wanted[number].definition, leader)
                self._done[number] = replace(step, where=self._wanted[number].where)
        order: dict[int, None] = {}
        for number in range(len(self._wanted)):
            self._place(number, order)
        return [self._done[number] for number in order]

    def _is_refused(self, number: int) -> bool:
        return self._done[number].action is Action.CONFLICT

    def _place(self, number: int, order: dict[int, None]) -> None:
        """After those that must free a name for it."""
        if number in order:
            return
        for first in self._first[number]:
            self._place(first, order)
        order[number] = None

    def _settle(self, number: int, open_: tuple[int, ...]) -> Step:
        """The step of one; `open_` are those that wait for it, whose names it may free."""
        if number not in self._done:
            step, before = self._step(number, (*open_, number))
            if before in open_:
                step = self._aside(number, step, self._matching.named(number), open_)
            elif before is not None:
                self._first[number].append(before)
            self._done[number] = replace(step, where=self._wanted[number].where)
        return self._done[number]

    def _step(self, number: int, open_: tuple[int, ...]) -> tuple[Step, int | None]:
        """The step, and the number of the one that must free its name first."""
        definition = self._wanted[number].definition
        if refused := self._matching.refused(definition):
            return Step(Action.CONFLICT, definition, None, refused), None
        leader = self._matching.leaders[number]
        if leader != number and not self._succeeds(number, leader, open_):
            return self._second(definition, leader), None
        source = self._matching.sources.get(number)
        if source is not None and _has_name(source, definition):
            return self._own(definition, source), None
        if source is not None and (why := required(source)):
            return Step(Action.PRESENT, definition, source, f"as {source.name}: {why}"), None
        return self._with_name(number, definition, source, open_)

    def _succeeds(self, number: int, leader: int, open_: tuple[int, ...]) -> bool:
        """Whether the first of this meaning cannot have its name, so that this one leads now."""
        if leader in open_ or self._settle(leader, open_).action is not Action.CONFLICT:
            return False
        self._matching.hand_on(leader, number)
        return True

    def _second(self, definition: IndexDefinition, leader: int) -> Step:
        first = self._wanted[leader].definition
        if first.name == definition.name:
            return Step(
                Action.PRESENT, definition, self._matching.sources.get(leader), "declared twice"
            )
        reason = f"as {first.name}, which is declared and means the same"
        return Step(Action.PRESENT, definition, self._matching.sources.get(leader), reason)

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
        hidden = "" if self._catalog.sees_builds else _UNSEEN
        return Step(Action.REBUILD, definition, index, f"it is invalid{hidden}")

    def _whole(self, definition: IndexDefinition, index: Index) -> Step:
        """A partitioned table's index, by its partitions."""
        below = self._parts(definition, index)
        if index.valid and all(part.action is Action.PRESENT for part in below):
            reason = _difference(definition, index)
            return Step(Action.PRESENT, definition, index, reason, partitions=below)
        if refused := self._matching.unfinishable(definition):
            return Step(Action.CONFLICT, definition, index, refused, partitions=below)
        reason = "partitions lack theirs"
        return Step(Action.ATTACH, definition, index, reason, partitions=below)

    def _with_name(
        self, number: int, definition: IndexDefinition, source: Index | None, open_: tuple[int, ...]
    ) -> tuple[Step, int | None]:
        """The index is not there under its name, which may be another's."""
        holder = self._matching.named(number)
        if holder is None:
            kind = self._catalog.kinds.get((definition.schema, definition.name))
            if kind is not None:
                reason = f"that name is taken by a{'n' * (kind == 'index')} {kind}"
                return Step(Action.CONFLICT, definition, None, reason), None
            return self._unnamed(definition, source), None
        claimant = self._matching.claimants.get(holder.oid)
        if claimant is not None:
            if claimant in open_ or self._moves(holder, claimant, open_):
                return self._unnamed(definition, source), claimant
            return self._taken(definition, holder, "which serves another declaration"), None
        self.claimed.add(holder.oid)
        return self._in_the_way(number, holder, source, open_), None

    def _moves(self, index: Index, claimant: int, open_: tuple[int, ...]) -> bool:
        """Whether the one that the index serves gives it another name."""
        step = self._settle(claimant, open_)
        renamed = step.action is Action.RENAME and step.existing is index
        return renamed or (step.action is Action.REPLACE and step.ready is index)

    def _unnamed(self, definition: IndexDefinition, source: Index | None) -> Step:
        """The name is free, or will be."""
        if source is not None:
            return Step(Action.RENAME, definition, source, f"it is called {source.name}")
        if refused := self._matching.unfinishable(definition):
            return Step(Action.CONFLICT, definition, None, refused)
        invalid = self._matching.invalid(definition)
        if (built := self._matching.being_built(definition)) is not None:
            return self._busy(definition, built)
        reason = f"{invalid[0].name} means the same and is invalid" if invalid else ""
        return Step(
            Action.CREATE, definition, None, reason, partitions=self._parts(definition, None)
        )

    def _aside(self, number: int, step: Step, holder: Index | None, open_: tuple[int, ...]) -> Step:
        """Of two that change names, the one that goes first: the other steps aside."""
        definition = step.definition
        if why := self._occupied(number, (old_name(definition.name),), open_):
            return Step(Action.CONFLICT, definition, holder, why)
        return replace(step, holder=holder)

    def _occupied(self, number: int, names: Sequence[str], open_: tuple[int, ...]) -> str:
        """Why one of the names that are used for a moment cannot be; what is there otherwise is a
        leftover, which is dropped first.
        """
        definition = self._wanted[number].definition
        for name in names:
            key = (definition.schema, name)
            index = self._catalog.indexes_by_name.get(key)
            claimant = self._matching.claimants.get(index.oid) if index else None
            if index is None or claimant in (None, number):
                why = needed(index, self._catalog) if index else self._catalog.kinds.get(key, "")
                if index and index.definition.table != definition.table:
                    why = f"it is on {index.definition.table}"
            else:
                free = claimant not in open_ and self._moves(index, claimant, open_)
                self._first[number] += [claimant] if free else []
                why = "" if free else "it serves another declaration"
            if why:
                return f"the name {name} is needed for a moment, and is taken: {why}"
        return ""

    def _busy(self, definition: IndexDefinition, index: Index) -> Step:
        self.claimed.add(index.oid)
        name = "it" if index.name == definition.name else index.name
        reason = f"pid {index.builder_pid} builds {name} now"
        return Step(Action.BUSY, definition, index, reason)

    def _in_the_way(
        self, number: int, holder: Index, source: Index | None, open_: tuple[int, ...]
    ) -> Step:
        """The name is that of an index of another meaning, which is not declared."""
        definition = self._wanted[number].definition
        if source is not None and source.name == old_name(definition.name):
            source = None  # what a killed run has put aside; the holder needs that name
        if why := needed(holder, self._catalog):
            return self._taken(definition, holder, why)
        if holder.definition.table != definition.table and not self._may_go(holder):
            why = f"which dbopt does not manage, on {holder.definition.table}"
            return self._taken(definition, holder, why)
        if holder.builder_pid is not None:
            return self._busy(definition, holder)
        built = None if source else self._matching.being_built(definition)
        if built is not None:
            return self._busy(definition, built)
        if source is None and (refused := self._matching.unfinishable(definition)):
            return Step(Action.CONFLICT, definition, holder, refused)
        new = () if source else (new_name(definition.name),)
        if why := self._occupied(number, (*new, old_name(definition.name)), open_):
            return Step(Action.CONFLICT, definition, holder, why)
        half = self._matching.half(definition) if source is None else None
        if half is not None:
            self.claimed.add(half.oid)
        below = () if source else self._parts(definition, half)
        reason = f"that name is another index's: {holder.sql}"
        return Step(Action.REPLACE, definition, holder, reason, partitions=below, ready=source)

    def _may_go(self, index: Index) -> bool:
        return self._prune or (index.definition.schema, index.name) in self._managed

    def _taken(self, definition: IndexDefinition, holder: Index, why: str) -> Step:
        reason = f"that name is taken ({why}): {holder.sql}"
        return Step(Action.CONFLICT, definition, holder, reason)

    # --- partitions

    def _parts(self, definition: IndexDefinition, index: Index | None) -> tuple[Step, ...]:
        table = self._matching.table(definition)
        if table is None or not table.partitioned:
            return ()
        below = parts(definition, index, table, self._catalog, self._matching.in_question)
        self._claim(below)
        return below

    def _claim(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.existing is not None:
                self.claimed.add(step.existing.oid)
            self._claim(step.partitions)


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
