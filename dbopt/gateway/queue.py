"""FairQueue: who of those that wait is served next.

Pure. In order within an application; among applications by start-time fair queueing on the time
for which they use backends: each has a virtual time, which grows by seconds used / weight, and
the lowest goes next. So neither many clients nor long transactions starve another application.
Source: Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996.

Time is charged only while somebody waits. What a lease will cost is paid when it begins, as far
as it can be told from earlier ones, and settled when it ends; else an application of long
transactions would take all backends before its first is charged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

W = TypeVar("W")

MOST: Final = 100
"""Applications told apart: a client names its own. The others that have no weight of their own
are one."""
_OTHERS: Final = "\0others"
_REMEMBERED: Final = 10.0
"""Seconds."""
_RECENT: Final = 0.2
"""The part that the newest lease has in what the next is expected to take."""


class _Line(Generic[W]):
    """One application: who waits, by since when; its virtual time; a lease's usual seconds."""

    __slots__ = ("name", "seen", "usual", "virtual", "waiters")

    def __init__(self, name: str, virtual: float) -> None:
        self.name = name
        self.virtual = virtual
        self.usual = self.seen = 0.0
        self.waiters: OrderedDict[W, float] = OrderedDict()

    @property
    def first(self) -> float:
        """Since when the first of it waits."""
        return next(iter(self.waiters.values()))


class Ticket:
    """What one lease is charged with: `since` is where its time is not charged yet."""

    __slots__ = ("line", "paid", "since", "used")

    def __init__(self, line: _Line[Any], since: float, paid: float) -> None:
        self.line = line
        self.since = since
        self.paid = paid
        self.used = 0.0


class FairQueue(Generic[W]):
    """See the module. `waiting` is all who wait, in order, by since when.

    That one is a dict, and the same for good, so that whether anyone waits costs its reader
    no call. `weights` is by application; who is not in it has 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = weights
        self.waiting: dict[W, float] = {}
        self._lines: dict[str, _Line[W]] = {}
        self._busy: dict[str, _Line[W]] = {}
        self._virtual = 0.0
        self._since = 0.0

    def push(self, waiter: W, application: str, now: float) -> None:
        """One more waits."""
        waiting = self.waiting
        if not waiting:
            self._since = now
        line = self._lines.get(application) or self._line(application)
        waiters = line.waiters
        if not waiters:
            self._busy[line.name] = line
            if line.virtual < self._virtual:
                line.virtual = self._virtual  # time without a wish is not saved up
        waiting[waiter] = waiters[waiter] = now

    def remove(self, waiter: W) -> bool:
        """One no longer waits. Whether it did."""
        if self.waiting.pop(waiter, None) is None:
            return False
        line = next(line for line in self._busy.values() if waiter in line.waiters)
        del line.waiters[waiter]
        if not line.waiters:
            del self._busy[line.name]
        return True

    def pop(self, now: float) -> tuple[W, float, Ticket | None]:
        """Who is next, since when it waited, and the ticket of its lease, which begins now.

        There is no ticket where no other application is known.
        """
        alone = len(self._lines) == 1
        line = next(iter(self._busy.values())) if alone else self._next()
        waiter, since = line.waiters.popitem(last=False)
        del self.waiting[waiter]
        if not line.waiters:
            del self._busy[line.name]
        if alone:
            return waiter, since, None
        line.seen = now
        if self._virtual < line.virtual:
            self._virtual = line.virtual
        line.virtual += line.usual / self.weights.get(line.name, 1.0)
        return waiter, since, Ticket(line, now, line.usual)

    def _next(self) -> _Line[W]:
        """The lowest virtual time; of equal ones the one whose first has waited longest."""
        lines = iter(self._busy.values())
        best = next(lines)
        for line in lines:
            if line.virtual < best.virtual or (
                line.virtual == best.virtual and line.first < best.first
            ):
                best = line
        return best

    def begin(self, application: str, now: float) -> Ticket:
        """The ticket of a lease that began without one; it is charged from now on."""
        return Ticket(self._line(application), now, 0.0)

    def charge(self, ticket: Ticket, now: float, *, over: bool) -> None:
        """Charge a lease for its time up to now; when it is `over`, give back what it overpaid."""
        line = ticket.line
        since = ticket.since if ticket.since > self._since else self._since
        used = now - since if now > since else 0.0
        line.seen = ticket.since = now
        ticket.used += used
        due = used - ticket.paid
        if over:
            line.usual += (ticket.used - line.usual) * _RECENT
        elif due < 0.0:
            ticket.paid = -due
            return
        ticket.paid = 0.0
        line.virtual += due / self.weights.get(line.name, 1.0)

    def forgive(self) -> None:
        """Nobody has waited for a while: what was used before no longer counts."""
        if not self.waiting:
            self._lines.clear()
            self._virtual = 0.0

    def forget(self, now: float) -> None:
        """Forget the applications that neither wait nor have used anything for a while."""
        if len(self._lines) > len(self._busy):
            self._lines = {
                name: line
                for name, line in self._lines.items()
                if line.waiters or now - line.seen < _REMEMBERED
            }

    def _line(self, application: str) -> _Line[W]:
        line = self._lines.get(application)
        if line is not None:
            return line
        if len(self._busy) >= MOST and application not in self.weights:
            return self._line(_OTHERS) if application != _OTHERS else self._new_line(_OTHERS)
        return self._new_line(application)

    def _new_line(self, application: str) -> _Line[W]:
        if len(self._lines) >= 2 * MOST + len(self.weights):
            self._lines = dict(self._busy)
        line: _Line[W] = _Line(application, self._virtual)
        self._lines[application] = line
        return line
