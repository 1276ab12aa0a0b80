"""Slow statements on their way to the store: held until their plans and waits may be there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from dbopt.clock import Clock, monotonic
from dbopt.store.slow import SlowEntry
from dbopt.trace.planbook import CapturedPlan
from dbopt.trace.slow import SlowEvent

GRACE = 3.0
"""Seconds that a slow statement waits for its plan and its waits before it is stored without."""


class SlowKeeper:
    """The newest `most` slow statements that were not handed on yet.

    `subscribe` its `take` to a SlowLog; `plan_of` gives the latest plan of a fingerprint in a
    database.
    """

    def __init__(
        self,
        plan_of: Callable[[int, str], CapturedPlan | None],
        most: int,
        clock: Clock = monotonic,
    ) -> None:
        self._plan_of = plan_of
        self._clock = clock
        self._held: deque[tuple[float, SlowEvent]] = deque(maxlen=most)

    def take(self, events: Sequence[SlowEvent]) -> None:
        """Hold these for a while."""
        now = self._clock()
        self._held.extend((now, event) for event in events)

    def ripe(self, server: str, grace: float = GRACE) -> tuple[SlowEntry, ...]:
        """Those that were taken `grace` seconds ago, each with its plan and its waits.

        `server` is the address of the server that ran them.
        """
        until = self._clock() - grace
        found: list[SlowEntry] = []
        while self._held and self._held[0][0] <= until:
            found.append(self._entry(self._held.popleft()[1], server))
        return tuple(found)

    def _entry(self, event: SlowEvent, server: str) -> SlowEntry:
        statement = event.statement
        plan = self._plan_of(statement.fingerprint, statement.database)
        return SlowEntry(
            statement=statement,
            plan=plan.json if plan and plan.json else None,
            shape=plan.shape if plan else "",
            waits=dict(event.waits),
            server=server,
        )
