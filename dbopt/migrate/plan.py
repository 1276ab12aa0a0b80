"""What has to be done so that the declared indexes exist: a pure comparison by meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition


class Action(StrEnum):
    """What has to be done with one index.

    create: it is not there. rebuild: it is there, invalid. rename: it is there under another name.
    replace: the name is that of another definition: build the new one, take its name, drop the old
    one. attach: a partitioned table's index that is not valid, since partitions lack theirs.
    drop: it is there and not declared. busy: a session builds it now. conflict: nothing that dbopt
    would do by itself, such as a name that a constraint's index has.
    """

    PRESENT = "present"
    CREATE = "create"
    REBUILD = "rebuild"
    RENAME = "rename"
    REPLACE = "replace"
    ATTACH = "attach"
    DROP = "drop"
    BUSY = "busy"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Step:
    """One index: what it needs, the index that is there, and why.

    `definition` is canonical; of a drop it is that of the index that goes. `where` is the place of
    the declaration, `indexes/users.sql:3`. `partitions`: of an index on a partitioned table what
    each partition needs, those without a partition of their own (the leaves) first; a partition's
    PRESENT is a valid index of the same meaning that is attached, ATTACH one that is not yet.
    """

    action: Action
    definition: IndexDefinition
    existing: Index | None = None
    reason: str = ""
    where: str = ""
    partitions: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON-ready types."""
        return {
            "name": self.definition.name,
            "table": self.definition.table,
            "action": self.action.value,
            "existing": self.existing.name if self.existing else None,
            "reason": self.reason,
        }


def plan(declared: Iterable[IndexDefinition], actual: Sequence[Index]) -> list[Step]:
    """A step for each declared index, in their order.

    The declared ones must be canonical (`pg.ddl.canonical`), so that expressions compare.
    """
    return [step(definition, actual) for definition in declared]


def step(definition: IndexDefinition, actual: Sequence[Index]) -> Step:
    """What one declared index needs, given the indexes that are there."""
    named = next((index for index in actual if _same_name(index.definition, definition)), None)
    if named is not None:
        return _by_name(definition, named)
    twin = next((index for index in actual if _serves(index, definition)), None)
    if twin is not None:
        return Step(Action.PRESENT, definition, twin, f"as {twin.name}")
    return Step(Action.CREATE, definition)


def _by_name(definition: IndexDefinition, named: Index) -> Step:
    if not same_index(named.definition, definition):
        return Step(Action.CONFLICT, definition, named, f"that name is taken: {named.sql}")
    if named.valid:
        return Step(Action.PRESENT, definition, named)
    if named.builder_pid is not None:
        return Step(Action.BUSY, definition, named, f"pid {named.builder_pid} builds it now")
    return Step(Action.REBUILD, definition, named, "it is invalid")


def _same_name(one: IndexDefinition, other: IndexDefinition) -> bool:
    return (one.schema, one.name) == (other.schema, other.name)


def _serves(index: Index, definition: IndexDefinition) -> bool:
    return index.valid and same_index(index.definition, definition)


def same_index(one: IndexDefinition, other: IndexDefinition) -> bool:
    """The same meaning on the same table of the same schema."""
    return one.schema == other.schema and one.same_as(other)
