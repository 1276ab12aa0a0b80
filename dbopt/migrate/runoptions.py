"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbopt.errors import DboptError
from dbopt.migrate import selection
from dbopt.migrate.declared import Declared
from dbopt.migrate.steps import Action, Step

ALL = selection.CHANGING
"""Every action."""
ADDING = selection.ADDING
"""The actions that take no index away: what a deploy's migration does by itself."""

Stepping = Callable[[int, int, Step], None]
"""Is told of each step that begins: its number from 1, how many there are, the step."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run does.

    `only` names indexes or tables; none: all. `deadline` and `wait` (for another run's lock) are
    seconds and stand in for migrate.deadline and migrate.lock_wait. `found` stands in for the
    declared indexes of the configured directory. `shown` has (schema, name) of the steps that may
    take an index away, since somebody has seen and agreed to them; None: all may. `record` is
    whether the run is kept in the store, `prepare` what makes the store's schema, if need be, or
    returns why it cannot: it is called once the server has turned out fit, before the lock is
    taken. `of_run` is the run that this one takes back. `verify`: ask the planner what it makes of
    the new indexes.
    """

    only: tuple[str, ...] = ()
    prune: bool = False
    deadline: float | None = None
    actions: frozenset[Action] = ALL
    wait: float | None = None
    found: Sequence[Declared] | None = None
    shown: frozenset[selection.Name] | None = None
    record: bool = True
    prepare: Callable[[], DboptError | None] | None = None
    command: str = "dbopt index apply"
    of_run: str = ""
    verify: bool = True
