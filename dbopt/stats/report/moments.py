"""Moments: what tells news from noise in a statement's calls and time. PURE.

The mean time of a call in a period is a ratio of sums over its frames. Its variance is that
of the ratio estimator (Cochran, Sampling Techniques, 3rd edition, 6.3), which needs no more than
the sums of squares and products kept here. Frames are the units, since calls of one minute hang
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

from dbopt.store.frame import Frame, Key

SOURCES = {"statements": ("calls", "total_exec_us"), "traced": ("calls", "total_us")}
"""Views that tell of statements: the names of calls and time."""
MIN_CALLS = 30
MIN_FRAMES = 3
MIN_Z = 4.0
"""Standard errors that a difference has at least: of 500 statements, by chance, one in thirty
such reports has one."""
MIN_FACTOR = 1.2


@dataclass(slots=True)
class Moment:
    """One statement: frames with calls, sums of calls c and time t (µs), of squares, products."""

    frames: int = 0
    c: float = 0.0
    t: float = 0.0
    cc: float = 0.0
    ct: float = 0.0
    tt: float = 0.0

    def add(self, calls: float, time: float) -> None:
        """Add one frame."""
        self.frames += 1
        self.c += calls
        self.t += time
        self.cc += calls * calls
        self.ct += calls * time
        self.tt += time * time

    @property
    def mean(self) -> float:
        """Microseconds a call; 0 without calls."""
        return self.t / self.c if self.c else 0.0

    @property
    def variance(self) -> float:
        """Of the mean; infinite of one frame."""
        if self.frames < 2 or not self.c:
            return inf
        r = self.mean
        squares = max(0.0, self.tt - 2 * r * self.ct + r * r * self.cc)
        return squares / (self.c * self.c) * self.frames / (self.frames - 1)

    @property
    def enough(self) -> bool:
        """Whether anything can be told of it."""
        return self.c >= MIN_CALLS and self.frames >= MIN_FRAMES


def z_score(before: Moment, after: Moment) -> float:
    """By how many standard errors a call takes longer after than before; 0 where none can tell."""
    if not before.enough or not after.enough:
        return 0.0
    spread = sqrt(before.variance + after.variance)
    difference = after.mean - before.mean
    return (
        difference / spread if spread else (inf if difference > 0 else -inf if difference else 0.0)
    )


def is_slower(before: Moment, after: Moment) -> bool:
    """Whether a call takes longer than before, by an amount that matters and is no chance."""
    return after.mean >= MIN_FACTOR * before.mean and z_score(before, after) >= MIN_Z


class Moments:
    """Each source's statements by fingerprint."""

    def __init__(self, database: str = "") -> None:
        self._database = database
        self._of: dict[str, dict[int, Moment]] = {name: {} for name in SOURCES}

    @property
    def source(self) -> str:
        """The better source that there is: the server's own figures, else the gateway's."""
        return "statements" if self._of["statements"] or not self._of["traced"] else "traced"

    def of(self, source: str) -> Mapping[int, Moment]:
        """The statements of a source by fingerprint."""
        return self._of[source]

    def add(self, frame: Frame, labels: Mapping[Any, Mapping[str, Any]]) -> None:
        """Add what a frame tells of statements; `labels` of entities as period.ViewSum has them."""
        names = SOURCES.get(frame.view)
        if names is None or names[0] not in frame.counters or names[1] not in frame.counters:
            return
        calls_at, time_at = map(frame.counters.index, names)
        sums: dict[int, list[float]] = {}
        for key, values in frame.changed.items():
            number = self._fingerprint(frame, key, labels)
            calls = values[calls_at]
            if number is None or not calls:
                continue
            one = sums.setdefault(number, [0.0, 0.0])
            one[0] += calls
            one[1] += values[time_at] or 0
        of = self._of[frame.view]
        for number, (c, t) in sums.items():
            of.setdefault(number, Moment()).add(c, t)

    def _fingerprint(
        self, frame: Frame, key: Key, labels: Mapping[Any, Mapping[str, Any]]
    ) -> int | None:
        if frame.view == "traced":
            wanted = not self._database or key[1] == self._database
            return int(key[0]) if wanted else None
        found = labels.get((frame.target.database, key), {}).get("fingerprint")
        return None if found is None else int(found)
