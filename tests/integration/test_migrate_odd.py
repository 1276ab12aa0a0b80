"""Odd places: names that must be quoted, another encoding, a plain owner whose role has settings
that would cut, block or mislead a build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbopt.migrate import run
from dbopt.migrate.outcome import Outcome
from dbopt.migrate.run import Options
from dbopt.migrate.steps import Action
from dbopt.pg.connect import connect
from dbopt.settings import Index, Migrate, Server, Settings

DATABASE, ROLE = 'Odd "db" %s ü', 'Odd "owner" %'
LONG = "ü" * 31
"""62 bytes of UTF-8."""
SETTINGS = {
    "statement_timeout": "300ms",
    "idle_session_timeout": "300ms",
    "idle_in_transaction_session_timeout": "100ms",
    "lock_timeout": "10ms",
    "default_transaction_isolation": "serializable",
    "quote_all_identifiers": "on",
    "DateStyle": "German",
    "search_path": 'odd, pg_catalog, "Sch%s ""x"" y"',
}
SCHEMA = """
CREATE SCHEMA "Sch%s ""x"" y" AUTHORIZATION CURRENT_USER;
CREATE TABLE "Sch%s ""x"" y"."T%(a)s" (id int, "Col""1 %" text, at date);
CREATE INDEX replaced ON "Sch%s ""x"" y"."T%(a)s" (id DESC);
CREATE INDEX "before %" ON "Sch%s ""x"" y"."T%(a)s" ("Col""1 %" DESC NULLS LAST);
CREATE TABLE "Sch%s ""x"" y"."Parts %" (id int) PARTITION BY RANGE (id);
CREATE TABLE "Sch%s ""x"" y"."part ""1"" %" PARTITION OF "Sch%s ""x"" y"."Parts %"
    FOR VALUES FROM (0) TO (9);
"""
DECLARED = f"""
CREATE INDEX "{LONG}" ON "T%(a)s" (lower("Col""1 %"), at) WHERE at > '01.02.2026';
CREATE INDEX replaced ON "Sch%s ""x"" y"."T%(a)s" (id, at);
CREATE INDEX "After ""x"" %" ON "T%(a)s" ("Col""1 %" DESC NULLS LAST);
CREATE UNIQUE INDEX "P%s" ON "Parts %" (id);
"""


@pytest.fixture(params=["UTF8", "LATIN1"])
def odd_dsn(request: pytest.FixtureRequest, pg_dsn: str) -> Iterator[str]:
    """A database of that encoding, as a role that owns what is in it and nothing else."""
    names = {"db": sql.Identifier(DATABASE), "role": sql.Identifier(ROLE)}
    own = make_conninfo(pg_dsn, dbname=DATABASE)
    with psycopg.connect(pg_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {role} LOGIN").format(**names))
        made = "CREATE DATABASE {db} OWNER {role} TEMPLATE template0 LOCALE 'C' ENCODING "
        admin.execute(sql.SQL(made).format(**names) + sql.Literal(request.param))
        with psycopg.connect(own, user=ROLE, autocommit=True) as owner:
            owner.execute(SCHEMA)
            # Whoever is asked instead of the catalog says nothing.
            owner.execute("CREATE SCHEMA odd; CREATE VIEW odd.pg_class AS SELECT 1 AS oid")
        for name, value in SETTINGS.items():
            text = value if name == "search_path" else f"'{value}'"
            set_it = sql.SQL("ALTER ROLE {role} SET ").format(**names)
            admin.execute(set_it + sql.SQL(f"{name} = {text}"))
        try:
            yield make_conninfo(own, user=ROLE)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {db} WITH (FORCE)").format(**names))
            admin.execute(sql.SQL("DROP ROLE {role}").format(**names))


def test_a_plain_owner_of_odd_names_with_odd_settings(odd_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "odd.sql").write_text(DECLARED)
    settings = Settings(
        server=Server(dsn=odd_dsn),
        index=Index(directory=str(tmp_path)),
        migrate=Migrate(lock_timeout=0.5),
    )
    applied = run.apply(settings, Options(record=False))

    assert applied.outcome is Outcome.DONE, applied
    assert {built.name: built.action for built in applied.built} == {
        LONG: Action.CREATE,
        "replaced": Action.REPLACE,
        'After "x" %': Action.RENAME,
        "P%s": Action.CREATE,
    }
    assert run.apply(settings, Options(record=False)).changed == ()
    with connect(odd_dsn) as found:
        rows = found.execute(
            "SELECT indexrelid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c"
            " ON c.oid = indexrelid WHERE NOT indisvalid OR relname LIKE '%\\_dbopt\\_%'"
        )
        assert rows.fetchall() == []
