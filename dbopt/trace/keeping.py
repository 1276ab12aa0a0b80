"""Slow statements on their way to the store: held until their plans may be there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError
from dbopt.pg.pool import Pool
from dbopt.pg.refusal import translated
from dbopt.store import slow as slow_store
from dbopt.store.slow import SlowEntry
from dbopt.trace.plans import CapturedPlan
from dbopt.trace.slow import SlowEvent

PLAN_GRACE = 3.0
"""Seconds that a slow statement waits for its plan before it is stored without."""


class SlowKeeper:
    """The newest `most` slow statements that are not stored yet.

    `subscribe` its `take` to a SlowLog; `plan_of` gives the latest plan by fingerprint.
    """

    def __init__(
        self,
        pool: Pool,
        plan_of: Callable[[int], CapturedPlan | None],
        most: int,
        clock: Clock = monotonic,
    ) -> None:
        self._pool = pool
        self._plan_of = plan_of
        self._clock = clock
        self._unstored: deque[tuple[float, SlowEvent]] = deque(maxlen=most)

    def take(self, events: Sequence[SlowEvent]) -> None:
        """Hold these until they are stored."""
        now = self._clock()
        self._unstored.extend((now, event) for event in events)

    async def store(self, grace: float = PLAN_GRACE) -> int:
        """Store those that were taken `grace` seconds ago, each with its plan; gives how many.

        What cannot be stored is kept for the next time, the newest at least. Raises StoreMissing
        without the schema, ConnectError, ServerLost or QueryFailed.
        """
        until = self._clock() - grace
        taken: list[tuple[float, SlowEvent]] = []
        while self._unstored and self._unstored[0][0] <= until:
            taken.append(self._unstored.popleft())
        if not taken:
            return 0
        try:
            with translated("Storing slow statements", store=True):
                async with self._pool.connection() as connection:
                    entries = [self._with_plan(e) for _, e in taken]
                    await slow_store.append(connection, entries)
        except DboptError:
            self._unstored = deque([*taken, *self._unstored], self._unstored.maxlen)
            raise
        return len(taken)

    def _with_plan(self, event: SlowEvent) -> SlowEntry:
        plan = self._plan_of(event.statement.fingerprint)
        return SlowEntry(event.statement, plan.json if plan else None)
