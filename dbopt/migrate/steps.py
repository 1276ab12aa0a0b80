"""What may have to be done with an index. `plan.py` says when; the operations do it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from dbopt.pg.catalog import Catalog, Index
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
class Wanted:
    """A declared index in canonical form (`pg.canonical`), and where it is declared."""

    definition: IndexDefinition
    where: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One index: what it needs, the index that is there, and why.

    `definition` is canonical; of a drop it is that of the index that goes. `where` is the place of
    the declaration, `indexes/users.sql:3`. `existing`: of a rename the index that gets the name, of
    a replace the one that has it and goes.

    `ready`, of a replace: a valid index of the declared meaning under another name, which is
    given the name instead of building one. `holder`, of a rename or a create: the index that has
    the name until now and is declared under another name (two that change names): it steps aside
    to `old_name` in the same transaction, and a later step, which knows it by its oid, gives
    it its own.

    `partitions`: of an index on a partitioned table what each partition needs, those without a
    partition of their own (the leaves) first; a partition's PRESENT is a valid index of the same
    meaning that is attached, ATTACH one that is not yet (of a partition with partitions of its own
    also one that is, and not valid), REBUILD an invalid one: it is attached where
    `existing.parent` says so.
    """

    action: Action
    definition: IndexDefinition
    existing: Index | None = None
    reason: str = ""
    where: str = ""
    partitions: tuple[Step, ...] = ()
    ready: Index | None = None
    holder: Index | None = None

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON-ready types."""
        return {
            "name": self.definition.name,
            "schema": self.definition.schema,
            "table": self.definition.table,
            "action": self.action.value,
            "existing": self.existing.name if self.existing else None,
            "reason": self.reason,
            "where": self.where,
            "partitions": [part.to_dict() for part in self.partitions],
        }


def same_index(one: IndexDefinition, other: IndexDefinition) -> bool:
    """The same meaning on the same table of the same schema. Both are as the server writes them:
    so no word differs, but for the order of what is joined by AND, OR, IN and INCLUDE.
    """
    if one == other:
        return True  # as it is mostly: of tens of thousands no word is read
    same = one.schema == other.schema and one.same_as(other)
    return same and set(one.words()) == set(other.words())


def required(index: Index) -> str:
    """Why an index can neither go nor be replaced, in words; "" where it can."""
    if index.deferrable:
        return "it is a deferrable constraint's, which is checked late and serves no ON CONFLICT"
    if index.constraint:
        return "it is a constraint's"
    if index.fk_target:
        return "a foreign key points at it"
    if index.replica_identity:
        return "it is the table's replica identity"
    if index.extension:
        return "it is an extension's"
    return "it is a part of a partitioned table's index" if index.parent is not None else ""


def needed(index: Index, catalog: Catalog) -> str:
    """As `required`, also because of the partitions' indexes that would go with it."""
    if why := required(index):
        return why
    for part in catalog.index_parts.get(index.oid, ()):
        why = needed(replace(part, parent=None), catalog)
        if why:
            return why if why.startswith("of ") else f"of its part {part.name}: {why}"
    return ""


def serves(index: Index, definition: IndexDefinition) -> bool:
    """Whether a valid index does all that the declared one would.

    A deferrable constraint's does not: it is checked later, and no ON CONFLICT can use it.
    """
    return index.valid and not index.deferrable and same_index(index.definition, definition)
