from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.index.audit import audit
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index
from dbopt.sql.findings import Finding, Severity
from tests.support import wait_until

SETTINGS = Index(min_table_rows=100, seq_scan_rows=500)
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, name text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, note text, at date);
INSERT INTO users SELECT n, 'u' || n, 'x' FROM generate_series(1, 200) n;
INSERT INTO orders SELECT n, n % 200 + 1, 'note', '2026-01-01' FROM generate_series(1, 1000) n;
ANALYZE users, orders;
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(SCHEMA)
        yield made


def _found(connection: Connection, rule: str) -> list[Finding]:
    return [f for f in audit(catalog.read(connection), SETTINGS) if f.rule == rule]


def _objects(connection: Connection, rule: str) -> list[str]:
    return [finding.object for finding in _found(connection, rule)]


def test_a_foreign_key_without_an_index_is_found_and_its_remedy_works(
    connection: Connection,
) -> None:
    (finding,) = _found(connection, "missing_foreign_key_index")

    assert finding.object == "public.orders(user_id)"
    assert finding.severity is Severity.WARNING
    assert finding.evidence["rows"] == 1000
    connection.execute(finding.remedy.encode())
    assert _found(connection, "missing_foreign_key_index") == []


@pytest.mark.parametrize(
    ("index", "serves"),
    [
        ("(user_id, at)", True),
        ("(at, user_id)", False),
        ("(user_id) WHERE user_id IS NOT NULL", True),
        ("(user_id) WHERE at > '2026-01-01'", False),
        ("USING hash (user_id)", True),
        ("USING brin (user_id)", False),
        ("((user_id + 1))", False),
    ],
)
def test_which_index_serves_a_foreign_key(connection: Connection, index: str, serves: bool) -> None:
    connection.execute(f"CREATE INDEX ON orders {index}".encode())

    assert (_found(connection, "missing_foreign_key_index") == []) is serves


def test_the_columns_of_a_foreign_key_may_come_in_any_order(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE two (a int, b int, UNIQUE (a, b));"
        "CREATE TABLE refers (b int, a int, FOREIGN KEY (a, b) REFERENCES two (a, b));"
        "INSERT INTO refers SELECT NULL, n FROM generate_series(1, 200) n; ANALYZE refers"
    )
    assert "public.refers(a, b)" in _objects(connection, "missing_foreign_key_index")
    connection.execute("CREATE INDEX ON refers (b, a)")
    assert "public.refers(a, b)" not in _objects(connection, "missing_foreign_key_index")


def test_a_small_table_is_no_finding(connection: Connection) -> None:
    connection.execute("DELETE FROM orders WHERE id > 50")
    connection.execute("VACUUM ANALYZE orders")

    assert _found(connection, "missing_foreign_key_index") == []


def test_an_unused_index_is_found(connection: Connection) -> None:
    connection.execute("CREATE INDEX orders_note ON orders (note)")

    (finding,) = _found(connection, "unused")

    assert finding.object == "public.orders_note"
    # The counters are minutes old: that is too short to be sure.
    assert finding.severity is Severity.INFO
    assert finding.remedy == "DROP INDEX CONCURRENTLY public.orders_note;"
    assert finding.evidence["size_bytes"] > 0


def test_a_used_index_is_not(connection: Connection) -> None:
    connection.execute("CREATE INDEX orders_note ON orders (note)")
    connection.execute("SET enable_seqscan = off")
    connection.execute("SELECT count(*) FROM orders WHERE note = 'x'")
    connection.execute("SELECT pg_stat_force_next_flush()")

    assert _found(connection, "unused") == []


def test_what_is_needed_is_never_unused(connection: Connection) -> None:
    connection.execute(
        "CREATE INDEX orders_user ON orders (user_id);"
        "CREATE UNIQUE INDEX orders_unique ON orders (at, id);"
        "ALTER TABLE orders ALTER at SET NOT NULL, ALTER id SET NOT NULL;"
        "ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_unique"
    )

    assert _found(connection, "unused") == []


