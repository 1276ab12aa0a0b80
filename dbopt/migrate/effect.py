"""What a run comes to, by its record: which indexes have come, gone, or changed names. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dbopt.errors import DeclarationError
from dbopt.migrate.changes import (
    Created,
    Dropped,
    Name,
    Net,
    Noted,
    Read,
    Renamed,
    attached,
    net_effect,
    read_changes,
    read_definition,
)
from dbopt.pg.catalog import Catalog
from dbopt.store.indexruns import IndexStep

Unread = tuple[Name, str, str]
"""An index, its table, and why what the record says of it cannot be used."""

_DONE = frozenset({"done", "interrupted", "began"})
"""Outcomes of steps that have been done, or may have been: the run of one that "began" was killed,
for whoever takes it back has its lock."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a run comes to, index by index.

    `made` are those that it has made, `adopted` those of partitions that were there before, and
    that it has attached.
    """

    nets: tuple[Net, ...]
    made: frozenset[Name]
    adopted: frozenset[Name]
    unread: tuple[Unread, ...]


def effect_of(steps: Sequence[IndexStep], catalog: Catalog) -> Effect:
    """The effect of a run's steps. Of a killed run the catalog tells what nobody has noted: so it
    is asked once, before anything is taken back."""
    notes, unread = _notes(steps, catalog)
    nets = net_effect(notes)
    for net in nets:
        # The journal had it from a drop that a killed run did not come to.
        if net.name in catalog.indexes_by_name:
            net.known(catalog.indexes_by_name[net.name].definition)
    unread += [
        (net.lost, "", "its definition cannot be read in the store") for net in nets if net.lost
    ]
    afters = (net.after for net in nets if net.before is None and not net.lost)
    made = frozenset((one.schema, one.name) for one in afters if one is not None)
    return Effect(tuple(nets), made, _attached(steps) - made, tuple(unread))


def _notes(steps: Sequence[IndexStep], catalog: Catalog) -> tuple[list[Noted], list[Unread]]:
    notes: list[Noted] = []
    unread: list[Unread] = []
    for step in steps:
        if step.outcome not in _DONE and not step.reverse:
            continue
        if step.outcome != "done" and _is_done_later(step, steps):
            continue
        try:
            changes = read_changes(step.sql)
            if step.outcome not in _DONE and not _is_half_dropped(changes, catalog):
                continue
            definition = read_definition(step.definition) if changes else None
        except DeclarationError as error:
            if step.outcome in _DONE:
                unread.append(((step.schema, step.index), step.table, error.message))
            continue
        if step.outcome != "done" and not _may_be_done(changes, catalog):
            continue
        for change in changes:
            about = isinstance(change, Created) or change.name == (step.schema, step.index)
            notes.append(
                Noted(
                    step.number, change, definition if about else None,
                    bool(step.reverse),
                )
            )  # fmt: skip
    return notes, unread


def _is_done_later(step: IndexStep, steps: Iterable[IndexStep]) -> bool:
    """Whether the same statement was run again, and was done then."""
    return any(
        one.number > step.number and one.outcome == "done" and one.sql == step.sql for one in steps
    )


def _is_half_dropped(changes: Sequence[Read], catalog: Catalog) -> bool:
    """Whether DROP INDEX CONCURRENTLY has ended in its middle: the index is there, and invalid."""
    names = [change.name for change in changes if isinstance(change, Dropped)]
    found = (catalog.indexes_by_name.get(name) for name in names)
    return any(index is not None and not index.valid for index in found)


def _may_be_done(changes: Sequence[Read], catalog: Catalog) -> bool:
    """Whether renames may have been done, of which no end is known: no old name is left."""
    renames = [change for change in changes if isinstance(change, Renamed)]
    left = {one.name for one in renames} - {one.to for one in renames}
    return left.isdisjoint(catalog.indexes_by_name)


def _attached(steps: Iterable[IndexStep]) -> frozenset[Name]:
    """The indexes of partitions that were attached."""
    found = {attached(step.sql) for step in steps if step.outcome in _DONE}
    return frozenset(name for name in found if name is not None)
