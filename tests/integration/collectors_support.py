"""Looks at one view, or all, as a role of choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import read_server
from dbopt.stats.collectors import collectors
from dbopt.stats.view import Collected, Collector
from tests.integration.store_support import on_connection

LIMIT = 10_000


def look(dsn: str, *names: str, limit: int = LIMIT) -> dict[str, Collected]:
    """What collectors, all or those of `names`, say at once, on a connection like dbopt's own."""
    chosen = [c for c in collectors() if not names or c.view.name in names]
    return look_with(dsn, chosen, limit)


def look_with(dsn: str, chosen: list[Collector], limit: int = LIMIT) -> dict[str, Collected]:
    """What these collectors say."""

    async def work(conn: AsyncConnection) -> dict[str, Collected]:
        server = await read_server(conn)
        return {c.view.name: await c.collect(conn, server, limit) for c in chosen}

    return on_connection(with_options(dsn, "-c lock_timeout=1s -c statement_timeout=10s"), work)


def with_options(dsn: str, options: str) -> str:
    """The conninfo with these options besides its own."""
    before = str(conninfo_to_dict(dsn).get("options") or "")
    return make_conninfo(dsn, options=f"{before} {options}".strip())


@contextmanager
def plain_role(dsn: str, *grants: str) -> Iterator[str]:
    """The conninfo of a new role with no privileges but these roles'."""
    name = "looker_of_" + str(conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'looker'")
        for grant in grants:
            conn.execute(f"GRANT {grant} TO {name}")
        try:
            yield make_conninfo(dsn, user=name, password="looker")
        finally:
            conn.execute(f"DROP OWNED BY {name}")
            conn.execute(f"DROP ROLE {name}")
