"""What is dropped: what killed runs left, and what is declared no more. PURE.

An index that a step uses is never dropped, nor one that something else in the database needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from dbopt.migrate.names import is_reindexed, new_name, old_name
from dbopt.migrate.steps import Action, Step, Wanted, needed, same_index
from dbopt.pg.catalog import Catalog, Index
from dbopt.sql.indexdef import IndexDefinition

Name = tuple[str, str]


def on_declared_tables(
    managed: Collection[Name], wanted: Iterable[Wanted], catalog: Catalog
) -> frozenset[Name]:
    """Those of tables that have a declaration: all that a project without a name may drop.

    What another table has may be another project's.
    """
    tables = {(one.definition.schema, one.definition.table) for one in wanted}
    found = ((name, catalog.indexes_by_name.get(name)) for name in managed)
    return frozenset(
        name
        for name, index in found
        if index and (index.definition.schema, index.definition.table) in tables
    )


def drops(
    steps: Sequence[Step],
    catalog: Catalog,
    claimed: Collection[int],
    *,
    managed: Collection[Name] = (),
    prune: bool = False,
    asked: Collection[str] = (),
) -> list[Step]:
    """A DROP for each index that goes, by schema, table and name.

    `claimed` are the oids that the steps use. `managed` are the indexes (schema, name) that dbopt
    looks after. `prune` asks for the others too, of tables that have declarations or that are in
    `asked` by their name, their schema and name, or that of the index.
    """
    reasons = _leftovers(steps, catalog)
    managed = frozenset(managed)
    tables = {(step.definition.schema, step.definition.table) for step in steps}
    names = {(step.definition.schema, step.definition.name) for step in steps}
    found = []
    for index in catalog.indexes:
        if index.oid in claimed or index.builder_pid is not None or needed(index, catalog):
            continue
        reason = reasons.get(index.oid, "")
        key = (index.definition.schema, index.name)
        if not reason and key in managed:
            reason = "it is not declared any more"
        on = (index.definition.schema, index.definition.table)
        unmanaged = prune and not index.protected and key not in names
        if not reason and unmanaged and (on in tables or _asked(index, asked)):
            reason = "it is not declared"
        if reason:
            found.append(Step(Action.DROP, index.definition, index, reason))
    return sorted(found, key=_place)


def _place(step: Step) -> tuple[str, str, str]:
    return (step.definition.schema, step.definition.table, step.definition.name)


def _asked(index: Index, asked: Collection[str]) -> bool:
    definition = index.definition
    names = (definition.table, f"{definition.schema}.{definition.table}", index.name, str(index))
    return any(name in asked for name in names)


def _leftovers(steps: Sequence[Step], catalog: Catalog) -> dict[int, str]:
    """Why, by oid, of what killed runs left of the declared indexes."""
    found: dict[int, str] = {}
    for step in steps:
        if step.action in {Action.CONFLICT, Action.BUSY}:
            continue
        definition = step.definition
        for name in (new_name(definition.name), old_name(definition.name)):
            index = catalog.indexes_by_name.get((definition.schema, name))
            if index is not None and index.definition.table == definition.table:
                found[index.oid] = f"a run that was killed left it of {definition.name}"
        for one in _bases(step):
            table = catalog.tables_by_name.get((one.schema, one.table))
            for index in catalog.indexes_by_table.get(table.oid, ()) if table else ():
                if not index.valid and is_copy(index.definition, one):
                    found[index.oid] = f"a failed REINDEX left it of {one.name}"
    return found


def _bases(step: Step) -> Iterator[IndexDefinition]:
    """The indexes of a step, under the names that they have or will have, and of its partitions."""
    yield step.definition
    if step.existing is not None:
        yield step.existing.definition
    for part in step.partitions:
        yield from _bases(part)


def is_copy(index: IndexDefinition, of: IndexDefinition) -> bool:
    """Whether a REINDEX CONCURRENTLY of that index that failed has left this one."""
    return is_reindexed(index.name, of.name) and same_index(index, of)
