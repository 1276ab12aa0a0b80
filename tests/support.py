"""What several tests need and no fixture gives."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.01

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
"""Whether this is `make fuzz`."""


def examples(count: int) -> int:
    """How many examples a property test tries that usually tries `count`."""
    return count * 50 if LONG else count


def wait_until(condition: Callable[[], T], timeout: float = 30.0, what: str = "the condition") -> T:
    """The first true value of `condition`; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}; last value: {value!r}")
        time.sleep(INTERVAL)


async def wait_until_async(
    condition: Callable[[], Awaitable[T]], timeout: float = 30.0, what: str = "the condition"
) -> T:
    """As `wait_until`, for a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        value = await condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}; last value: {value!r}")
        await asyncio.sleep(INTERVAL)
