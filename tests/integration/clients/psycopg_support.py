"""What the tests of psycopg share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from tests.integration.clients.routes import Route

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]


def connect(route: Route, **options: Any) -> Connection:
    return psycopg.connect(route.dsn(), autocommit=True, **options)


def sqlstate(work: Callable[..., Any], *arguments: Any, **options: Any) -> str | None:
    """The SQLSTATE of the error that this raises; "00000" for none."""
    try:
        work(*arguments, **options)
    except psycopg.Error as error:
        return error.sqlstate
    return "00000"


def outcome(cursor: Cursor) -> tuple[Any, ...]:
    """All that a cursor tells of its result."""
    columns = [(c.name, c.type_code, c.internal_size) for c in cursor.description or ()]
    rows = cursor.fetchall() if cursor.description else None
    return cursor.statusmessage, cursor.rowcount, columns, rows
