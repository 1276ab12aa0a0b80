"""Histogram: latencies in logarithmic buckets, each quantile good to 1 %.

A bucket spans 2 %, so its middle is within 1 % of all that fell into it (the scheme of
DDSketch: Masson, Rim, Lee, VLDB 2019). Buckets are sparse: 1 µs to 1 h takes 1113 at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log

GAMMA = 1.02
_SCALE = 1.0 / log(GAMMA)
_MIDDLE = 2.0 / (1.0 + GAMMA)


def bucket_of(value: float) -> int:
    """The bucket of a value (of any unit, at least 1; less counts as 1)."""
    return ceil(log(value) * _SCALE) if value > 1.0 else 0


def value_of(bucket: int) -> float:
    """The value in the middle of a bucket."""
    return _MIDDLE * GAMMA**bucket if bucket else 1.0


class Histogram:
    """Counts by bucket, with the exact count, sum and maximum. Values are microseconds."""

    __slots__ = ("buckets", "count", "maximum", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.maximum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        bucket = bucket_of(value)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += value
        if value > self.maximum:
            self.maximum = value

    def merge(self, buckets: Mapping[int, int], total: float, maximum: float) -> None:
        """Add what another histogram counted."""
        own = self.buckets
        for bucket, count in buckets.items():
            own[bucket] = own.get(bucket, 0) + count
            self.count += count
        self.total += total
        self.maximum = max(self.maximum, maximum)

    def quantile(self, q: float) -> float:
        """The value that the share `q` (0 to 1) of all values does not exceed; 0.0 when empty."""
        # The nearest rank: the least value that at least this share does not exceed.
        rank = ceil(q * self.count)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(value_of(bucket), self.maximum)
        return self.maximum

    @property
    def mean(self) -> float:
        """The exact mean; 0.0 when empty."""
        return self.total / self.count if self.count else 0.0
