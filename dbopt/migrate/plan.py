"""What has to be done so that the declared indexes exist: a pure comparison by meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from dbopt.migrate.leftovers import drops
from dbopt.migrate.settling import Settling
from dbopt.migrate.steps import Action, Step, Wanted, needed, required, same_index
from dbopt.pg.catalog import Catalog, Index
from dbopt.sql.indexdef import IndexDefinition

__all__ = [
    "Action",
    "Step",
    "Wanted",
    "make_plan",
    "needed",
    "one",
    "plan",
    "required",
    "same_index",
    "step",
]


def make_plan(
    wanted: Sequence[Wanted],
    catalog: Catalog,
    *,
    managed: Collection[tuple[str, str]] = (),
    prune: bool = False,
    asked: Collection[str] = (),
) -> list[Step]:
    """What the declared indexes need: a step for each, in their order, then drops.

    Only where one index leaves a name that another gets, the one that leaves comes first. A drop
    should be done only when all other steps of its table are: what it drops may serve until then.
    `managed`, `prune` and `asked`: see `leftovers.drops`. Never raises.
    """
    settling = Settling(wanted, catalog, frozenset(managed), prune)
    steps = settling.steps()
    return steps + drops(
        steps, catalog, settling.claimed, managed=managed, prune=prune, asked=asked
    )


def one(
    definition: IndexDefinition,
    catalog: Catalog,
    where: str = "",
    *,
    others: Sequence[Wanted] = (),
    managed: Collection[tuple[str, str]] = (),
) -> Step:
    """What one declared index needs. `others` are declared too, and keep their own indexes.

    Without them an index that is declared under another name, and means the same, is renamed.
    """
    steps = Settling((*others, Wanted(definition, where)), catalog, frozenset(managed)).steps()
    return next(step for step in steps if step.definition is definition)


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
