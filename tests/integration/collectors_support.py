"""Looks at one view, or all, as a role of choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import read_server
from dbopt.stats.collectors import VIEWS, collectors
from dbopt.stats.view import Collected, Collector, View
from tests.integration.store_support import on_connection

LIMIT = 10_000
ALL = {view.name for view in VIEWS}
SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, tag int, note text) WITH (fillfactor = 70);
INSERT INTO item SELECT g, g % 10, 'note ' || g FROM generate_series(1, 2000) g;
CREATE INDEX item_tag ON item (tag);
CREATE TABLE short (id serial PRIMARY KEY);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2 * n; END';
ANALYZE item;
"""


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


def prepared(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    return dsn


def rows_of(collected: Collected, **wanted: Any) -> list[Any]:
    return [r for r in collected.rows if all(r[name] == value for name, value in wanted.items())]


def one(dsn: str, view: str, **wanted: Any) -> Any:
    (row,) = rows_of(look(dsn, view)[view], **wanted)
    return row


def check_types(view: View, row: Any) -> None:
    assert set(view.columns) == set(row) - {"stats_since"}, view.name
    for name in view.key:
        assert isinstance(row[name], int | str), f"{view.name}.{name}"
    for name in view.counters + view.gauges:
        assert type(row[name]) in (int, type(None)), f"{view.name}.{name}: {row[name]!r}"
    json.dumps([row[name] for name in view.labels])


def check_all(seen: dict[str, Collected]) -> None:
    assert seen.keys() == ALL
    for view in VIEWS:
        collected = seen[view.name]
        keys = [tuple(row[name] for name in view.key) for row in collected.rows]
        assert len(keys) == len(set(keys)), view.name
        for row in collected.rows:
            check_types(view, row)
        for finding in collected.findings:
            assert not finding.examined
            assert finding.rule == f"stats-{view.name}"
            assert finding.remedy
