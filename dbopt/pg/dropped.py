"""A read of the catalog that meets what is dropped at that moment, and is tried again.

The catalog's rows are of the statement's snapshot, but functions that open what they name, such as
pg_sequence_last_value and pg_database_size, look at what is there now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg import errors

T = TypeVar("T")

ATTEMPTS = 3
GONE = (errors.InternalError_, errors.UndefinedObject, errors.UndefinedTable)
"""XX000 "could not open relation with OID …" is what the server says of one that is gone."""


async def steadily(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` gives, tried anew where something has gone meanwhile. Raises psycopg.Error."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await read()
        except GONE:
            continue
    return await read()
