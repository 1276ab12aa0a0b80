"""A database with dbopt's schema, as the revisions make it, for tests of what uses it."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from dbopt.pg.connect import AsyncConnection, connect_async

T = TypeVar("T")
VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
OURS = ("0001_store", "0003_quarantine", "0004_history", "0005_index_runs")
"""The revisions that make the schema dbopt; 0002 builds declared indexes."""


def revision(name: str = OURS[0]) -> dict[str, Any]:
    return runpy.run_path(str(VERSIONS / f"{name}.py"))


def create_store(dsn: str) -> str:
    """Make the schema, in one transaction as Alembic does, and give the dsn back."""
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE SCHEMA dbopt")
        for name in OURS:
            for statement in revision(name)["STATEMENTS"]:
                connection.execute(statement)
    return dsn


def on_connection(dsn: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The result of an async function that is given a connection."""

    async def main() -> T:
        async with await connect_async(dsn) as connection:
            return await work(connection)

    return asyncio.run(main())
