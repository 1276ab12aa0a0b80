"""What the partitions of a table need, so that its index can be valid. PURE.

A leaf's index is made or found, then attached, bottom up; PostgreSQL makes the parent's index valid
with the last one. An index can be attached once only, so a partition that has one of the same
meaning which belongs elsewhere gets another.

Source: PostgreSQL's documentation, "Table Partitioning", 5.12.2.2, and ALTER INDEX; which index
fits: ATExecAttachPartitionIdx and CompareIndexInfo.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dbopt.migrate.names import leaf_name
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.sql.indexdef import IndexDefinition

MAX_TURNS = 10
"""Names that are tried for a partition's index before it is a conflict."""


def parts(
    definition: IndexDefinition,
    parent: Index | None,
    table: Table,
    catalog: Catalog,
    going: Collection[int] = (),
) -> tuple[Step, ...]:
    """A step for each partition of `table`, leaves first; `parent` is the table's own index.

    `definition` is the declared one, of the topmost table. `going` are the oids of indexes that
    other steps will drop.
    """
    children = sorted(
        catalog.partitions.get(table.oid, ()), key=lambda t: (t.partitioned, t.schema, t.name)
    )
    return tuple(_part(definition, parent, child, catalog, going) for child in children)


def foreign(table: Table, catalog: Catalog) -> Table | None:
    """The first table of its tree that has partitions which are foreign tables, or an extension's.

    An index that is made ON ONLY it is never valid: PostgreSQL counts those partitions, and they
    can, or shall, have none (validatePartitionedIndex).
    """
    if table.foreign_partitions:
        return table
    below = (foreign(child, catalog) for child in catalog.partitions.get(table.oid, ()))
    return next((found for found in below if found), None)


def _part(
    definition: IndexDefinition,
    parent: Index | None,
    child: Table,
    catalog: Catalog,
    going: Collection[int],
) -> Step:
    here = replace(definition, schema=child.schema, table=child.name)
    own_one = _attached(parent, child, catalog)
    found = own_one or _free(definition, here, child, catalog, going)
    if found is None:
        return _missing(definition, here, child, catalog, going)
    own = replace(here, name=found.name)
    below = parts(definition, found, child, catalog, going) if child.partitioned else ()
    attached = own_one is not None
    if child.partitioned:
        whole = found.valid and all(part.action is Action.PRESENT for part in below)
        action = Action.PRESENT if attached and whole else Action.ATTACH
        return Step(action, own, found, partitions=below)
    return _leaf(own, found, attached)


def _leaf(own: IndexDefinition, found: Index, attached: bool) -> Step:
    if found.builder_pid is not None:
        return Step(Action.BUSY, own, found, f"pid {found.builder_pid} builds it now")
    if not found.valid:
        return Step(Action.REBUILD, own, found, "it is invalid")
    return Step(Action.PRESENT if attached else Action.ATTACH, own, found)


def _attached(parent: Index | None, child: Table, catalog: Catalog) -> Index | None:
    indexes = catalog.indexes_by_table.get(child.oid, ())
    return next((i for i in indexes if parent is not None and i.parent == parent.oid), None)


def _free(
    definition: IndexDefinition,
    here: IndexDefinition,
    child: Table,
    catalog: Catalog,
    going: Collection[int],
) -> Index | None:
    """The best index of the partition that can be attached."""
    indexes = catalog.indexes_by_table.get(child.oid, ())
    names = {leaf_name(definition, child.name, turn) for turn in range(MAX_TURNS)}
    free = [i for i in indexes if i.oid not in going and _can_be_attached(i, here, names)]
    # A valid one first, then one that is being built, then the name that a killed run gave.
    return min(
        free,
        key=lambda i: (not i.valid, i.builder_pid is None, i.name not in names, i.name),
        default=None,
    )


def _can_be_attached(index: Index, here: IndexDefinition, names: set[str]) -> bool:
    fits = (
        index.parent is None
        and index.constraint != "x"
        and not index.deferrable
        and here.says(index.definition)  # ATTACH compares the order of conditions and INCLUDE too
    )
    # Somebody's invalid leftover is not ours to drop, and cannot be repaired for sure.
    ours = index.valid or index.partitioned or index.builder_pid is not None or index.name in names
    return fits and ours


def _missing(
    definition: IndexDefinition,
    here: IndexDefinition,
    child: Table,
    catalog: Catalog,
    going: Collection[int],
) -> Step:
    names = (leaf_name(definition, child.name, turn) for turn in range(MAX_TURNS))
    name = next((name for name in names if _is_free((child.schema, name), catalog)), "")
    if not name:
        return Step(Action.CONFLICT, here, None, f"every name for it on {child} is taken")
    below = parts(definition, None, child, catalog, going) if child.partitioned else ()
    return Step(Action.CREATE, replace(here, name=name), partitions=below)


def _is_free(name: tuple[str, str], catalog: Catalog) -> bool:
    return name not in catalog.indexes_by_name and name not in catalog.kinds
