"""Time, as a thing that can be given: policy takes a Clock, so tests can move it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

Clock = Callable[[], float]
"""Seconds; only differences mean anything."""

monotonic: Clock = time.monotonic
wall: Clock = time.time
"""Seconds since the Unix epoch."""


def backoff(
    first: float = 0.1, most: float = 30.0, factor: float = 2.0, jitter: float = 0.1
) -> Iterator[float]:
    """Delays in seconds that grow by `factor` up to `most`, each `jitter` more or less.

    The jitter keeps many that failed together from coming back together.
    """
    delay = min(first, most)
    while True:
        yield delay * (1 + jitter * (2 * random.random() - 1))  # noqa: S311 - no secret
        delay = min(delay * factor, most)
