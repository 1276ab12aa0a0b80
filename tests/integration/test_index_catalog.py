from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from dbopt.errors import QueryFailed
from dbopt.pg import catalog, ddl
from dbopt.pg.canonical import canonical
from dbopt.pg.catalog import Catalog, Column, Index
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexDefinition, IndexKey

SCHEMA = """
CREATE TABLE parent (id integer PRIMARY KEY, "Mail" text UNIQUE, tags text[], doc jsonb);
CREATE TABLE child (
    c1 integer, c2 integer, c3 integer, c4 integer, c5 integer, c6 integer, c7 integer,
    c8 integer, c9 integer, c10 integer,
    parent_id integer REFERENCES parent, word text COLLATE "C"
);
CREATE INDEX first_column ON child (c1);
CREATE INDEX tenth_column ON child (c10, c2 DESC NULLS LAST) INCLUDE (c3, c4) WHERE c5 > 3;
CREATE INDEX expression ON child (lower(word) text_pattern_ops, word COLLATE "POSIX");
CREATE INDEX tags_gin ON parent USING gin (tags);
CREATE INDEX doc_gin ON parent USING gin (doc jsonb_path_ops);
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        yield made


@pytest.fixture
def snapshot(connection: Connection) -> Catalog:
    connection.execute(SCHEMA)
    return catalog.read(connection)


def _index(snapshot: Catalog, name: str) -> Index:
    return next(index for index in snapshot.indexes if index.name == name)


def test_an_empty_database_has_nothing_to_examine(connection: Connection) -> None:
    read = catalog.read(connection)

    assert (read.tables, read.indexes, read.foreign_keys) == ((), (), ())
    assert read.version == connection.info.server_version // 10000
    assert read.counted
    assert read.sees_builds
    assert read.stats_age >= 0


def test_columns_have_types_without_length_and_domains_their_base(connection: Connection) -> None:
    connection.execute("CREATE DOMAIN mail AS text; CREATE TABLE t (a varchar(9), b mail, c int[])")

    (table,) = catalog.read(connection).tables

    assert (
        Column("a", "character varying"),
        Column("b", "text"),
        Column("c", "integer[]", is_array=True),
    ) == table.columns
    assert table.column("d") is None


def test_the_first_column_is_not_the_tenth(snapshot: Catalog) -> None:
    assert (IndexKey("c1"),) == _index(snapshot, "first_column").definition.keys


def test_options_include_and_predicate_are_told_apart(snapshot: Catalog) -> None:
    expected = IndexDefinition(
        name="tenth_column",
        schema="public",
        table="child",
        method="btree",
        keys=(IndexKey("c10"), IndexKey("c2", descending=True)),
        include=("c3", "c4"),
        predicate="c5 > 3",
    )

    assert expected == _index(snapshot, "tenth_column").definition


def test_expressions_opclasses_and_collations_are_read(snapshot: Catalog) -> None:
    expected = (
        IndexKey("lower(word)", is_column=False, opclass="text_pattern_ops"),
        IndexKey("word", collation='"POSIX"'),
    )

    assert expected == _index(snapshot, "expression").definition.keys
    assert (IndexKey("tags"),) == _index(snapshot, "tags_gin").definition.keys
    assert (IndexKey("doc", opclass="jsonb_path_ops"),) == _index(
        snapshot, "doc_gin"
    ).definition.keys


@pytest.mark.parametrize("collation", ["", '"default"', '"POSIX"', "german"])
def test_an_expressions_collation_is_read_where_it_is_not_its_own(
    connection: Connection, collation: str
) -> None:
    """Its own is its column's, "C": "default" is another."""
    connection.execute("CREATE COLLATION german (LOCALE = 'C')")
    connection.execute(SCHEMA)
    key = f"(word || '!') COLLATE {collation}" if collation else "(word || '!')"
    connection.execute(f"CREATE INDEX odd ON child ({key}, (c1 + 1))")  # type: ignore[arg-type]

    read = _index(catalog.read(connection), "odd").definition

    expected = "public.german" if collation == "german" else collation
    assert [expected, ""] == [key.collation for key in read.keys]
    assert read == canonical(connection, read)
    assert read.keys == canonical(connection, replace(read, name="new")).keys


