"""What takes a run back, given its steps and what is there now. PURE.

The steps come to a net effect, index by index; each is taken back by a step of a plan, made anew
from the catalog. What has changed since the run is left alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any

from dbopt.migrate.changes import Name, Net
from dbopt.migrate.effect import Effect
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.plan import Action, Step, Wanted, make_plan, one, required, same_index
from dbopt.migrate.selection import name_of
from dbopt.pg.catalog import Catalog, Index
from dbopt.pg.ddl import drop_text
from dbopt.sql.indexdef import IndexDefinition, quote_name

_NAMED = 3
"""Names in one reason."""

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
    effect: Effect, catalog: Catalog, made_by: Mapping[Name, str] | None = None, run: str = ""
) -> list[Undo]:
    """What takes the effect of `run` back, builds and names first, then drops, the last one first.

    `made_by` says which run made each managed index: one of a later run's is left alone.
    """
    later = {name: maker for name, maker in (made_by or {}).items() if maker != run}
    there = [net for net in effect.nets if net.lost is None]
    planned = _planned(there, catalog)
    restored = [_restored(step, net, there, catalog, later) for step, net in planned if net]
    gone = {undo.key for undo in restored} | {net.lost for net in effect.nets}
    removed = [
        _removed(net.after, catalog, later, effect)
        for net in there
        if net.before is None and net.after is not None and _key(net.after) not in gone
    ]
    going = {undo.key for undo in removed}
    left = [_doing(step) for step, net in planned if net is None and name_of(step) not in going]
    return [*_without_parts([*restored, *removed, *left], catalog), *starmap(_left, effect.unread)]


def _planned(nets: Sequence[Net], catalog: Catalog) -> list[tuple[Step, Net | None]]:
    """What the indexes need that have gone, or have another name; then what a killed rollback left.

    They are planned together: of two that have changed names, each is in the way of the other.
    """
    went = {_key(net.before): net for net in nets if net.before is not None}
    wanted = [Wanted(net.before) for net in went.values() if net.before is not None]
    steps = make_plan(wanted, catalog)
    return [(s, None if s.action is Action.DROP else went[name_of(s)]) for s in steps]


def _restored(
    step: Step, net: Net, nets: Sequence[Net], catalog: Catalog, later: Mapping[Name, str]
) -> Undo:
    """An index gets back what it was, if what that changes is what the run has left."""
    before, there = step.definition, step.existing
    if (before.schema, before.table) not in catalog.tables_by_name:
        return _left(_key(before), before.table, "its table is not there any more")
    replaced = _is_held(before, nets, catalog)
    if step.action is Action.REPLACE and not replaced:
        return _left(_key(before), before.table, "that name is another index's by now")
    if replaced and _key(before) in later:
        return _left(_key(before), before.table, _made_since(before, catalog, later))
    twin = there if step.action is Action.PRESENT else step.ready
    if replaced and net.after is None and twin and twin.name != new_name(before.name):
        # It did the same beside the old one, which comes back: the plan is made without it.
        without = replace(catalog, indexes=tuple(i for i in catalog.indexes if i != twin))
        return _restored(one(before, without), net, nets, without, later)
    if step.action is Action.PRESENT:
        same = there is not None and there.name == before.name
        if there and not same and _is(there, net.after) and (why := required(there)):
            return _left(_key(before), before.table, f"{there.name} keeps its name: {why}")
        return _settled(before, "it is there" if same else f"{_name(there)} does what it did")
    source = there if step.action is Action.RENAME else step.ready
    if source is not None and source.name != new_name(before.name):
        if net.after is None:
            return _settled(before, f"{source.name} does what it did")
        renamed = _twin(net.after, before, catalog)
        if renamed is None or _key(renamed.definition) in later:
            gone = f"{net.after.name} is not there any more"
            return _left(_key(before), before.table, _made_since(net.after, catalog, later) or gone)
        step = _from(step, renamed)
    if step.action in (Action.RENAME, Action.REPLACE):
        return _doing(step)
    if step.action in _BUILDS and (net.after is None or step.action is not Action.CREATE):
        return _doing(step)
    return _left(_key(before), before.table, step.reason or "it is not there any more")


def _is_held(before: IndexDefinition, nets: Sequence[Net], catalog: Catalog) -> bool:
    """Whether its name is another index's, which the run has left there."""
    held = catalog.indexes_by_name.get(_key(before))
    if held is None or same_index(held.definition, before):
        return False
    left = (net.after for net in nets if net.after is not None)
    return any(_key(o) == _key(before) and same_index(o, held.definition) for o in left)


