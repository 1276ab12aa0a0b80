from __future__ import annotations

import time
from itertools import islice

import pytest

from dbopt.clock import backoff, monotonic, wall


def test_backoff_doubles_up_to_its_limit() -> None:
    delays = list(islice(backoff(first=0.1, most=1.0, jitter=0.0), 6))
    assert pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0]) == delays


def test_backoff_stays_within_its_jitter() -> None:
    for _ in range(200):
        delays = list(islice(backoff(first=0.1, most=30.0, jitter=0.1), 12))
        plain = [min(0.1 * 2**n, 30.0) for n in range(12)]
        assert all(0.9 * p <= d <= 1.1 * p for d, p in zip(delays, plain, strict=True))


def test_two_that_failed_together_come_back_apart() -> None:
    assert next(backoff()) != next(backoff())


def test_a_first_delay_above_the_limit_is_the_limit() -> None:
    assert 2.0 == next(backoff(first=5.0, most=2.0, jitter=0.0))


def test_the_clocks() -> None:
    assert monotonic() <= monotonic()
    assert abs(wall() - time.time()) < 1.0
