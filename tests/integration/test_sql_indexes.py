"""Declared indexes against the server: what is built has every clause, and is found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.migrate.plan import Action
from dbopt.pg import catalog, ddl
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition, parse_index
from tests.integration.migrate_support import build

SETTINGS = Migrate(lock_timeout=1, build_timeout=60)
SCHEMA = """
CREATE SCHEMA s;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN mail AS varchar(80);
CREATE COLLATION "en_US.utf8x" (provider = libc, locale = 'C');
CREATE COLLATION s."x.y" (provider = libc, locale = 'C');
CREATE OPERATOR CLASS s."my.ops" FOR TYPE int USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 btint4cmp(int, int);
CREATE TABLE t (
    id int, status varchar(20), note text, code char(3), email mail, mood mood, ok bool,
    deleted_at timestamptz, day date, amount numeric(10, 2), score float8, big bigint,
    doc jsonb, tags text[], words tsvector, gone_at timestamp
);
"""

DECLARED = [
    # Collations and operator classes, with dots and in schemas.
    'create index i on t (status collate "en_US.utf8x")',
    'create index i on t (status collate s."x.y" desc, note collate "C")',
    'create index i on t (id s."my.ops")',
    "create index i on t using gist (words tsvector_ops(siglen = 64))",
    "create index i on t (note text_pattern_ops, id int4_ops)",
    # How and where.
    "create index i on t (id) with (fillfactor = 70, deduplicate_items = off)",
    "create index i on t using gin (doc jsonb_path_ops) with (fastupdate)",
    "create index i on t using brin (day) with (pages_per_range = 16)",
    # What they are about; test_index_forms.py has more forms.
    "create unique index i on t (lower(status), id) include (note) where deleted_at is null",
    "create unique index i on t (id) nulls not distinct where id > 5",
]


@pytest.fixture(scope="module")
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    from tests.fix_pg import fresh_database

    with (
        fresh_database(request.getfixturevalue("pg_backend")) as dsn,
        connect(dsn) as made,
    ):
        made.execute(SCHEMA)
        yield made


def found(connection: Connection) -> catalog.Index:
    index = ddl.find(connection, "public", "i")
    assert index is not None
    return index


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize("text", DECLARED)
def test_a_declared_index_is_built_and_then_present(connection: Connection, text: str) -> None:
    declared = parse_index(text)
    try:
        assert Action.CREATE is build(connection, declared, SETTINGS).action
        assert Action.PRESENT is build(connection, declared, SETTINGS).action
        stored = found(connection)
        assert declared.storage == stored.definition.storage
        # The server's own text of it says all that ours does.
        assert parse_index(stored.sql).same_as(stored.definition)
        assert _clauses(parse_index(stored.sql)) == _clauses(stored.definition)
    finally:
        ddl.drop(connection, "public", "i", concurrently=False)


def _clauses(index: IndexDefinition) -> tuple[object, ...]:
    keys = [(key.opclass, key.collation.removeprefix("public.")) for key in index.keys]
    return (keys, index.storage, index.tablespace)


def test_the_built_index_has_the_declared_storage(connection: Connection) -> None:
    build(connection, parse_index("create index i on t (id) with (Fillfactor = 70)"), SETTINGS)
    row = connection.execute("SELECT reloptions FROM pg_class WHERE relname = 'i'").fetchone()
    assert {"reloptions": ["fillfactor=70"]} == row
    ddl.drop(connection, "public", "i", concurrently=False)


@pytest.mark.pg(">= 15")
def test_the_built_index_is_in_the_declared_tablespace(
    connection: Connection, tmp_path: Path
) -> None:
    connection.execute("SET allow_in_place_tablespaces = on")
    connection.execute("CREATE TABLESPACE \"Dbopt fast\" LOCATION ''")
    connection.execute("CREATE TABLESPACE dbopt_temp LOCATION ''")
    try:
        connection.execute("SET temp_tablespaces = dbopt_temp")
        built = build(
            connection, parse_index('create index i on t (id) tablespace "Dbopt fast"'), SETTINGS
        )
        assert Action.CREATE is built.action
        assert "Dbopt fast" == found(connection).definition.tablespace
        ddl.drop(connection, "public", "i", concurrently=False)
        # The probe's own place, temp_tablespaces, is not the index's.
        assert "" == canonical(connection, parse_index("create index i on t (id)")).tablespace
    finally:
        connection.execute("DROP INDEX IF EXISTS i")
        connection.execute("RESET temp_tablespaces")
        connection.execute('DROP TABLESPACE "Dbopt fast"')
        connection.execute("DROP TABLESPACE dbopt_temp")
