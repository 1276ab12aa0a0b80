from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from dbopt.demo import dataset
from dbopt.demo.operations import OPERATIONS
from dbopt.errors import QueryFailed, UsageError
from dbopt.index import advisor, workload
from dbopt.index.candidates import candidates
from dbopt.index.workload import WorkloadQuery
from dbopt.pg import catalog
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from dbopt.sql.redact import redact
from tests.fix_pg import Server, fresh_database

SCALE = 0.05


@pytest.fixture(scope="module")
def demo_dsn(pg_backend: Server) -> Iterator[str]:
    with fresh_database(pg_backend) as dsn:
        dataset.load(dsn, scale=SCALE)
        yield dsn


@pytest.fixture
def connection(demo_dsn: str) -> Iterator[Connection]:
    with connect(demo_dsn) as made:
        yield made


@pytest.fixture
def snapshot(connection: Connection) -> Catalog:
    return catalog.read(connection)


def _query(sql: str, calls: int = 100) -> WorkloadQuery:
    parts = sql.split("%s")
    numbered = "".join(f"{part}${n}" for n, part in enumerate(parts[:-1], 1)) + parts[-1]
    text = redact(numbered)
    return WorkloadQuery(fingerprint(text), text, calls, 10.0)


def _demo() -> list[WorkloadQuery]:
    return [_query(operation.sql, round(operation.weight * 100)) for operation in OPERATIONS]


def _oids(snapshot: Catalog) -> list[int]:
    return [index.oid for index in snapshot.indexes]


def _keys(definition: IndexDefinition) -> tuple[str, ...]:
    return tuple(key.expression for key in definition.keys)


@pytest.mark.pg(">= 16")
def test_the_demo_is_advised_its_useful_indexes_and_nothing_is_left(
    connection: Connection, snapshot: Catalog
) -> None:
    declared = IndexDefinition("mail", "public", "users", "btree", (IndexKey("email"),))

    advice = advisor.advise(connection, _demo(), snapshot, [declared], Index(), allow_lock=True)

    first = {(one.index.table, one.index.keys[0].expression) for one in advice}
    assert {
        ("users", "email"),
        ("user_progress", "user_id"),
        ("project_submissions", "user_id"),
    } <= first
    assert all(one.saving is not None and one.saving >= 0.5 for one in advice)
    assert all(one.size_bytes for one in advice)
    by_table = {one.index.table: one for one in advice}
    assert by_table["users"].covered_by_declared == "mail"
    assert by_table["user_progress"].covered_by_declared is None
    assert _oids(catalog.read(connection)) == _oids(snapshot)


@pytest.mark.pg(">= 16")
def test_each_advised_index_is_used_once_it_is_there(
    demo_dsn: str, connection: Connection, snapshot: Catalog
) -> None:
    query = _query("SELECT id FROM users WHERE email = %s")
    (advice,) = advisor.advise(connection, [query], snapshot, [], Index(), allow_lock=True)
    with psycopg.connect(demo_dsn) as trial:
        trial.execute(advice.create_sql.replace(" CONCURRENTLY", "").encode())
        plan = trial.execute("EXPLAIN SELECT id FROM users WHERE email = 'a'").fetchall()
        trial.rollback()

    assert advice.index.name in str(plan)
    assert advice.to_dict()["proven"] is True
    assert advice.queries == (query.fingerprint,)


@pytest.mark.pg(">= 16")
def test_gin_is_advised_for_containment(pg_dsn: str) -> None:
    query = _query("SELECT id FROM docs WHERE tags @> %s::text[]")
    with connect(pg_dsn) as connection:
        connection.execute(
            "CREATE TABLE docs (id int, tags text[], filler text);"
            "INSERT INTO docs SELECT n, ARRAY['t' || n % 500, 'u' || n % 70], repeat('x', 200)"
            " FROM generate_series(1, 5000) n; ANALYZE docs"
        )
        snapshot = catalog.read(connection)
        (advice,) = advisor.advise(connection, [query], snapshot, [], Index(), allow_lock=True)

    assert (advice.index.method, _keys(advice.index)) == ("gin", ("tags",))


