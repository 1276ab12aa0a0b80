"""What takes a run back, given its steps and what is there now. PURE.

The steps come to a net effect, index by index; each is taken back by a step of a plan, made anew
from the catalog. What has changed since the run is left alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbopt.errors import DeclarationError
from dbopt.migrate.changes import Created, Name, Net, Noted, attached, net_effect, read_changes
from dbopt.migrate.changes import read_definition as read
from dbopt.migrate.plan import Action, Step, one, required, same_index
from dbopt.pg.catalog import Catalog, Index
from dbopt.pg.ddl import drop_text
from dbopt.sql.indexdef import IndexDefinition, quote_name
from dbopt.store.indexruns import IndexStep

_BUILDS = frozenset({Action.CREATE, Action.REBUILD, Action.BUSY, Action.ATTACH})


@dataclass(frozen=True, slots=True)
class Undo:
    """One index of a run: the step that takes it back, or why it is left alone.

    `settled`: it is as it was before the run, so there is nothing to take back.
    """

    schema: str
    name: str
    table: str
    step: Step | None = None
    reason: str = ""
    settled: bool = False

    @property
    def key(self) -> Name:
        """Schema and name."""
        return self.schema, self.name

    @property
    def sql(self) -> str:
        """What will be done, as SQL for people; "" where nothing will."""
        if self.step is None:
            return ""
        definition, existing = self.step.definition, self.step.existing
        if self.step.action is Action.DROP:
            return drop_text(definition, concurrently=not (existing and existing.partitioned))
        if self.step.action is Action.RENAME and existing is not None:
            there = f"{quote_name(existing.definition.schema)}.{quote_name(existing.name)}"
            return f"ALTER INDEX {there} RENAME TO {quote_name(definition.name)}"
        return definition.create_sql()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {
            "schema": self.schema,
            "name": self.name,
            "table": self.table,
            "action": self.step.action.value if self.step else None,
            "sql": self.sql or None,
            "reason": self.reason,
            "settled": self.settled,
        }


def undos(
    steps: Sequence[IndexStep],
    catalog: Catalog,
    made_by: Mapping[Name, str] | None = None,
    run: str = "",
) -> list[Undo]:
    """What takes the steps of `run` back, builds and names first, then drops, the last one first.

    `made_by` says which run made each managed index: one of a later run's is left alone.
    """
    notes, unread = _notes(steps)
    nets = net_effect(notes)
    gone = {_key(net.before) for net in nets if net.before is not None}
    adopted = _adopted(steps, nets)
    found: list[Undo] = []
    for net in nets:
        if net.lost is not None:
            found.append(_left(net.lost, "", "its definition cannot be read in the store"))
        elif net.before is not None:
            found.append(_restored(net.before, net, nets, catalog))
        elif net.after is not None and _key(net.after) not in gone:
            found.append(_removed(net.after, catalog, made_by or {}, run, adopted))
    return sorted(_without_parts(found, catalog), key=_drops) + unread


def _notes(steps: Iterable[IndexStep]) -> tuple[list[Noted], list[Undo]]:
    notes: list[Noted] = []
    unread: list[Undo] = []
    for step in steps:
        if step.outcome not in ("done", "interrupted"):
            continue
        try:
            changes = read_changes(step.sql)
            definition = read(step.definition) if changes else None
        except DeclarationError as error:
            unread.append(_left((step.schema, step.index), step.table, error.message))
            continue
        for change in changes:
            about = isinstance(change, Created) or change.name == (step.schema, step.index)
            notes.append(
                Noted(
                    step.number, change, definition if about else None,
                    step.outcome == "done", bool(step.reverse),
                )
            )  # fmt: skip
    return notes, unread


def _restored(before: IndexDefinition, net: Net, nets: Sequence[Net], catalog: Catalog) -> Undo:
    """An index that has gone, or has another name: it gets back what it was."""
    if not any((t.schema, t.name) == (before.schema, before.table) for t in catalog.tables):
        return _left(_key(before), before.table, "its table is not there any more")
    step = one(before, catalog)
    there = step.existing
    if step.action is Action.PRESENT:
        return Undo(*_key(before), before.table, None, step.reason or "it is there", True)
    if step.action is Action.RENAME and there is not None:
        if net.after is None:
            return Undo(*_key(before), before.table, None, f"{there.name} does what it did", True)
        renamed = _twin(net.after, before, catalog)
        if renamed is None:
            return _left(_key(before), before.table, f"{net.after.name} is not there any more")
        step = replace(step, existing=renamed, reason=f"it is called {renamed.name}")
        return Undo(*_key(before), before.table, step)
    if step.action is Action.REPLACE and there is not None:
        ours = (other.after for other in nets if other.after is not None)
        if any(_key(o) == _key(before) and same_index(o, there.definition) for o in ours):
            return Undo(*_key(before), before.table, step)
        return _left(_key(before), before.table, "that name is another index's by now")
    if step.action in _BUILDS and (net.after is None or step.action is not Action.CREATE):
        return Undo(*_key(before), before.table, step)
    return _left(_key(before), before.table, step.reason or "it is not there any more")


def _twin(named: IndexDefinition, means: IndexDefinition, catalog: Catalog) -> Index | None:
    """The valid index of that name, if it means that; others may mean the same."""
    found = catalog.indexes_by_name.get(_key(named))
    same = found is not None and found.valid and same_index(found.definition, means)
    return found if same else None


def _adopted(steps: Iterable[IndexStep], nets: Iterable[Net]) -> set[Name]:
    """Indexes of partitions that were there before the run, and that it has attached."""
    made = {_key(net.after) for net in nets if net.after is not None and net.before is None}
    found = {attached(step.sql) for step in steps if step.outcome in ("done", "interrupted")}
    return {name for name in found if name is not None} - made


def _below(index: Index, catalog: Catalog) -> Iterator[Index]:
    """The parts of an index, at every level of partitions."""
    for part in catalog.index_parts.get(index.oid, ()):
        yield part
        yield from _below(part, catalog)


def _removed(
    after: IndexDefinition,
    catalog: Catalog,
    made_by: Mapping[Name, str],
    run: str,
    adopted: Collection[Name],
) -> Undo:
    """An index that has come: it goes, if it is still that one and nothing else needs it."""
    name, table = _key(after), after.table
    found = next((i for i in catalog.indexes if _key(i.definition) == name), None)
    if found is None:
        return Undo(*name, table, None, "it is not there any more", True)
    if not same_index(found.definition, after):
        return _left(name, table, "that name is another index's by now")
    if made_by.get(name, run) != run:
        return _left(name, table, f"the run {made_by[name]} has made it since")
    if found.builder_pid is not None:
        return _left(name, table, f"pid {found.builder_pid} builds it now")
    reason = required(found)
    if reason and found.parent is None:
        return _left(name, table, reason)
    before = [part.name for part in _below(found, catalog) if _key(part.definition) in adopted]
    if before:
        # PostgreSQL knows no way to take an index of a partition out again.
        return _left(name, table, f"{', '.join(before)} was there before, and would go with it")
    return Undo(*name, table, Step(Action.DROP, found.definition, found))


def _without_parts(found: Sequence[Undo], catalog: Catalog) -> Iterator[Undo]:
    """A partition's index goes with the partitioned table's, and never alone."""
    by_oid = {index.oid: index for index in catalog.indexes}
    going = {
        undo.step.existing.oid
        for undo in found
        if undo.step and undo.step.existing and undo.step.action in (Action.DROP, Action.REPLACE)
    }
    for undo in found:
        index = undo.step.existing if undo.step and _drops(undo) else None
        if index is None or index.parent is None:
            yield undo
        elif not going & set(_above(index, by_oid)):
            yield _left(undo.key, undo.table, required(index))


def _above(index: Index, by_oid: Mapping[int, Index]) -> Iterator[int]:
    """The oids of the indexes that it is a part of."""
    above: Index | None = index
    while above is not None and above.parent is not None:
        yield above.parent
        above = by_oid.get(above.parent)


def _drops(undo: Undo) -> bool:
    return undo.step is not None and undo.step.action is Action.DROP


def _key(definition: IndexDefinition) -> Name:
    return definition.schema, definition.name


def _left(name: Name, table: str, reason: str) -> Undo:
    return Undo(*name, table, None, reason)
