from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbopt.errors import QueryFailed
from dbopt.pg import schema as module
from dbopt.pg.connect import Connection, connect
from dbopt.pg.schema import read_schema
from dbopt.sql.query import Relation
from dbopt.sql.schema import RelationKind, SchemaColumn

DDL = """
CREATE SCHEMA app;
CREATE SCHEMA "Odd, one";
CREATE TABLE public.people (id int PRIMARY KEY, mail varchar(40) NOT NULL, city text);
CREATE INDEX people_mail ON public.people (lower(mail)) WHERE city IS NOT NULL;
INSERT INTO public.people
    SELECT n, 'm' || n, CASE WHEN n % 4 > 0 THEN 'c' || n % 5 END FROM generate_series(1, 1000) n;
CREATE TABLE app.orders (id bigint, at timestamptz, person int) PARTITION BY RANGE (id);
CREATE TABLE app.orders_low PARTITION OF app.orders FOR VALUES FROM (0) TO (100);
CREATE TABLE app.orders_high PARTITION OF app.orders FOR VALUES FROM (100) TO (1000)
    PARTITION BY RANGE (id);
CREATE TABLE app.orders_high_1 PARTITION OF app.orders_high FOR VALUES FROM (100) TO (1000);
INSERT INTO app.orders SELECT n, now(), n FROM generate_series(1, 300) n;
CREATE SEQUENCE app.numbers;
CREATE FUNCTION app.mine(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION app.mine(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION app.add(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 + $2';
CREATE AGGREGATE app.total (int) (SFUNC = app.add, STYPE = int, INITCOND = '0');
CREATE VIEW app.near AS SELECT id, app.mine(id) FROM public.people WHERE random() < 2;
CREATE VIEW app.far AS SELECT n.id FROM app.near n JOIN app.orders o ON o.person = n.id
    WHERE EXISTS (SELECT FROM pg_class);
CREATE VIEW app.nothing AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW app.kept AS SELECT id FROM app.far;
CREATE UNIQUE INDEX kept_id ON app.kept (id);
CREATE TEMP TABLE passing (x int);
ANALYZE;
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(DDL)
        yield made


def test_whether_policies_may_hide_rows(connection: Connection) -> None:
    connection.execute("ALTER TABLE public.people ENABLE ROW LEVEL SECURITY")
    known = read_schema(connection)
    found = {str(one.relation) for one in known.relations.values() if one.row_security}

    assert {"public.people"} == found


def test_a_table(connection: Connection) -> None:
    people = read_schema(connection).relations[Relation("public", "people")]

    assert RelationKind.TABLE == people.kind
    assert {
        "id": SchemaColumn("id", "integer", True, -1.0),
        "mail": SchemaColumn("mail", "character varying(40)", True, -1.0),
        "city": SchemaColumn("city", "text", False, 5.0),
    } == people.columns
    assert ["people_mail", "people_pkey"] == sorted(index.name for index in people.indexes)
    assert 1000 == people.rows
    assert people.size_bytes > 8192
    assert 0 == people.size_bytes % 8192


def test_a_partitioned_table_has_its_leaves_rows_together(connection: Connection) -> None:
    known = read_schema(connection).relations
    orders = known[Relation("app", "orders")]
    leaves = [known[Relation("app", name)] for name in ("orders_low", "orders_high_1")]

    assert RelationKind.PARTITIONED == orders.kind
    assert 300 == orders.rows == sum(leaf.rows for leaf in leaves)
    assert 201 == known[Relation("app", "orders_high")].rows
    assert orders.size_bytes == sum(leaf.size_bytes for leaf in leaves) > 0
    assert -1.0 == orders.columns["id"].distinct


def test_views_are_expanded(connection: Connection) -> None:
    known = read_schema(connection).relations
    far = known[Relation("app", "far")]

    assert RelationKind.VIEW == far.kind
    assert (
        Relation("app", "orders"),
        Relation("pg_catalog", "pg_class"),
        Relation("public", "people"),
    ) == far.reads
    assert (("app", "mine"), ("pg_catalog", "random")) == far.functions
    assert (Relation("public", "people"),) == known[Relation("app", "near")].reads
    assert () == known[Relation("app", "nothing")].reads
    kept = known[Relation("app", "kept")]
    assert (RelationKind.MATERIALIZED, ()) == (kept.kind, kept.reads)
    assert ["kept_id"] == [index.name for index in kept.indexes]


def test_functions_have_their_worst_volatility(connection: Connection) -> None:
    functions = read_schema(connection).functions

    assert "s" == functions["app", "mine"]
    assert "v" == functions["app", "add"]
    assert "v" == functions["app", "total"]
    assert "pg_catalog" not in {schema for schema, _ in functions}


def test_the_systems_own_are_known_by_name_alone(connection: Connection) -> None:
    schema = read_schema(connection)
    found = schema.find(Relation("", "pg_class"))

    assert found is not None
    assert (Relation("pg_catalog", "pg_class"), {}, ()) == (
        found.relation, found.columns, found.indexes,
    )  # fmt: skip
    assert Relation("information_schema", "tables") in schema.relations
    assert schema.relations[Relation("app", "numbers")].kind is RelationKind.SEQUENCE
    assert not any(relation.name == "passing" for relation in schema.relations)


def test_the_search_path_is_the_sessions(connection: Connection) -> None:
    assert ("public",) == read_schema(connection).search_path

    connection.execute('SET search_path = "Odd, one", missing, app')
    schema = read_schema(connection)
    assert ("Odd, one", "app") == schema.search_path
    assert schema.find(Relation("", "people")) is None
    assert schema.find(Relation("", "orders")) is not None
    # Ours is put away: the session keeps its own.
    assert {"search_path": '"Odd, one", missing, app'} == connection.execute(
        "SHOW search_path"
    ).fetchone()


def test_the_search_path_of_a_role(connection: Connection) -> None:
    connection.execute("SET search_path = pg_catalog")
    name = connection.info.dbname
    connection.execute("CREATE ROLE dbopt_reader_a; CREATE ROLE app_owner")
    try:
        assert ("public",) == read_schema(connection, user="dbopt_reader_a").search_path
        connection.execute(f"ALTER DATABASE {name} SET search_path = app, public")
        connection.execute('ALTER ROLE app_owner SET search_path = "$user", "Odd, one"')
        connection.execute("CREATE SCHEMA app_owner")
        assert ("app", "public") == read_schema(connection, user="dbopt_reader_a").search_path
        assert ("app_owner", "Odd, one") == read_schema(connection, user="app_owner").search_path
        connection.execute(f"ALTER ROLE app_owner IN DATABASE {name} SET search_path = app")
        assert ("app",) == read_schema(connection, user="app_owner").search_path
    finally:
        connection.execute("DROP ROLE dbopt_reader_a, app_owner")


def test_what_is_unique_and_not_null_holds_of_every_row(connection: Connection) -> None:
    """Not so where others inherit, of a deferrable constraint, of a foreign table."""
    connection.execute(
        """CREATE TABLE app.parent (id int PRIMARY KEY);
           CREATE TABLE app.child () INHERITS (app.parent);
           CREATE TABLE app.late (id int NOT NULL, UNIQUE (id) DEFERRABLE);
           CREATE FOREIGN DATA WRAPPER nowhere;
           CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
           CREATE FOREIGN TABLE app.abroad (id int NOT NULL) SERVER far;
           CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
           CREATE TABLE app.part PARTITION OF app.parted DEFAULT"""
    )
    known = read_schema(connection).relations
    tables = {
        name: known[Relation("app", name)]
        for name in ("parent", "child", "late", "abroad", "parted", "part")
    }

    assert {
        "parent": ([False], False),
        "child": ([], True),
        "late": ([False], True),
        "abroad": ([], False),
        "parted": ([True], True),
        "part": ([True], True),
    } == {
        name: ([index.unique for index in table.indexes], table.columns["id"].not_null)
        for name, table in tables.items()
    }


@pytest.mark.parametrize("validated", [False, True])
def test_not_null_that_is_not_validated(connection: Connection, validated: bool) -> None:
    if connection.info.server_version < 180000:
        pytest.skip("NOT NULL NOT VALID came with PostgreSQL 18")
    connection.execute("ALTER TABLE people ADD CONSTRAINT city_known NOT NULL city NOT VALID")
    if validated:
        connection.execute("UPDATE people SET city = 'c' WHERE city IS NULL")
        connection.execute("ALTER TABLE people VALIDATE CONSTRAINT city_known")
    people = read_schema(connection).relations[Relation("public", "people")]

    assert validated is people.columns["city"].not_null


def test_without_privileges_what_pg_stats_hides_is_0(connection: Connection) -> None:
    connection.execute("CREATE ROLE dbopt_reader_b")
    try:
        connection.execute("SET ROLE dbopt_reader_b")
        people = read_schema(connection).relations[Relation("public", "people")]
        assert 0.0 == people.columns["city"].distinct
        assert 1000 == people.rows
        assert 2 == len(people.indexes)
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP ROLE dbopt_reader_b")


def test_an_invalid_index_is_left_out(connection: Connection) -> None:
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'people_mail'::regclass"
    )
    people = read_schema(connection).relations[Relation("public", "people")]
    assert ["people_pkey"] == [index.name for index in people.indexes]


def test_a_locked_table_holds_nobody_up(connection: Connection, pg_dsn: str) -> None:
    with connect(pg_dsn) as other, other.transaction():
        other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        known = read_schema(connection).relations

    assert () == known[Relation("public", "people")].indexes
    assert ["kept_id"] == [index.name for index in known[Relation("app", "kept")].indexes]


def test_in_a_callers_transaction_it_sees_what_that_one_does(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TABLE app.fresh (id int)")
        assert Relation("app", "fresh") in read_schema(connection).relations
        connection.execute("INSERT INTO app.fresh VALUES (1)")
    assert Relation("app", "fresh") not in read_schema(connection).relations


def test_of_too_many_the_partitions_are_left_out(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = len([r for r in read_schema(connection).relations if r.schema in ("app", "public")])
    monkeypatch.setattr(module, "MOST_RELATIONS", ordinary - 3)
    known = read_schema(connection).relations

    assert ordinary - 3 == len(known)
    assert Relation("app", "orders") in known
    assert not any(relation.name.startswith("orders_") for relation in known)


def test_of_many_tables_the_largest_have_their_indexes(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_INDEXED", 1)
    known = read_schema(connection).relations
    assert [2, 0] == [len(known[Relation(*name)].indexes) for name in (
        ("public", "people"), ("app", "kept"))]  # fmt: skip


def test_a_servers_refusal_is_an_error_of_ours(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATEMENT_TIMEOUT", 0.001)
    connection.execute(
        "INSERT INTO people SELECT n + 2000, 'm' FROM generate_series(1, 10) n;"
        "DO $$BEGIN FOR i IN 1..400 LOOP EXECUTE format('CREATE TABLE t%s (a int)', i);"
        " END LOOP; END$$"
    )
    with pytest.raises(QueryFailed, match="Reading the schema: PostgreSQL answered 57014"):
        read_schema(connection)


def test_an_older_server(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as connection:
        connection.execute(DDL)
        schema = read_schema(connection)

    far = schema.relations[Relation("app", "far")]
    assert ["orders", "pg_class", "people"] == [relation.name for relation in far.reads]
    assert (("app", "mine"), ("pg_catalog", "random")) == far.functions
    assert 300 == schema.relations[Relation("app", "orders")].rows
