"""Lane: at most so many clients of a pool run heavy statements at once. Pure.

So that the heavy cannot starve the light: who comes with a heavy statement and finds the lane full
waits, without a server connection, while others get theirs. First in, first out. A client that is
in a transaction already is let in whatever the limit: it has its connection, and locks perhaps.
"""

from __future__ import annotations

from typing import Generic, TypeVar

W = TypeVar("W")


class Lane(Generic[W]):
    """See the module. `limit` 0 is no limit; `waiting` is who waits, by since when."""

    __slots__ = ("inside", "limit", "wait_us", "waiting", "waits")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self.waits = 0
        self.wait_us = 0.0
        self.waiting: dict[W, float] = {}

    def enter(self, waiter: W, now: float) -> bool:
        """Whether it may go on; else it waits, and `leave` or `next` lets it in."""
        if self.limit and (self.inside >= self.limit or self.waiting):
            self.waiting[waiter] = now
            self.waits += 1
            return False
        self.inside += 1
        return True

    def join(self) -> None:
        """One that is in a transaction is let in."""
        self.inside += 1

    def leave(self) -> None:
        """One is done."""
        self.inside -= 1

    def next(self, now: float) -> W | None:
        """Who is let in now, and is inside from now on; None where nobody can be."""
        if not self.waiting or (self.limit and self.inside >= self.limit):
            return None
        waiter = next(iter(self.waiting))
        self.wait_us += (now - self.waiting.pop(waiter)) * 1e6
        self.inside += 1
        return waiter

    def forsake(self, waiter: W) -> bool:
        """One waits no longer. Whether it did."""
        return self.waiting.pop(waiter, None) is not None


def lane_limit(share: float, max_size: int) -> int:
    """How many of a pool's connections the heavy may have; 0 for no limit, else one at least."""
    return 0 if share >= 1.0 else max(1, int(share * max_size))
