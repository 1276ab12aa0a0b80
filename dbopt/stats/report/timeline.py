"""Timeline: what a chart shows, added up in equal steps while frames are read. PURE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from dbopt.store.frame import Frame, Values

STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800)
MOST = 150
"""Steps of a chart at most: more are no better seen, and make the file larger."""
CPU = "CPU"
ACTIVE = frozenset(("active", "fastpath function call", "hidden"))
OTHER_STATEMENT = 0

Sums = defaultdict[int, float]


def step_of(seconds: float) -> float:
    """A round step that divides the period into MOST at most; seconds."""
    return next((float(step) for step in STEPS if seconds / step <= MOST), float(STEPS[-1]))


NEEDED: dict[str, frozenset[str]] = {
    "waits": frozenset(("samples",)),
    "database": frozenset(("xact_commit", "xact_rollback", "blks_hit", "blks_read", "temp_bytes")),
    "statements": frozenset(("calls", "total_exec_us")),
    "traced": frozenset(("calls", "total_us", "queue_us", "errors")),
    "wal": frozenset(("wal_bytes",)),
    "connections": frozenset(("sessions", "max_connections")),
}
"""The columns that a view must have to be in a chart."""


class Timeline:
    """Sums by step. Gauges are the largest of a step."""

    def __init__(self, since: datetime, until: datetime, database: str = "") -> None:
        self.start = since.timestamp()
        self.seconds = (until - since).total_seconds()
        self.step = step_of(self.seconds)
        self.count = max(1, -int(-self.seconds // self.step))
        self._database = database
        self.sampled: Sums = defaultdict(float)
        self.classes: dict[str, Sums] = defaultdict(lambda: defaultdict(float))
        self.statements: dict[int, Sums] = defaultdict(lambda: defaultdict(float))
        self.sums: dict[str, Sums] = defaultdict(lambda: defaultdict(float))
        self._adders: dict[str, Callable[[Frame, int], None]] = {
            "waits": self._waits,
            "database": self._databases,
            "statements": self._statements,
            "traced": self._traced,
            "wal": self._wal,
            "connections": self._connections,
        }

    @property
    def times(self) -> tuple[float, ...]:
        """The end of each step, epoch seconds."""
        return tuple(self.start + self.step * (place + 1) for place in range(self.count))

    def add(self, frame: Frame) -> None:
        """Add a frame of the period."""
        adder = self._adders.get(frame.view)
        if adder is not None and NEEDED[frame.view] <= set(frame.columns):
            # A frame that ends just where a step does is of that step.
            place = int((frame.at.timestamp() - self.start - 1e-6) // self.step)
            adder(frame, min(max(place, 0), self.count - 1))

    def values(self, sums: Sums, by: Sums, factor: float = 1.0) -> tuple[float | None, ...]:
        """`sums` ÷ `by` of each step, times `factor`; None where `by` is nothing."""
        places = range(self.count)
        return tuple(factor * sums.get(p, 0.0) / by[p] if by.get(p) else None for p in places)

    def gauges(self, name: str) -> tuple[float | None, ...]:
        """The largest of each step; None where it was not measured."""
        found = self.sums[name] if name in self.sums else Sums()
        return tuple(found.get(place) for place in range(self.count))

    def _waits(self, frame: Frame, place: int) -> None:
        self.sampled[place] += frame.seconds
        for key, values in frame.changed.items():
            state, kind, _, number, _, _, database = key
            if state not in ACTIVE or (self._database and database not in ("", self._database)):
                continue
            samples = values[0] or 0
            self.classes[str(kind) or CPU][place] += samples
            self.statements[int(number)][place] += samples

    def _databases(self, frame: Frame, place: int) -> None:
        names = ("xact_commit", "xact_rollback", "blks_hit", "blks_read", "temp_bytes")
        self.sums["database_seconds"][place] += frame.seconds
        at = _places(frame, names)
        for values in frame.changed.values():
            for name, where in zip(names, at, strict=True):
                self.sums[name][place] += values[where] or 0

    def _statements(self, frame: Frame, place: int) -> None:
        calls, time = _places(frame, ("calls", "total_exec_us"))
        self.sums["statements_seconds"][place] += frame.seconds
        for key, values in frame.changed.items():
            if key[-1]:  # a nested one's time is in its caller's
                self.sums["calls"][place] += values[calls] or 0
                self.sums["total_exec_us"][place] += values[time] or 0

    def _traced(self, frame: Frame, place: int) -> None:
        self.sums["traced_seconds"][place] += frame.seconds
        at = _places(frame, ("calls", "total_us", "queue_us", "errors"))
        p95 = frame.columns.index("p95_us") if "p95_us" in frame.columns else None
        for key, values in frame.changed.items():
            if self._database and key[1] != self._database:
                continue
            calls = self._add_traced(place, values, at)
            if p95 is not None:
                self.sums["traced_p95_us"][place] += calls * (values[p95] or 0)

    def _add_traced(self, place: int, values: Values, at: list[int]) -> int:
        calls, total, queue, errors = (values[where] or 0 for where in at)
        self.sums["traced_calls"][place] += calls
        self.sums["traced_total_us"][place] += total
        self.sums["traced_queue_us"][place] += queue
        self.sums["traced_errors"][place] += errors
        return calls

    def _wal(self, frame: Frame, place: int) -> None:
        (where,) = _places(frame, ("wal_bytes",))
        self.sums["wal_seconds"][place] += frame.seconds
        for values in frame.changed.values():
            self.sums["wal_bytes"][place] += values[where] or 0

    def _connections(self, frame: Frame, place: int) -> None:
        names = ("sessions", "max_connections")
        at = _places(frame, names)
        for values in (*frame.base.values(), *frame.changed.values()):
            for name, where in zip(names, at, strict=True):
                value = values[where]
                if value is not None:
                    known = self.sums[name].get(place, 0.0)
                    self.sums[name][place] = max(known, float(value))


def _places(frame: Frame, names: tuple[str, ...]) -> list[int]:
    return [frame.columns.index(name) for name in names]
