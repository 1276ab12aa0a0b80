"""Slow statements on their way to the store: held until their plans and waits may be there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from dbopt.clock import Clock, monotonic
from dbopt.store.slow import SlowEntry
from dbopt.trace.plans import CapturedPlan
from dbopt.trace.slow import SlowEvent

GRACE = 3.0
"""Seconds that a slow statement waits for its plan and its waits before it is stored without."""


class SlowHold:
    """The newest `most` slow statements that are not due yet.

    `subscribe` its `take` to a SlowLog; `plan_of` gives the latest plan by fingerprint and
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
        """Hold these until they are due."""
        now = self._clock()
        self._held.extend((now, event) for event in events)

    def due(self, server: str = "", grace: float = GRACE) -> tuple[SlowEntry, ...]:
        """Those that were taken `grace` seconds ago, with what is known of them, of `server`."""
        until = self._clock() - grace
        taken: list[SlowEntry] = []
        while self._held and self._held[0][0] <= until:
            taken.append(self._entry(self._held.popleft()[1], server))
        return tuple(taken)

    def _entry(self, event: SlowEvent, server: str) -> SlowEntry:
        slow = event.statement
        plan = self._plan_of(slow.fingerprint, slow.database)
        return SlowEntry(
            statement=slow,
            plan=plan.json if plan and plan.json else None,
            shape=plan.shape if plan else "",
            waits=dict(event.waits),
            server=server,
        )
