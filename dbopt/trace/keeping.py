"""Slow statements on their way to the store: held until their plans and waits may be there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from dbopt.clock import Clock, monotonic
from dbopt.observation import SlowStatement
from dbopt.store.slow import SlowEntry
from dbopt.trace.planbook import CapturedPlan
from dbopt.trace.slow import SlowEvent

ERRORS_A_MINUTE = 30
"""Fast errors handed on at most: a storm of them shall not fill the store."""
GRACE = 3.0
"""Seconds that a slow statement waits for its plan and its waits before it is stored without."""


class SlowKeeper:
    """The newest `most` slow statements that were not handed on yet.

    `subscribe` its `take` to a SlowLog; `plan_of` gives the latest plan of a fingerprint in a
    database, `is_slow` tells those that are kept for their error alone: 30 of them a minute.
    """

    def __init__(
        self,
        plan_of: Callable[[int, str], CapturedPlan | None],
        most: int,
        clock: Clock = monotonic,
        is_slow: Callable[[SlowStatement], bool] = lambda _: True,
    ) -> None:
        self._plan_of = plan_of
        self._clock = clock
        self._held: deque[tuple[float, SlowEvent]] = deque(maxlen=most)
        self._is_slow = is_slow
        self._minute = 0.0
        self._errors = 0

    def take(self, events: Sequence[SlowEvent]) -> None:
        """Hold these for a while."""
        now = self._clock()
        if now - self._minute >= 60.0:
            self._minute, self._errors = now, 0
        for event in events:
            if not self._is_slow(event.statement):
                self._errors += 1
                if self._errors > ERRORS_A_MINUTE:
                    continue
            self._held.append((now, event))

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
