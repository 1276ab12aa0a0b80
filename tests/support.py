"""What several tests need and no fixture gives."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def unused_port() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that refuses connections, and that nobody else is given meanwhile.

    A server may bind it all the same, with SO_REUSEADDR as servers do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


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
