"""A read is tried again where something was dropped, and only there."""

from __future__ import annotations

import asyncio

import pytest
from psycopg import Error, errors

from dbopt.pg.dropped import ATTEMPTS, steadily


class Read:
    """Fails so, one after the other, and then gives True."""

    def __init__(self, failures: list[type[Error]]) -> None:
        self.left = list(failures)
        self.count = 0

    async def __call__(self) -> bool:
        self.count += 1
        if self.left:
            raise self.left.pop(0)
        return True


def comes_through(read: Read) -> bool:
    try:
        return asyncio.run(steadily(read))
    except Error:
        return False


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([], (1, True)),
        ([errors.InternalError_], (2, True)),
        ([errors.UndefinedObject, errors.UndefinedTable], (3, True)),
        ([errors.InternalError_] * ATTEMPTS, (ATTEMPTS, False)),
        ([errors.QueryCanceled], (1, False)),
        ([errors.InsufficientPrivilege], (1, False)),
    ],
)
def test_steadily(failures: list[type[Error]], expected: tuple[int, bool]) -> None:
    read = Read(failures)
    well = comes_through(read)
    assert expected == (read.count, well)
