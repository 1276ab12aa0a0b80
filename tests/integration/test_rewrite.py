from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbopt.pg import results
from dbopt.pg import rewrite as module
from dbopt.pg.connect import Connection, connect
from dbopt.pg.rewrite import RewriteCheck, check_rewrite
from dbopt.pg.schema import read_schema
from tests.integration.rewrite_cases import DDL, EQUAL, NOT_EXAMINED, TEMPTING, UNEQUAL


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(DDL)
        yield made


def check(connection: Connection, original: str, rewrite: str) -> RewriteCheck:
    before = _state(connection)
    found = check_rewrite(connection, original, rewrite, read_schema(connection))
    assert before == _state(connection)
    return found


def _state(connection: Connection) -> list[dict[str, object]]:
    """What must not change: the rows, the temporary tables, the prepared statements."""
    return connection.execute(
        "SELECT (SELECT sum(hashtext(p::text)) FROM people p) AS people,"
        " (SELECT sum(hashtext(o::text)) FROM app.orders o) AS orders,"
        " (SELECT count(*) FROM pg_class WHERE relpersistence = 't') AS temporary,"
        " (SELECT count(*) FROM pg_prepared_statements) AS prepared,"
        " current_setting('transaction_read_only') AS read_only"
    ).fetchall()


def test_an_equal_and_cheaper_rewrite_is_offered(connection: Connection) -> None:
    found = check(
        connection,
        "SELECT id FROM people WHERE age + 0 = 30 ORDER BY id",
        "SELECT id FROM people WHERE age = 30 ORDER BY id",
    )
    assert (True, True, "") == (found.offered, found.equal, found.why)
    assert found.compared_rows > 0
    assert found.cost_before is not None
    assert found.cost_after is not None
    assert found.cost_after < found.cost_before


def test_a_dearer_rewrite_is_not_run(connection: Connection) -> None:
    found = check(
        connection,
        "SELECT id FROM people WHERE age = 30",
        "SELECT id FROM people WHERE age + 0 = 30",
    )
    assert (None, False, False) == (found.equal, found.lower, found.offered)
    assert "Not examined: the planner expects it to cost no less." == found.why


@pytest.mark.parametrize(
    ("column", "equal"), [("giver", False), ("person", True)], ids=["nullable", "not null"]
)
def test_not_in_is_not_exists_where_there_is_no_null(
    connection: Connection, column: str, equal: bool
) -> None:
    # No giver is NULL today: only the rows that are added show the difference.
    connection.execute("SET work_mem = '64kB'")  # too little to hash the subquery
    found = check(
        connection,
        f"SELECT p.id FROM people p WHERE p.id NOT IN (SELECT {column} FROM app.orders)"
        " AND p.age < 50",
        "SELECT p.id FROM people p WHERE p.age < 50 AND NOT EXISTS"
        f" (SELECT 1 FROM app.orders AS o WHERE o.{column} = p.id)",
    )
    assert equal is found.equal
    assert equal is found.offered


@pytest.mark.parametrize(("original", "rewrite"), TEMPTING)
def test_what_is_wrong_on_rows_that_may_come_is_seen(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, original: str, rewrite: str
) -> None:
    # That some of them are dearer is not what this is about.
    monkeypatch.setattr(module, "_need_cheaper", lambda *_: None)
    found = check(connection, original, rewrite)
    assert found.equal is False, found


@pytest.mark.parametrize(("original", "rewrite", "why"), UNEQUAL)
def test_what_differs_is_seen(
    connection: Connection, original: str, rewrite: str, why: str
) -> None:
    found = check(connection, original, rewrite)
    if found.equal is None and "cost no less" in found.why:
        pytest.fail(f"the test's rewrite is no cheaper: {found}")
    assert found.equal is False
    assert why in found.why
    assert not found.offered


