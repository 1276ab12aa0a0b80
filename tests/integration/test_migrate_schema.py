"""Whichever way leads to a revision, the schema that it makes is the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from dbopt.migrate import runner
from dbopt.settings import Index, Server, Settings
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database

PARTS = {
    "relations": """
        SELECT c.relname, c.relkind, c.relpersistence, c.reloptions::text, c.relacl::text,
               obj_description(c.oid, 'pg_class'), pg_get_partkeydef(c.oid),
               pg_get_expr(c.relpartbound, c.oid), c.relrowsecurity
          FROM pg_class c WHERE c.relnamespace = to_regnamespace('dbopt')""",
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attstorage,
               a.attcompression, a.attoptions::text, col_description(c.oid, a.attnum),
               a.attcollation::regcollation::text
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relnamespace = to_regnamespace('dbopt') AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = to_regnamespace('dbopt')""",
    "indexes": """
        SELECT pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisreplident
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE c.relnamespace = to_regnamespace('dbopt')""",
    "functions": """
        SELECT pg_get_functiondef(oid), proacl::text
          FROM pg_proc WHERE pronamespace = to_regnamespace('dbopt') AND prokind <> 'a'""",
    "views": """
        SELECT c.relname, pg_get_viewdef(c.oid)
          FROM pg_class c
         WHERE c.relnamespace = to_regnamespace('dbopt') AND c.relkind IN ('v', 'm')""",
    "triggers": """
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = to_regnamespace('dbopt') AND NOT t.tgisinternal""",
    "types": """
        SELECT typname, typtype FROM pg_type
         WHERE typnamespace = to_regnamespace('dbopt') AND typcategory <> 'A'""",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, increment_by, cycle
          FROM pg_sequences WHERE schemaname = 'dbopt'""",
}
Schema = dict[str, list[str]]


def schema_of(connection: psycopg.Connection) -> Schema:
    """All that the schema dbopt holds, in one order; not the order in which it was made."""
    return {part: sorted(map(str, connection.execute(sql))) for part, sql in PARTS.items()}


def tour(places: list[str]) -> Iterator[tuple[str, str]]:
    """Every ordered pair of places, each starting where the last one ended."""
    left = {a: [b for b in places if b != a] for a in places}
    stack, path = [places[0]], []
    while stack:
        if left[stack[-1]]:
            stack.append(left[stack[-1]].pop())
        else:
            path.append(stack.pop())
    path.reverse()
    return pairwise(path)


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "people.sql").write_text("CREATE INDEX people_mail ON people (mail);")
    return Settings(server=Server(dsn=pg_dsn), index=Index(directory=str(tmp_path)))


def move(settings: Settings, order: list[str], start: str, end: str) -> None:
    act = runner.upgrade if order.index(end) > order.index(start) else runner.downgrade
    act(settings, end)


def test_from_every_revision_to_every_other(
    settings: Settings, pg_backend: Backend, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("CREATE TABLE people (id int, mail text)")
    order = ["base", *(revision.revision for revision in runner.history(settings))]
    fresh: dict[str, Schema] = {}
    with fresh_database(pg_backend) as other, psycopg.connect(other, autocommit=True) as stepwise:
        stepwise.execute("CREATE TABLE people (id int, mail text)")
        again = Settings(server=Server(dsn=other), index=settings.index)
        for revision in order:
            if revision != "base":
                runner.upgrade(again, revision)
            fresh[revision] = schema_of(stepwise)

    at = "base"
    for start, end in tour(order):
        assert start == at
        move(settings, order, start, end)
        assert (end if end != "base" else "") == runner.current(settings)
        if end != "base":  # its schema stays, with Alembic's own table
            assert fresh[end] == schema_of(pg_conn), f"{start} to {end}"
        row = pg_conn.execute("SELECT to_regclass('people_mail') IS NOT NULL").fetchone()
        assert row is not None
        if end in ("base", "0001", order[-1]):
            assert (end == order[-1],) == row, f"{start} to {end}"
        at = end
    assert at == "base"
    runner.upgrade(settings)
    assert fresh[order[-1]] == schema_of(pg_conn)
