"""What each step locks, in words: who waits behind it, and for how long at most.

Source: PostgreSQL's documentation, "Explicit Locking", CREATE INDEX and ALTER INDEX.
"""

from __future__ import annotations

from collections.abc import Set

from dbopt.migrate.steps import Action, Step

_NOBODY = "SHARE UPDATE EXCLUSIVE on {}: nobody who reads or writes waits"
_RENAME = "SHARE UPDATE EXCLUSIVE on the index for an instant: nobody who reads or writes waits"
_PARENT = "SHARE on {} for an instant: writers wait as long as it is waited for"
_ATTACH = (
    "ACCESS EXCLUSIVE on each partition's index for an instant: who plans a query of it waits "
    "as long as it is waited for"
)


def locks(step: Step, partitioned: Set[str] = frozenset()) -> tuple[str, ...]:
    """The locks of a step; `partitioned` are the partitioned tables it touches, as schema.table."""
    table = f"{step.definition.schema}.{step.definition.table}"
    if step.partitions:
        return _of_partitions(step, table, partitioned)
    if step.action is Action.RENAME:
        return (_RENAME,)
    if step.action is Action.ATTACH:
        return (_ATTACH,)
    if step.action in (Action.PRESENT, Action.CONFLICT):
        return ()
    if step.action is Action.REPLACE:
        return (_NOBODY.format(table), _RENAME)
    return (_NOBODY.format(table),)


def _of_partitions(step: Step, table: str, partitioned: Set[str]) -> tuple[str, ...]:
    words = []
    parents = [
        f"{part.definition.schema}.{part.definition.table}"
        for part in (step, *step.partitions)
        if part.action is Action.CREATE
    ]
    words += [_PARENT.format(name) for name in parents if name in partitioned or name == table]
    leaves = [name for name in parents if name not in partitioned and name != table]
    if leaves:
        words.append(_NOBODY.format(leaves[0] if len(leaves) == 1 else f"{len(leaves)} partitions"))
    if any(part.action is not Action.PRESENT for part in step.partitions):
        words.append(_ATTACH)
    return tuple(words)
