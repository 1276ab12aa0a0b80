"""What has to be done so that the declared indexes exist: a pure comparison by meaning."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dbopt.migrate.leftovers import drops
from dbopt.migrate.settling import Settling
from dbopt.migrate.steps import Action, Step, Wanted, needed, required, same_index
from dbopt.pg.catalog import Catalog
from dbopt.sql.indexdef import IndexDefinition

__all__ = [
    "Action",
    "Step",
    "Wanted",
    "make_plan",
    "needed",
    "one",
    "required",
    "same_index",
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
