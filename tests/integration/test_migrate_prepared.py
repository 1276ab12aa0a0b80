"""Prepared transactions hold up index builds, and no session shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from dbopt.errors import MigrationError
from dbopt.migrate import preflight
from dbopt.migrate.plan import Wanted, make_plan
from dbopt.pg import catalog
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Migrate
from tests.fix_pg import Server, embedded
from tests.integration.migrate_support import SETTINGS, TABLES, WANTED, build


@pytest.fixture(scope="module")
def pg_backend() -> Iterator[Server]:
    """A server of our own: the usual one allows none, as most do."""
    with embedded(settings={"max_prepared_transactions": "5"}) as server:
        yield server


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TABLES)
        yield made


@contextmanager
def _prepared(dsn: str, gid: str, table: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute(f"BEGIN; INSERT INTO {table} VALUES (0); PREPARE TRANSACTION '{gid}'")
        try:
            yield
        finally:
            other.execute(f"ROLLBACK PREPARED '{gid}'")


def test_a_build_that_waits_for_one_names_it(connection: Connection, pg_dsn: str) -> None:
    with (
        _prepared(pg_dsn, "import 7", "words"),
        pytest.raises(MigrationError, match='prepared transaction "import 7"'),
    ):
        build(connection, WANTED, replace(SETTINGS, build_timeout=1))


def test_one_that_holds_the_table_is_a_finding(connection: Connection, pg_dsn: str) -> None:
    steps = make_plan([Wanted(canonical(connection, WANTED))], catalog.read(connection))
    with _prepared(pg_dsn, "import 8", "words"), _prepared(pg_dsn, "elsewhere", "other"):
        found = preflight.look(connection, steps, Migrate())

    (one,) = [one for one in found if one.rule == "prepared-transaction"]
    assert "import 8" == one.evidence["prepared"]
    assert "COMMIT PREPARED 'import 8'; or ROLLBACK PREPARED 'import 8';" == one.remedy