def _is(index: Index, named: IndexDefinition | None) -> bool:
    return named is not None and _key(index.definition) == _key(named)


def _from(step: Step, source: Index) -> Step:
    """The step with another index of the same meaning as the one that gets the name."""
    if step.action is Action.RENAME:
        return replace(step, existing=source, reason=f"it is called {source.name}")
    return replace(step, ready=source)


def _twin(named: IndexDefinition, means: IndexDefinition, catalog: Catalog) -> Index | None:
    """The valid index of that name, or that has stepped aside from it, if it means that; others
    may mean the same."""
    for name in (named.name, old_name(named.name)):
        found = catalog.indexes_by_name.get((named.schema, name))
        if found is not None and found.valid and same_index(found.definition, means):
            return found
    return None


def _made_since(what: IndexDefinition, catalog: Catalog, later: Mapping[Name, str]) -> str:
    """Which later run has made an index of that name, or has it under another; "" where none."""
    if maker := later.get(_key(what)):
        return f"the run {maker} has made it since: take that one back first"
    for index in catalog.indexes:
        maker = later.get(_key(index.definition))
        if maker and same_index(index.definition, what):
            return f"the run {maker} has it as {index.name} by now: take that one back first"
    return ""


def _below(index: Index, catalog: Catalog) -> Iterator[Index]:
    """The parts of an index, at every level of partitions."""
    for part in catalog.index_parts.get(index.oid, ()):
        yield part
        yield from _below(part, catalog)


def _removed(
    after: IndexDefinition,
    catalog: Catalog,
    later: Mapping[Name, str],
    effect: Effect,
) -> Undo:
    """An index that has come: it goes, if it is still that one and nothing else needs it."""
    name, table = _key(after), after.table
    found = catalog.indexes_by_name.get(name)
    if (found is None or name in later) and (why := _made_since(after, catalog, later)):
        return _left(name, table, why)
    if found is None:
        return _settled(after, "it is not there any more")
    on = found.definition.table
    if on != table and same_index(replace(found.definition, table=table), after):
        return _left(name, table, f"it is on {on} by now")
    if not same_index(found.definition, after):
        return _left(name, table, "that name is another index's by now")
    if found.builder_pid is not None:
        return _left(name, table, f"pid {found.builder_pid} builds it now")
    reason = required(found)
    if reason and found.parent is None:
        return _left(name, table, reason)
    below = list(_below(found, catalog))
    before = [part.name for part in below if _key(part.definition) in effect.adopted]
    if before:
        # PostgreSQL knows no way to take an index of a partition out again.
        return _left(name, table, f"{', '.join(before)} was there before, and would go with it")
    since = [part.name for part in below if _key(part.definition) not in effect.made]
    return _doing(Step(Action.DROP, found.definition, found, _with_it(since)))


def _with_it(names: Sequence[str]) -> str:
    """What a drop takes that the run has not made."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    few = ", ".join(names[:_NAMED])
    return f"it takes {few}{more} with it, which came with a partition since"


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


def _name(index: Index | None) -> str:
    return "another one" if index is None else index.name


def _doing(step: Step) -> Undo:
    return Undo(*_key(step.definition), step.definition.table, step, step.reason)


def _settled(definition: IndexDefinition, reason: str) -> Undo:
    return Undo(*_key(definition), definition.table, None, reason, settled=True)


def _left(name: Name, table: str, reason: str) -> Undo:
    return Undo(*name, table, None, reason)
