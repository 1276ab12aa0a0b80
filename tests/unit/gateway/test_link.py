"""Link: frames between the worker and the control process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.link import (
    MAX_FRAME,
    Cancelled,
    Drain,
    Observed,
    Ready,
    Reload,
    Start,
    ToControl,
    ToWorker,
    frame,
    read_to_control,
    read_to_worker,
)
from dbopt.observation import (
    Repeated,
    SlowStatement,
    StatementCount,
    TransactionCount,
    WorkerSnapshot,
)
from dbopt.settings import Settings

SLOW = SlowStatement(
    1 << 63, "select", "", "d", "u", "a", 1.0, 3.0, 1.0, 1.0, 5, "", 77, "/cart",
    {"route": "/cart"}, 1.0, 10, 20,
)  # fmt: skip
TO_WORKER: list[ToWorker] = [
    Start(3, Settings(), [5, 6], b"k" * 32), Reload(Settings()), Drain(1.5),
    Cancelled(7, b"\xff\0"),
]  # fmt: skip
TO_CONTROL: list[ToControl] = [
    Ready(9), Cancelled(7, b"abcd"), Observed([], [], WorkerSnapshot(1, 2, True, [], 0, 0)),
    Observed(
        [StatementCount(1 << 63, "select", "d", "u", "a", 1, 2, {"22012": 1}, 0.5, 2.0, 2.0,
                        {7: 1}, "/cart", 0.25, 10, 20)],
        [SLOW], WorkerSnapshot(1, 2, True, [], 0, 0, spans_dropped=3), [],
        [TransactionCount("d", "u", "a", "/cart", 2, 1, 5, 10.0, 8.0, 3.0, 2.0, {9: 2})],
        [Repeated(1 << 63, "d", "u", "a", "/cart", 1, 12, 12)], [SLOW],
    ),
]  # fmt: skip


async def read(data: bytes, how: Any, size: int) -> list[object]:
    reader = asyncio.StreamReader()
    messages: AsyncIterator[object] = how(reader)
    for start in range(0, len(data), size):
        reader.feed_data(data[start : start + size])
    reader.feed_eof()
    return [message async for message in messages]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_what_is_framed_is_read(size: int, cut: int) -> None:
    """However it is split; a last frame that is cut off is none."""
    for how, messages in ((read_to_worker, TO_WORKER), (read_to_control, TO_CONTROL)):
        data = b"".join(frame(message) for message in messages)
        expected = messages[:-1] if cut else messages
        assert expected == asyncio.run(read(data[: len(data) - cut], how, size))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ((MAX_FRAME + 1).to_bytes(4), ProtocolError),
        (b"\0\0\0\1\xc1", msgspec.DecodeError),
        (frame(Ready(1)), msgspec.ValidationError),
        (b"\0\0\0\0", msgspec.DecodeError),
    ],
)
def test_what_cannot_be_read(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        asyncio.run(read(data, read_to_worker, 100))
