"""What each step locks, in words: who waits behind it, and for how long at most.

Source: PostgreSQL's documentation, "Explicit Locking", CREATE INDEX and ALTER INDEX.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from dbopt.migrate.steps import Action, Step

_QUIET = "no reader or writer waits"
_NOBODY = f"SHARE UPDATE EXCLUSIVE on {{}}: {_QUIET}"
_PARENT = "SHARE on {} for an instant: writers wait, migrate.lock_timeout at most"
_ATTACH = (
    "ACCESS EXCLUSIVE on each partition's index for an instant: queries of the partition wait, "
    "migrate.lock_timeout at most"
)
_DROP = (
    "ACCESS EXCLUSIVE on {} and its partitions for an instant: all wait, migrate.lock_timeout at "
    "most"
)
_BUILDS = frozenset((Action.CREATE, Action.REBUILD))


def locks(step: Step, partitioned: Set[str] = frozenset()) -> tuple[str, ...]:
    """The locks of a step; `partitioned` are the partitioned tables it touches, as schema.table."""
    table = _table(step)
    if step.action in (Action.PRESENT, Action.CONFLICT, Action.BUSY):
        return ()
    if step.action is Action.RENAME:
        return (_NOBODY.format("the index"),)
    if step.action is Action.DROP:
        return ((_DROP if table in partitioned else _NOBODY).format(table),)
    if table in partitioned:
        replaced = (_DROP.format(table),) if step.action is Action.REPLACE else ()
        return (*_of_partitions(step, partitioned), *replaced)
    return (_NOBODY.format(table),)


def is_quiet(words: str) -> bool:
    """Whether nobody waits behind the lock that `locks` has put into these words."""
    return words.endswith(_QUIET)


def _of_partitions(step: Step, partitioned: Set[str]) -> Iterator[str]:
    parts = list(_tree(step.partitions))
    new = [_table(part) for part in (step, *parts) if part.action in _BUILDS]
    parents = [name for name in new if name in partitioned]
    leaves = [name for name in new if name not in partitioned]
    if step.action is Action.REPLACE:
        parents.insert(0, _table(step))
    if parents:
        yield _PARENT.format(_named(parents, "partitioned tables"))
    if leaves:
        yield _NOBODY.format(_named(leaves, "partitions"))
    if any(part.action is not Action.PRESENT for part in parts):
        yield _ATTACH


def _tree(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _tree(step.partitions)


def _named(names: Sequence[str], noun: str) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {noun}"


def _table(step: Step) -> str:
    return f"{step.definition.schema}.{step.definition.table}"
