"""Canonical forms, catalogs and plans of partitioned tables, on PostgreSQL 18 and 15."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.errors import DeclarationError, MigrationError, QueryFailed
from dbopt.migrate.declared import read, wanted
from dbopt.migrate.names import leaf_name
from dbopt.migrate.plan import Action, Step, Wanted, make_plan, one
from dbopt.migrate.progress import opener
from dbopt.migrate.scene import Scene
from dbopt.pg import catalog
from dbopt.pg.canonical import canonical
from dbopt.pg.catalog import Catalog, Relation
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexDefinition, parse_index
from tests.fix_pg import fresh_database

SCHEMA = """
CREATE TABLE orders (id int, at date, mail text) PARTITION BY RANGE (at);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
    PARTITION BY LIST (lower(mail));
CREATE TABLE orders_2a PARTITION OF orders_2 FOR VALUES IN ('a');
CREATE TABLE orders_rest PARTITION OF orders DEFAULT;
CREATE TABLE hashed (id int, at date) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 1, REMAINDER 0)
    PARTITION BY RANGE (at);
CREATE TABLE people (id int PRIMARY KEY, mail text, manager int REFERENCES people);
CREATE TABLE notes (id int, person int REFERENCES people (id));
CREATE INDEX notes_person ON notes (person);
CREATE VIEW somebody AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW summary AS SELECT 1 AS a;
CREATE SEQUENCE counter;
CREATE SCHEMA "Other";
CREATE TABLE "Other".people (id int);
"""


@pytest.fixture(scope="module", params=["pg_backend", "pg15_backend"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with (
        fresh_database(request.getfixturevalue(request.param)) as dsn,
        connect(dsn) as made,
    ):
        made.execute(SCHEMA)
        yield made


@pytest.fixture
def undone(connection: Connection) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with connection.transaction(force_rollback=True):
        yield connection


def _canonical(connection: Connection, text: str) -> IndexDefinition:
    return canonical(connection, parse_index(text))


def _plan(connection: Connection, text: str) -> Step:
    return one(_canonical(connection, text), catalog.read(connection))


def _tree(step: Step) -> dict[str, tuple[Action, str]]:
    found = {step.definition.table: (step.action, step.existing.name if step.existing else "")}
    for part in step.partitions:
        found |= _tree(part)
    return found


# --- canonical


def test_a_partitioned_tables_index_is_written_as_the_server_does(connection: Connection) -> None:
    found = _canonical(
        connection, "create index i on orders (lower(mail), at desc) with (fillfactor=70)"
    )

    assert found.schema == "public"
    assert found.create_sql(concurrently=False) == (
        "CREATE INDEX i ON public.orders USING btree ((lower(mail)), at DESC)"
        " WITH (fillfactor='70')"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("create unique index i on orders (id)", r"RANGE \(at\)"),
        ("create unique index i on orders (id, at)", r"LIST \(lower\(mail\)\)"),
        ("create unique index i on hashed (id)", r"RANGE \(at\)"),
    ],
)
def test_a_unique_one_must_hold_every_levels_partition_key(
    connection: Connection, text: str, key: str
) -> None:
    with pytest.raises(MigrationError, match=f"does not hold the partition key of .*: {key}"):
        _canonical(connection, text)


def test_a_unique_one_that_holds_them_is_written(connection: Connection) -> None:
    assert _canonical(connection, "create unique index i on hashed (at, id)").unique


@pytest.mark.parametrize(("table", "kind"), [("somebody", "view"), ("passing", "temporary table")])
def test_what_can_have_no_index_is_refused(undone: Connection, table: str, kind: str) -> None:
    undone.execute("CREATE TEMPORARY TABLE passing (a int)")

    with pytest.raises(MigrationError, match=f'Index "i" cannot be: {table} is a {kind}'):
        _canonical(undone, f"create index i on {table} (a)")


def test_a_unique_index_that_a_partition_forbids_is_refused_where_its_root_has_it(
    undone: Connection,
) -> None:
    undone.execute(
        "CREATE TABLE roots (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE branch PARTITION OF roots DEFAULT PARTITION BY RANGE (b);"
        "CREATE UNIQUE INDEX made ON ONLY roots (a)"
    )

    with pytest.raises(MigrationError, match="does not hold the partition key"):
        _canonical(undone, "CREATE UNIQUE INDEX i ON roots (a)")


def test_a_schemas_name_that_is_there_already_is_a_word_again(undone: Connection) -> None:
    """Each word counts once, and the schema's was the table's."""
    undone.execute(
        "CREATE SCHEMA s; CREATE TABLE s.t (b text);"
        "CREATE OPERATOR CLASS s.text_ops FOR TYPE text USING btree AS OPERATOR 1 ~<~,"
        " OPERATOR 2 ~<=~, OPERATOR 3 =, OPERATOR 4 ~>=~, OPERATOR 5 ~>~,"
        " FUNCTION 1 bttext_pattern_cmp(text, text);"
        "CREATE INDEX there ON s.t (b s.text_ops)"
    )

    assert _canonical(undone, "CREATE INDEX i ON s.t (b text_ops)").keys[0].opclass == ""
    assert (
        _canonical(undone, "CREATE INDEX i ON s.t (b s.text_ops)").keys[0].opclass == "s.text_ops"
    )


def test_a_locked_table_is_not_waited_for_for_ever(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "LOCK_TIMEOUT", 0.05)
    with opener(connection)() as other, other.transaction(force_rollback=True):
        other.execute("LOCK TABLE notes, orders_2a IN ACCESS EXCLUSIVE MODE")

        # A partition's lock is no matter.
        assert _canonical(connection, "create index i on orders (id)").name == "i"
        pid = other.info.backend_pid
        words = rf"not be looked at for 0.05 s: public\.notes is locked by pid {pid} "
        with pytest.raises(MigrationError, match=words):
            _canonical(connection, "create index i on notes (id)")

    assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "0"}


def test_a_locked_table_is_left_out_of_the_catalog_where_nobody_needs_it(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "LOCK_TIMEOUT", 0.05)
    with opener(connection)() as other, other.transaction(force_rollback=True):
        other.execute("LOCK TABLE orders_2a, notes IN ACCESS EXCLUSIVE MODE")
        pid = other.info.backend_pid

        found = catalog.read(connection, needed={("public", "people")})
        assert [("public.notes", pid), ("public.orders_2a", pid)] == [
            (str(one), one.pid) for one in found.locked
        ]
        assert ("public", "notes") not in found.tables_by_name
        assert "index" == found.kinds["public", "notes_person"]
        with pytest.raises(QueryFailed, match="55P03"):
            catalog.read(connection, needed={("public", "orders")})
        assert f"public.orders_2a is locked by pid {pid}" == catalog.holders(
            connection, {("public", "orders")}
        )


def test_a_materialized_view_has_indexes(connection: Connection) -> None:
    assert _plan(connection, "create index i on summary (a)").action is Action.CREATE


# --- declared


def test_what_is_wanted_is_canonical_and_keeps_its_place(
    connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "a.sql").write_text(
        'create index i on people (mail);\ncreate index i on "Other".people (id);'
    )

    assert [(w.definition.schema, w.where) for w in wanted(connection, read(tmp_path))] == [
        ("public", f"{tmp_path}/a.sql:1"),
        ("Other", f"{tmp_path}/a.sql:2"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON notes (person)",
        "CREATE UNIQUE INDEX i ON people (lower(mail) DESC, id) INCLUDE (manager) WHERE id > 1",
        "CREATE INDEX i ON people (mail text_pattern_ops, id NULLS FIRST) WHERE mail = 'a'::text",
        'CREATE INDEX i ON "Other".people USING hash (id)',
        "CREATE INDEX i ON orders (at, id)",
        "CREATE INDEX i ON people (mail) WITH (fillfactor = 70)",
    ],
)
def test_one_that_is_there_needs_no_probe_and_is_the_same(
    undone: Connection, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    probed = _canonical(undone, text)
    undone.execute(text.replace(" i ", " other "))
    monkeypatch.delattr("dbopt.pg.canonical._asked")

    assert probed == _canonical(undone, text)


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ("n oid_ops", "n"),
        ("n", "n oid_ops"),
        ("word bpchar_ops", "word"),
        ('word COLLATE "C"', 'word COLLATE "default"'),
        ("upper(code)", "upper(code::bpchar)"),
        ("extract(year FROM at)", "date_part('year', at)"),
        ("n) WHERE (code::bpchar = 'x'", "n) WHERE (code = 'x'"),
        ("n) WHERE (at > '2026-01-01'::date", "n) WHERE (at > '2026-01-01'"),
        ("n) WHERE (word::bpchar = 'x'", "n) WHERE (word = 'x'"),
        ("mixed", "mixed text_ops"),
        ("mixed text_ops", "mixed"),
        ("n) WHERE (mixed::text = 'x'", "n) WHERE (mixed = 'x'"),
    ],
)
def test_what_looks_alike_and_means_another_index_is_replaced(
    undone: Connection, there: str, declared: str
) -> None:
    undone.execute("CREATE EXTENSION citext")
    undone.execute(
        "CREATE TABLE kinds (n int, code text, word varchar, at timestamp, mixed citext)"
    )
    undone.execute(f"CREATE INDEX i ON kinds ({there})")

    step = _plan(undone, f"CREATE INDEX i ON kinds ({declared})")
    undone.execute("DROP INDEX i")
    undone.execute(f"CREATE INDEX i ON kinds ({declared})")

    assert Action.REPLACE is step.action
    assert Action.PRESENT is _plan(undone, f"CREATE INDEX i ON kinds ({declared})").action


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ("id) WHERE (id > 1 AND mail > ''", "id) WHERE (mail > '' AND id > 1"),
        ("id) WHERE (id IN (1, 2)", "id) WHERE (id IN (2, 1)"),
        ("id) INCLUDE (mail, manager", "id) INCLUDE (manager, mail"),
    ],
)
def test_an_order_that_means_nothing_is_no_other_index(
    undone: Connection, there: str, declared: str
) -> None:
    undone.execute(f"CREATE INDEX i ON people ({there})")

    assert Action.PRESENT is _plan(undone, f"CREATE INDEX i ON people ({declared})").action


@pytest.mark.parametrize(
    "rest",
    ["(id) INCLUDE (mail, at)", "(id) WHERE mail > 'a' AND id > 1"],
)
def test_a_partitions_index_whose_parts_stand_in_another_order_cannot_be_attached(
    undone: Connection, rest: str
) -> None:
    other = rest.replace("(mail, at)", "(at, mail)")
    other = other.replace("mail > 'a' AND id > 1", "id > 1 AND mail > 'a'")
    undone.execute(f"CREATE INDEX other ON orders_1 {other}")
    undone.execute(f"CREATE INDEX same ON orders_rest {rest}")

    tree = _tree(_plan(undone, f"CREATE INDEX i ON orders {rest}"))

    assert (Action.CREATE, "") == tree["orders_1"]
    assert (Action.ATTACH, "same") == tree["orders_rest"]


def test_an_expression_may_name_its_table(undone: Connection) -> None:
    found = _canonical(undone, "CREATE INDEX i ON people (lower(people.mail))")

    assert "lower(mail)" == found.keys[0].expression


def test_what_is_there_is_not_made_again(
    undone: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.sql").write_text(
        "CREATE INDEX i ON notes (id); CREATE INDEX j ON notes (person)"
    )
    undone.execute("CREATE INDEX i ON notes (id)")
    monkeypatch.delattr("dbopt.pg.canonical._asked")

    assert ["i", "j"] == [one.definition.name for one in wanted(undone, read(tmp_path))]


def test_two_of_one_name_once_the_schemas_are_known_are_refused(
    connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "a.sql").write_text("create index i on people (mail);")
    (tmp_path / "b.sql").write_text("create index i on public.notes (id);")

    with pytest.raises(DeclarationError, match=r"b\.sql:1:1: .* declared at .*a\.sql:1:1 already"):
        wanted(connection, read(tmp_path))


def test_a_function_of_the_whole_row_is_told_as_such(undone: Connection) -> None:
    undone.execute("CREATE TABLE folk (a text, b text)")
    undone.execute(
        "CREATE FUNCTION full_name(folk) RETURNS text IMMUTABLE LANGUAGE sql"
        " AS $$ SELECT $1.a || $1.b $$"
    )
    with pytest.raises(MigrationError, match=r"42883") as refused:
        canonical(undone, parse_index("CREATE INDEX i ON folk (full_name(folk))"))
    assert "whole row" in refused.value.hint
    with pytest.raises(MigrationError, match=r"42883") as refused:
        canonical(undone, parse_index("CREATE INDEX i ON folk (fullest_name(a))"))
    assert "whole row" not in refused.value.hint


def test_what_the_server_refuses_has_its_place(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("create index ok on people (mail);\n create index i on no (a);")

    with pytest.raises(MigrationError, match=r"a\.sql:2:2: The table no of index"):
        wanted(connection, read(tmp_path))


# --- the catalog of a few tables


@pytest.mark.parametrize("name", ["people", "notes", "orders", "orders_2a", "hashed_0", "summary"])
def test_a_part_of_the_catalog_is_the_whole_one_restricted(
    connection: Connection, name: str
) -> None:
    # What making the tables has counted would else be told between the two looks.
    connection.execute("SELECT pg_stat_force_next_flush()")
    whole = catalog.read(connection)
    oid = whole.tables_by_name["public", name].oid

    found = catalog.read(connection, {oid})

    tree = _tree_of(whole, oid)
    assert found.tables == tuple(table for table in whole.tables if table.oid in tree)
    assert found.indexes == tuple(index for index in whole.indexes if index.table_oid in tree)
    assert found.foreign_keys == tuple(
        key for key in whole.foreign_keys if {key.table_oid, key.referenced_oid} & tree
    )
    assert found.others == ()
    assert (found.version, found.counted) == (whole.version, whole.counted)


def _tree_of(whole: Catalog, oid: int) -> set[int]:
    table = whole.by_oid[oid]
    while table.parent is not None:
        table = whole.by_oid[table.parent]
    found = {table.oid}
    for _ in whole.tables:  # as deep as there are tables
        found |= {one.oid for one in whole.tables if one.parent in found}
    return found


def test_names_bring_the_tables_of_their_indexes_and_what_else_has_them(
    connection: Connection,
) -> None:
    names = [("public", name) for name in ("notes_person", "somebody", "counter", "people", "no")]

    found = catalog.read(connection, [], names)

    assert [table.name for table in found.tables] == ["notes"]
    assert found.others == (
        Relation("public", "counter", "sequence"),
        Relation("public", "people", "table"),
        Relation("public", "somebody", "view"),
    )
    assert catalog.read(connection, [2**31]).tables == ()


def test_the_whole_catalog_knows_what_else_has_names(connection: Connection) -> None:
    kinds = catalog.read(connection).kinds

    assert kinds["public", "somebody"] == "view"
    assert kinds["public", "counter"] == "sequence"
    assert kinds["Other", "people"] == "table"
    assert ("public", "notes_person") not in kinds


# --- plans


def test_a_plan_of_a_tree_from_nothing(connection: Connection) -> None:
    step = _plan(connection, "create index i on orders (id)")

    tables = ("orders", "orders_1", "orders_rest", "orders_2", "orders_2a")
    assert _tree(step) == dict.fromkeys(tables, (Action.CREATE, ""))


def test_a_plan_of_a_tree_half_way(undone: Connection) -> None:
    definition = _canonical(undone, "create index i on orders (id)")
    undone.execute(
        f"""CREATE INDEX i ON ONLY orders (id);
        CREATE INDEX mine ON orders_1 (id);
        ALTER INDEX i ATTACH PARTITION mine;
        CREATE INDEX {leaf_name(definition, "orders_2")} ON ONLY orders_2 (id);
        CREATE INDEX free ON orders_2a (id);
        CREATE INDEX ON orders_rest (id, at)"""
    )

    assert _tree(one(definition, catalog.read(undone))) == {
        "orders": (Action.ATTACH, "i"),
        "orders_1": (Action.PRESENT, "mine"),
        "orders_rest": (Action.CREATE, ""),
        "orders_2": (Action.ATTACH, leaf_name(definition, "orders_2")),
        "orders_2a": (Action.ATTACH, "free"),
    }


def test_one_that_the_server_has_made_is_present(undone: Connection) -> None:
    undone.execute("CREATE INDEX i ON orders (id)")

    step = _plan(undone, "create index i on orders (id)")

    assert {action for action, _ in _tree(step).values()} == {Action.PRESENT}


@pytest.mark.parametrize(
    "other",
    [
        "CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2) SERVER far",
        "CREATE TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2);"
        "ALTER EXTENSION postgres_fdw ADD TABLE mixed_2",
    ],
)
def test_partitions_on_which_nothing_is_built(undone: Connection, other: str) -> None:
    undone.execute(
        f"""CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
        CREATE TABLE mixed (id int) PARTITION BY LIST (id);
        CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1);
        {other}"""
    )

    assert _plan(undone, "create index i on mixed (id)").action is Action.CONFLICT
    # What makes it so: attached to all that can have one, it is still invalid.
    undone.execute("CREATE INDEX i ON ONLY mixed (id); CREATE INDEX i_1 ON mixed_1 (id)")
    undone.execute("ALTER INDEX i ATTACH PARTITION i_1")
    step = _plan(undone, "create index i on mixed (id)")
    assert (step.action, step.existing and step.existing.valid) == (Action.CONFLICT, False)
    # The server's own way skips it, and locks out writers.
    undone.execute("DROP INDEX i; CREATE INDEX i ON mixed (id)")
    assert _plan(undone, "create index i on mixed (id)").action is Action.PRESENT


def test_a_constraint_within_a_part_keeps_the_whole(undone: Connection) -> None:
    undone.execute(
        """CREATE TABLE seats (id int, day int) PARTITION BY LIST (day);
        CREATE TABLE seats_1 PARTITION OF seats FOR VALUES IN (1);
        ALTER TABLE seats_1 ADD CONSTRAINT once UNIQUE (id, day);
        CREATE UNIQUE INDEX i ON seats (id, day)"""
    )

    step = _plan(undone, "create index i on seats (id)")

    assert step.action is Action.CONFLICT
    assert "once: it is a constraint's" in step.reason
    there = catalog.read(undone)
    assert make_plan([], there, managed={("public", "i")}) == []


def test_a_plan_of_a_few_tables_is_that_of_all(connection: Connection) -> None:
    texts = [
        "create index i on orders (id)",
        "create index notes_person on people (mail)",
        "create index somebody on people (mail, id)",
        "create unique index other_key on people (id)",
    ]
    for text in texts:
        definition = _canonical(connection, text)
        whole = catalog.read(connection)
        table = whole.tables_by_name["public", definition.table]
        few = catalog.read(connection, [table.oid], [("public", definition.name)])
        assert make_plan([Wanted(definition)], few) == make_plan([Wanted(definition)], whole)


@pytest.mark.parametrize("taken", ["notes_person_dbopt_old", "notes_person_dbopt_new"])
def test_a_step_looks_at_who_else_has_a_name_that_it_needs_for_a_moment(
    undone: Connection, tmp_path: Path, taken: str
) -> None:
    (tmp_path / "a.sql").write_text("CREATE INDEX notes_person ON notes (id)")
    undone.execute(f"CREATE INDEX {taken} ON people (mail)")
    scene = Scene(lambda: undone, read(tmp_path))

    (step,) = scene.plan()

    assert f"the name {taken} is needed for a moment, and is taken: it is on people" == step.reason
    assert step == scene.again(step)