def test_a_duplicate_is_found_and_one_of_the_two_is_kept(connection: Connection) -> None:
    connection.execute("CREATE INDEX b_twin ON orders (note); CREATE INDEX a_twin ON orders (note)")

    (finding,) = _found(connection, "duplicate")

    assert (finding.object, finding.evidence["twin"]) == ("public.b_twin", "public.a_twin")
    assert _objects(connection, "unused") == ["public.a_twin"]


def test_the_used_twin_is_kept(connection: Connection) -> None:
    connection.execute("CREATE INDEX b_twin ON orders (note)")
    connection.execute("SET enable_seqscan = off")
    connection.execute("SELECT count(*) FROM orders WHERE note = 'x'")
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("CREATE INDEX a_twin ON orders (note)")

    assert _objects(connection, "duplicate") == ["public.a_twin"]


def test_the_twin_of_a_constraint_goes_never_the_constraint(connection: Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX a_twin ON users (email)")

    assert _objects(connection, "duplicate") == ["public.a_twin"]


@pytest.mark.parametrize(
    "other",
    [
        "(note DESC)",
        "(note text_pattern_ops)",
        '(note COLLATE "POSIX")',
        "(lower(note))",
        "(note) WHERE id > 5",
        "USING hash (note)",
    ],
)
def test_indexes_that_differ_are_no_twins(connection: Connection, other: str) -> None:
    connection.execute("CREATE INDEX ON orders (note)")
    connection.execute(f"CREATE INDEX ON orders {other}".encode())

    assert _found(connection, "duplicate") == []


def test_a_prefix_is_redundant(connection: Connection) -> None:
    connection.execute(
        "CREATE INDEX short ON orders (note); CREATE INDEX long ON orders (note, at)"
    )

    (finding,) = _found(connection, "redundant")

    assert finding.object == "public.short"
    assert finding.evidence["covered_by"] == "public.long"


def test_a_unique_index_is_not_redundant_nor_a_wrong_prefix(connection: Connection) -> None:
    connection.execute(
        "CREATE UNIQUE INDEX u ON orders (id); CREATE INDEX long ON orders (id, at);"
        "CREATE INDEX last ON orders (at)"
    )

    assert _found(connection, "redundant") == []


def test_the_first_column_is_no_prefix_of_the_tenth(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE wide (c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int,"
        " c9 int, c10 int); CREATE INDEX ON wide (c1); CREATE INDEX ON wide (c10, c1)"
    )

    assert _found(connection, "redundant") == []


def test_an_invalid_index_is_critical_and_can_be_rebuilt(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY u ON orders (note)")

    (finding,) = _found(connection, "invalid")

    assert finding.severity is Severity.CRITICAL
    connection.execute("UPDATE orders SET note = id::text")
    connection.execute(finding.remedy.encode())
    assert _found(connection, "invalid") == []


def test_without_the_privilege_an_invalid_index_may_be_being_built(
    connection: Connection, pg_dsn: str
) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY u ON orders (note)")
    connection.execute("DROP ROLE IF EXISTS dbopt_reader; CREATE ROLE dbopt_reader LOGIN")

    with connect(make_conninfo(pg_dsn, user="dbopt_reader")) as limited:
        (finding,) = _found(limited, "invalid")

    assert not finding.examined
    assert "pg_read_all_stats" in finding.remedy


def test_a_table_that_is_read_from_end_to_end_is_found(connection: Connection) -> None:
    for _ in range(12):
        connection.execute("SELECT count(*) FROM orders WHERE note = 'x'")
    connection.execute("SELECT pg_stat_force_next_flush()")
    wait_until(lambda: _found(connection, "seq_scan"), what="the counters")

    (finding,) = _found(connection, "seq_scan")

    assert finding.object == "public.orders"
    assert finding.evidence["rows_per_scan"] >= 500


def test_a_table_that_is_searched_is_not(connection: Connection) -> None:
    for _ in range(12):
        connection.execute("SELECT note FROM orders WHERE id = 5")
    connection.execute("SELECT pg_stat_force_next_flush()")

    assert _found(connection, "seq_scan") == []
