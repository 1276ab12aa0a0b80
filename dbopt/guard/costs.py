"""What the planner says that a statement costs: asked seldom, a few at once, and remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError

log = structlog.get_logger("dbopt.guard")

Ask = Callable[[str, str, str], Awaitable[float]]
"""The cost of (database, user, text), in the planner's units. Raises DboptError."""
Key = tuple[int, str, str]
"""Fingerprint, database, user."""

CAPACITY = 5000
AGE = 600.0
"""Seconds after which a cost is asked for anew: tables grow."""
RETRY = 60.0
"""Seconds until a statement that the planner gave no cost for is asked about again."""
LIMIT = 5.0
"""Seconds that one EXPLAIN may take, its connection with it."""
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """`value` is None where there is none; `until` is when it is asked for anew."""

    value: float | None
    until: float


class Costs:
    """Costs by statement. `failures` counts the questions that the planner did not answer."""

    def __init__(self, ask: Ask, clock: Clock = monotonic) -> None:
        self.failures = 0
        self._ask = ask
        self._clock = clock
        self._known: OrderedDict[Key, Cost] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[Cost]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def now(self) -> float:
        """Of the clock that Cost.until is of."""
        return self._clock()

    def forget(self) -> None:
        """Forget all of them."""
        self._known.clear()

    def stale(self) -> list[int]:
        """The fingerprints whose cost is to be asked for anew; they are forgotten."""
        now = self._clock()
        old = [key for key, cost in self._known.items() if cost.until <= now]
        for key in old:
            del self._known[key]
        return [key[0] for key in old]

    async def cost(self, key: Key, text: str, timeout: float) -> Cost:
        """The cost if it is known within `timeout` seconds. Never raises.

        What comes later is remembered for the next time, which is to be soon.
        """
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            return known
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._find(key, text))
        done, _ = await asyncio.wait({task}, timeout=timeout)
        if done:
            return task.result()
        self.failures += 1
        return Cost(None, self._clock())

    async def _find(self, key: Key, text: str) -> Cost:
        try:
            async with self._slots, asyncio.timeout(LIMIT):
                value = await self._ask(key[1], key[2], text)
            cost = Cost(value, self._clock() + AGE)
        except (DboptError, TimeoutError) as error:
            cost = self._failed(error.message if isinstance(error, DboptError) else "timeout")
        except Exception as error:
            # The type alone: the words might hold a literal.
            cost = self._failed(type(error).__name__)
        finally:
            del self._asking[key]
        self._known[key] = cost
        self._known.move_to_end(key)
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return cost

    def _failed(self, why: str) -> Cost:
        self.failures += 1
        log.debug("the guard knows no cost", error=why)
        return Cost(None, self._clock() + RETRY)