@pytest.mark.parametrize(("original", "rewrite"), EQUAL)
def test_what_is_equal_is_seen(connection: Connection, original: str, rewrite: str) -> None:
    found = check(connection, original, rewrite)

    assert (True, "") == (found.equal, found.why)
    assert found.compared_rows > 0


@pytest.mark.parametrize(("original", "rewrite", "why"), NOT_EXAMINED)
def test_what_cannot_be_examined_says_why(
    connection: Connection, original: str, rewrite: str, why: str
) -> None:
    found = check(connection, original, rewrite)

    assert (None, False) == (found.equal, found.offered)
    assert why in found.why


def test_another_kind_of_statement_is_different(connection: Connection) -> None:
    found = check(connection, "DELETE FROM people", "SELECT id FROM people WHERE age = 1")

    assert (False, False) == (found.equal, found.offered)
    assert "another kind of statement" in found.why


def test_a_result_too_large_is_not_read_to_its_end(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST_RESULT_ROWS", 1000)
    found = check(
        connection,
        "SELECT a.id FROM people a JOIN people b ON a.age = b.age AND a.mail || b.mail <> ''",
        "SELECT a.id FROM people a JOIN people b ON a.age = b.age",
    )
    assert None is found.equal
    assert "samples of its tables give too many rows" in found.why


def test_an_endless_statement_is_cancelled(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATEMENT_TIMEOUT", 0.2)
    many = ", ".join(f"people p{n}" for n in range(5))
    found = check(
        connection,
        f"SELECT count(*) FROM {many} WHERE p1.age + 0 < 90",
        f"SELECT count(*) FROM {many} WHERE p1.age = 90",
    )
    assert None is found.equal
    assert "57014" in found.why


def test_a_check_has_a_limit_of_its_own(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOTAL_TIMEOUT", 0.0)
    found = check(
        connection,
        "SELECT id FROM people WHERE age + 0 = 4",
        "SELECT id FROM people WHERE age = 4",
    )
    assert (None, "Not examined: it takes too long.") == (found.equal, found.why)


def test_a_table_that_somebody_has_locked(connection: Connection, pg_dsn: str) -> None:
    schema = read_schema(connection)
    with connect(pg_dsn) as other, other.transaction():
        other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        found = check_rewrite(connection, "SELECT id FROM people", "SELECT 1 AS id", schema)
    assert None is found.equal
    assert "55P03" in found.why


def test_a_role_that_may_only_read(connection: Connection) -> None:
    connection.execute("CREATE ROLE dbopt_rewrite_reader")
    try:
        connection.execute("GRANT SELECT ON people TO dbopt_rewrite_reader")
        connection.execute("SET ROLE dbopt_rewrite_reader")
        schema = read_schema(connection)
        plain = ("SELECT id FROM people WHERE age + 0 = 4", "SELECT id FROM people WHERE age = 4")
        assert check_rewrite(connection, *plain, schema).offered
        found = check_rewrite(
            connection, "SELECT id FROM app.orders", "SELECT id FROM app.orders LIMIT 1", schema
        )
        assert (None, None) == (found.equal, found.cost_before)
        assert "42501" in found.why
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY dbopt_rewrite_reader; DROP ROLE dbopt_rewrite_reader")


def test_inside_a_callers_transaction(connection: Connection) -> None:
    schema = read_schema(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("UPDATE people SET age = 4")
        found = check_rewrite(
            connection,
            "SELECT id FROM people WHERE age + 0 = 4",
            "SELECT id FROM people WHERE age = 4",
            schema,
        )
        assert found.equal is True
        connection.execute("UPDATE people SET age = 5")


def test_an_older_server(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as connection:
        connection.execute(DDL)
        for original, rewrite in EQUAL[:3]:
            found = check(connection, original, rewrite)
            assert (True, "") == (found.equal, found.why)


def test_a_superuser_runs_nobody_elses_functions(connection: Connection) -> None:
    pair = ("SELECT id FROM people WHERE age + 0 = 4", "SELECT id FROM people WHERE age = 4")
    connection.execute("CREATE ROLE dbopt_rewrite_other")
    try:
        connection.execute(
            "CREATE FUNCTION app.theirs(int) RETURNS boolean LANGUAGE sql IMMUTABLE"
            " AS 'SELECT true';"
            "ALTER FUNCTION app.theirs OWNER TO dbopt_rewrite_other;"
            "ALTER TABLE people ADD CONSTRAINT spying CHECK (app.theirs(age))"
        )
        found = check(connection, *pair)
        assert None is found.equal
        assert "functions of other roles would run with a superuser's rights" in found.why

        connection.execute("ALTER FUNCTION app.theirs OWNER TO CURRENT_USER")
        assert check(connection, *pair).offered

        connection.execute("CREATE DOMAIN app.aged AS int CHECK (app.theirs(VALUE))")
        connection.execute("ALTER TABLE people DROP CONSTRAINT spying")
        connection.execute("ALTER TABLE people ALTER age TYPE app.aged")
        connection.execute("ALTER FUNCTION app.theirs OWNER TO dbopt_rewrite_other")
        assert None is check(connection, *pair).equal
    finally:
        connection.execute("DROP OWNED BY dbopt_rewrite_other CASCADE")
        connection.execute("DROP ROLE dbopt_rewrite_other")


STRANGE = """
CREATE TYPE "My Mood" AS ENUM ('sad', 'it''s fine');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE "Odd {table}" (
    "Id %s" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mood "My Mood",
    level small NOT NULL CHECK (level > 0),
    doubled int GENERATED ALWAYS AS (level * 2) STORED,
    both_ pair,
    many int[],
    doc json,
    span int4range,
    at timestamptz DEFAULT now(),
    code char(5),
    EXCLUDE USING gist (span WITH &&),
    UNIQUE (level, code) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "Odd {table}" (mood, level, both_, many, doc, span, at, code)
    SELECT (ARRAY['sad', 'it''s fine', NULL]::"My Mood"[])[1 + n % 3], 1 + n % 99,
           (n, 'x'::text)::pair, ARRAY[n, n + 1], '{"a": 1}', int4range(n, n + 1), 'infinity', n
      FROM generate_series(1, 3000) n;
CREATE INDEX ON "Odd {table}" (level);
CREATE TABLE parts (id int, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO parts SELECT n, '2024-01-01'::date + n % 300 FROM generate_series(1, 5000) n;
CREATE INDEX ON parts (at);
CREATE MATERIALIZED VIEW kept AS SELECT id, at FROM parts;
CREATE INDEX ON kept (id);
ANALYZE;
"""


@pytest.mark.parametrize(
    ("original", "rewrite"),
    [
        (
            'SELECT * FROM "Odd {table}" WHERE level + 0 = 7 ORDER BY "Id %s"',
            'SELECT * FROM "Odd {table}" WHERE level = 7 ORDER BY "Id %s"',
        ),
        (
            'SELECT "Id %s" FROM "Odd {table}" WHERE level + 0 = $1 AND mood = $2 AND code = $3',
            'SELECT "Id %s" FROM "Odd {table}" WHERE level = $1 AND mood = $2 AND code = $3',
        ),
        (
            "SELECT id FROM parts WHERE at + 0 BETWEEN '2024-02-01' AND '2024-02-03'",
            "SELECT id FROM parts WHERE at BETWEEN '2024-02-01' AND '2024-02-03'",
        ),
        ("SELECT at FROM kept WHERE id + 0 = 5", "SELECT at FROM kept WHERE id = 5"),
    ],
)
def test_strange_tables(pg_dsn: str, original: str, rewrite: str) -> None:
    with connect(pg_dsn) as connection:
        connection.execute(STRANGE.encode())
        found = check_rewrite(connection, original, rewrite, read_schema(connection))
        assert (True, "") == (found.equal, found.why)