def test_a_proof_without_leave_to_lock_is_refused(
    connection: Connection, snapshot: Catalog
) -> None:
    with pytest.raises(UsageError, match="makes writers wait"):
        advisor.advise(connection, _demo(), snapshot, [], Index())


def test_a_proof_does_not_wait_long_for_a_writer(
    demo_dsn: str, connection: Connection, snapshot: Catalog
) -> None:
    with psycopg.connect(demo_dsn) as writer:
        writer.execute("UPDATE users SET streak_days = 0 WHERE id = 1")
        with pytest.raises(QueryFailed, match="55P03"):
            advisor.advise(connection, _demo(), snapshot, [], Index(), allow_lock=True)
        writer.rollback()
    assert _oids(catalog.read(connection)) == _oids(snapshot)


def test_what_cannot_be_explained_is_left_out(connection: Connection, snapshot: Catalog) -> None:
    broken = [_query("SELECT nothing FROM users WHERE email = %s"), _query("not sql at all")]

    assert advisor.advise(connection, broken, snapshot, [], Index(), allow_lock=True) == []


def test_candidates_without_proof_say_so(snapshot: Catalog) -> None:
    advice = advisor.suggest(_demo(), snapshot, [])

    assert ("user_progress", ("user_id", "lesson_id")) in {
        (one.index.table, _keys(one.index)) for one in advice
    }
    assert not any(one.proven for one in advice)
    assert advice[0].to_dict()["saving"] is None


def test_what_an_index_covers_is_no_candidate(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE INDEX there ON users (email, id)")
        query = _query("SELECT id FROM users WHERE email = %s")
        assert candidates([query], catalog.read(connection)) == []


def test_the_workload_is_read_from_pg_stat_statements(connection: Connection) -> None:
    connection.execute("SELECT pg_stat_statements_reset()")
    for mail in ("'a'", "'b'", "'c'"):
        connection.execute(f"SELECT id FROM users WHERE email = {mail}".encode())
    catalog.read(connection)

    (query,) = workload.read(connection)

    expected = redact("SELECT id FROM users WHERE email = 'a'")
    assert (query.text, query.fingerprint) == (expected, fingerprint(expected))
    assert query.calls == 3
    assert query.mean_ms > 0


def test_without_the_extension_it_says_what_to_do(pg_conn: psycopg.Connection, pg_dsn: str) -> None:
    pg_conn.execute("DROP EXTENSION pg_stat_statements")

    with connect(pg_dsn) as bare, pytest.raises(UsageError, match="CREATE EXTENSION"):
        workload.read(bare)


def test_two_entries_of_one_statement_are_one() -> None:
    one = WorkloadQuery(1, "SELECT 1", 10, 2.0)

    assert workload.merged(one, replace(one, calls=30, mean_ms=6.0)) == WorkloadQuery(
        1, "SELECT 1", 40, 5.0
    )


def test_a_table_whose_values_no_btree_holds_costs_nobody_else_the_proof(pg_dsn: str) -> None:
    """54000: a row of a btree takes 2.7 kB at most."""
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE notes (id int, body text)")
        made.execute(
            "INSERT INTO notes SELECT n, (SELECT string_agg(md5(n || 'x' || m), '')"
            " FROM generate_series(1, 300) m) FROM generate_series(1, 2000) n"
        )
        made.execute("ANALYZE notes")
        queries = [
            _query("SELECT * FROM notes WHERE id = %s"),
            _query("SELECT * FROM notes WHERE body = %s"),
        ]

        found = advisor.advise(made, queries, catalog.read(made), [], Index(), allow_lock=True)

    assert [("id",)] == [_keys(advice.index) for advice in found]


def test_a_comment_in_front_hides_no_statement(pg_dsn: str) -> None:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE tagged (id int)")
        made.execute("/* route='a' */ SELECT id FROM tagged WHERE id = 1")
        made.execute("-- a\n(SELECT id FROM tagged) UNION SELECT 2")

        texts = {query.text for query in workload.read(made)}

    assert {
        "SELECT id FROM tagged WHERE id = $1",
        "(SELECT id FROM tagged) UNION SELECT $1",
    } <= texts