def test_a_quoted_name_is_read_without_quotes(snapshot: Catalog) -> None:
    index = _index(snapshot, "parent_Mail_key")

    assert (IndexKey("Mail"),) == index.definition.keys
    assert index.constraint == "u"
    assert index.protected


def test_a_primary_key_that_others_refer_to_is_protected(snapshot: Catalog) -> None:
    index = _index(snapshot, "parent_pkey")

    assert (index.constraint, index.fk_target, index.protected) == ("p", True, True)


def test_foreign_keys_name_their_columns(snapshot: Catalog) -> None:
    (key,) = snapshot.foreign_keys

    assert (
        key.name,
        key.columns,
        key.referenced,
    ) == ("child_parent_id_fkey", ("parent_id",), "parent")


def test_partitions_have_parents_and_rows_add_up(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE part (id int, p int REFERENCES parent) PARTITION BY RANGE (id);"
        "CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (200);"
        "CREATE INDEX part_id ON part (id);"
        "INSERT INTO part SELECT n FROM generate_series(0, 149) n"
    )
    connection.execute("ANALYZE part1, part2")

    read = catalog.read(connection)
    whole = next(table for table in read.tables if table.name == "part")
    parts = [index for index in read.indexes if index.parent is not None]

    assert read.rows(whole) == 150
    assert [index.name for index in parts] == ["part1_id_idx", "part2_id_idx"]
    assert _index(read, "part_id").partitioned
    # The partitions' inherited copies of the foreign key are not counted.
    assert len(read.foreign_keys) == 1


def test_extensions_and_own_tables_are_left_out(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA dbopt; CREATE TABLE dbopt.t (id int PRIMARY KEY)")
    connection.execute("CREATE TEMPORARY TABLE passing (id int PRIMARY KEY)")

    assert catalog.read(connection).tables == ()


def test_reading_inside_a_transaction_leaves_its_modes(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("CREATE TABLE made_here (id int)")
        catalog.read(connection)
        connection.execute("INSERT INTO made_here VALUES (1)")


def test_find_gives_the_index_of_a_name(connection: Connection, snapshot: Catalog) -> None:
    found = ddl.find(connection, "public", "tags_gin")

    assert _index(snapshot, "tags_gin") == found
    assert ddl.find(connection, "public", "no_such_index") is None


def test_canonical_writes_expressions_as_the_server_does(
    connection: Connection, snapshot: Catalog
) -> None:
    given = IndexDefinition(
        name="i",
        schema="",
        table="child",
        method="btree",
        keys=(IndexKey("LOWER( word )", is_column=False),),
        predicate="c1 IN (1,2) AND word='x'",
    )

    stored = canonical(connection, given)

    assert (stored.name, stored.schema, stored.table) == ("i", "public", "child")
    assert tuple(key.expression for key in stored.keys) == ("lower(word)",)
    assert stored.predicate == "(c1 = ANY (ARRAY[1, 2])) AND word = 'x'::text"
    assert snapshot.indexes == catalog.read(connection).indexes


def test_postgresql_15_is_read_too(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as connection:
        connection.execute(SCHEMA)
        connection.execute("CREATE UNIQUE INDEX strict ON child (c1) NULLS NOT DISTINCT")
        read = catalog.read(connection)

    assert read.version == 15
    assert _index(read, "strict").definition.nulls_not_distinct
    assert not _index(read, "parent_pkey").definition.nulls_not_distinct


def test_an_exclusive_lock_ends_the_reading_in_time(
    snapshot: Catalog, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "LOCK_TIMEOUT", 0.1)
    with psycopg.connect(pg_dsn) as holder, connect(pg_dsn) as other:
        holder.execute("LOCK TABLE parent IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(QueryFailed, match=r"55P03 .* Another session holds a lock"):
            catalog.read(other)
        holder.rollback()
