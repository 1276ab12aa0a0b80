"""Which part of the application runs a statement, where the application says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

from psycopg import sql

current: ContextVar[str] = ContextVar("dbopt_route", default="")
LONGEST_ROUTE = 200


@contextmanager
def route(name: str) -> Iterator[None]:
    """Attribute the statements that run within to this route, as "GET /users/{id}".

    It holds for the thread, or the task and those that it starts. The innermost counts. Give
    the pattern and not the path: each route has its own row, and beyond 1000 they become one.
    """
    token = current.set(plain(name)[:LONGEST_ROUTE])
    try:
        yield
    finally:
        current.reset(token)


def plain(name: str) -> str:
    """The name as UTF-8 can hold it: a path of bytes may have lone surrogates."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def comment(name: str) -> str:
    """sqlcommenter's comment for a route: https://google.github.io/sqlcommenter/spec/."""
    return f"/*route='{quote(name, safe='')}'*/"


def commented(query: Any, name: str, percent: bool) -> Any:
    """The query with the route's comment at its end, of the type that it had.

    The same query where it has a comment already, as the specification asks, or is a template.
    `percent`: psycopg will look for placeholders, so that `%` must be written twice.
    """
    tail = comment(name).replace("%", "%%") if percent else comment(name)
    if isinstance(query, str):
        # A query that psycopg and we look up again and again is hashed once.
        return query if _has_comment(query) else sys.intern(f"{query} {tail}")
    if isinstance(query, bytes):
        return query if b"/*" in query or b"--" in query else query + f" {tail}".encode()
    if isinstance(query, sql.Composable):
        return sql.Composed([query, sql.SQL(" "), sql.SQL(tail)])
    return query


def _has_comment(query: str) -> bool:
    return "/*" in query or "--" in query
