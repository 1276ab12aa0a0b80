"""op.create_index_safely and op.drop_index_safely in environments that applications have."""

from __future__ import annotations

import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.migrate import runner
from dbopt.settings import Server as Served
from dbopt.settings import Settings
from tests.fix_gateway import GatewayFactory
from tests.fix_pg import Server, fresh_database
from tests.integration.alembic_support import (
    ALONE,
    ASYNC,
    EACH_ITS_OWN,
    ONE_TRANSACTION,
    Application,
    url_of,
)
from tests.support import wait_until

TABLE = 'op.execute("CREATE TABLE people (id int, mail text, gone boolean)")'
GONE = 'op.execute("DROP TABLE people")'
PLAIN = 'op.create_index_safely("people_mail", "people", ["mail"])'
UNPLAIN = 'op.drop_index_safely("people_mail", "people")'
BOTH = [f'op.create_index_safely("people_{one}", "people", ["{one}"])' for one in ("id", "gone")]
BOTH_GONE = [f'op.drop_index_safely("people_{one}", "people")' for one in ("id", "gone")]
AUTOBEGUN = """
        connection.execute(text("SELECT 1"))
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
"""


def block(*calls: str) -> str:
    """The calls as `dbopt index revision` writes them."""
    return "\n        ".join(["with op.get_context().autocommit_block():", *calls])


def indexes(connection: psycopg.Connection) -> dict[str, tuple[str, bool]]:
    """The definition of each index of people, and whether it is valid."""
    rows = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid), i.indisvalid FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
        " WHERE t.relname = 'people'"
    ).fetchall()
    return {name: (sql.partition(" ON ")[2], valid) for name, sql, valid in rows}


def statements(printed: str) -> list[str]:
    """What a script does to transactions, indexes and tables, in its order."""
    return [
        line.partition(" people")[0] if "INDEX" in line else line.partition(" ")[0].rstrip(";")
        for line in printed.splitlines()
        if line.startswith(("BEGIN", "COMMIT", "CREATE INDEX", "DROP INDEX", "INSERT", "VACUUM"))
    ]


@pytest.fixture
def app(tmp_path: Path, pg_dsn: str) -> Application:
    made = Application.make(tmp_path, url_of(pg_dsn))
    made.revision("a1", TABLE, GONE)
    return made


@pytest.mark.parametrize(
    ("driver", "online"),
    [
        ("psycopg", EACH_ITS_OWN),
        ("psycopg", ONE_TRANSACTION),
        ("psycopg2", ONE_TRANSACTION),
        ("asyncpg", ASYNC),
        ("psycopg", ASYNC),
        ("pg8000", EACH_ITS_OWN),
    ],
    ids=["each its own", "one transaction", "psycopg2", "asyncpg", "psycopg async", "pg8000"],
)
def test_up_and_down_in_each_environment(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, driver: str, online: str
) -> None:
    """The revision that makes the table, and writes to it, builds its index too; then a block."""
    app = Application.make(tmp_path, url_of(pg_dsn, driver), online)
    fill = """op.execute("INSERT INTO people SELECT n, 'm' || n FROM generate_series(1, 99) n")"""
    app.revision("a1", f"{TABLE}\n    {fill}\n    {PLAIN}\n    {fill}", f"{UNPLAIN}\n    {GONE}")
    app.revision("a2", block(*BOTH), block(*BOTH_GONE), after="a1")

    app.upgrade()

    assert indexes(pg_conn) == {
        "people_gone": ("public.people USING btree (gone)", True),
        "people_id": ("public.people USING btree (id)", True),
        "people_mail": ("public.people USING btree (mail)", True),
    }
    assert pg_conn.execute("SELECT count(*) FROM people").fetchone() == (198,)
    assert pg_conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("a2",)]
    app.downgrade("base")
    assert indexes(pg_conn) == {}
    assert pg_conn.execute("SELECT version_num FROM alembic_version").fetchall() == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('"i", "people", ["id", sa.text("lower(mail)")]', "(id, lower(mail))"),
        (
            '"i", "people", [sa.text("mail DESC NULLS LAST")], postgresql_where=sa.text('
            "\"mail LIKE 'x%' AND NOT gone\")",
            "(mail DESC NULLS LAST) WHERE ((mail ~~ 'x%'::text) AND (NOT gone))",
        ),
        (
            '"i", "people", ["mail"], unique=True, postgresql_include=["id"], '
            'postgresql_concurrently=True, postgresql_ops={"mail": "text_pattern_ops"}',
            "(mail text_pattern_ops) INCLUDE (id)",
        ),
        ('"i", "people", ["id"], postgresql_using="hash", if_not_exists=True', "(id)"),
        ('"CREATE INDEX CONCURRENTLY i ON people USING brin (id)"', "(id)"),
    ],
)
def test_the_arguments_of_create_index_mean_the_same(
    app: Application, pg_conn: psycopg.Connection, call: str, expected: str
) -> None:
    app.revision("a2", f"op.create_index_safely({call})", after="a1")

    app.upgrade()

    definition, valid = indexes(pg_conn)["i"]
    assert (valid, definition.partition(" (")[2]) == (True, expected[1:])


def test_what_is_there_is_kept_renamed_mended_or_replaced(
    app: Application, pg_conn: psycopg.Connection
) -> None:
    app.upgrade()
    pg_conn.execute("INSERT INTO people VALUES (1, 'a'), (1, 'a')")
    pg_conn.execute("CREATE INDEX kept ON people (id)")
    pg_conn.execute("CREATE INDEX other_name ON people (mail)")
    pg_conn.execute("CREATE INDEX another ON people (gone)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        pg_conn.execute("CREATE UNIQUE INDEX CONCURRENTLY invalid ON people (mail, id)")
    pg_conn.execute("DELETE FROM people")
    oid = pg_conn.execute("SELECT 'other_name'::regclass::oid").fetchone()
    calls = [
        '"kept", "people", ["id"]',
        '"people_mail", "people", ["mail"]',
        '"CREATE UNIQUE INDEX invalid ON people (mail, id)"',
        '"another", "people", ["gone", "id"]',
    ]
    app.revision("a2", "\n    ".join(f"op.create_index_safely({c})" for c in calls), after="a1")

    app.upgrade()

    assert indexes(pg_conn) == {
        "kept": ("public.people USING btree (id)", True),
        "people_mail": ("public.people USING btree (mail)", True),
        "invalid": ("public.people USING btree (mail, id)", True),
        "another": ("public.people USING btree (gone, id)", True),
    }
    assert pg_conn.execute("SELECT 'people_mail'::regclass::oid").fetchone() == oid


def test_a_build_that_fails_says_why_and_the_next_upgrade_goes_on_from_there(
    app: Application, pg_conn: psycopg.Connection
) -> None:
    app.upgrade()
    pg_conn.execute("INSERT INTO people VALUES (1, 'secret'), (1, 'secret')")
    unique = PLAIN.replace("]", "], unique=True")
    app.revision("a2", block(BOTH[0], unique), block(UNPLAIN, BOTH_GONE[0]), after="a1")

    with pytest.raises(CommandError, match=r"unique, and rows of people are not") as caught:
        app.upgrade("+1")

    assert "secret" not in str(caught.value)
    assert indexes(pg_conn) == {"people_id": ("public.people USING btree (id)", True)}
    assert pg_conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("a1",)]
    oid = pg_conn.execute("SELECT 'people_id'::regclass::oid").fetchone()
    pg_conn.execute("DELETE FROM people")
    app.upgrade("+1")
    assert sorted(indexes(pg_conn)) == ["people_id", "people_mail"]
    assert oid == pg_conn.execute("SELECT 'people_id'::regclass::oid").fetchone()
    app.downgrade("-1")
    assert indexes(pg_conn) == {}


@pytest.mark.parametrize("call", [PLAIN, block(PLAIN)], ids=["alone", "in a block"])
def test_a_foreign_transaction_is_refused_in_words(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, call: str
) -> None:
    app = Application.make(tmp_path, url_of(pg_dsn), AUTOBEGUN)
    app.revision("a1", f"{TABLE}\n    {call}")
    with pytest.raises(CommandError, match=r"does not own the transaction.*context\.configure"):
        app.upgrade()
    assert indexes(pg_conn) == {}


def test_drop_knows_which_index_is_meant(app: Application, pg_conn: psycopg.Connection) -> None:
    app.upgrade()
    pg_conn.execute("CREATE INDEX other ON people (id)")
    pg_conn.execute("CREATE INDEX gone ON people (mail)")
    pg_conn.execute("CREATE UNIQUE INDEX single ON people (id, mail)")
    pg_conn.execute("ALTER TABLE people ADD CONSTRAINT pk PRIMARY KEY (id)")
    calls = [
        '"other", "pets"',  # another table's
        '"CREATE INDEX gone ON people (id, mail)"',  # another meaning's
        '"nowhere"',
        '"gone", schema="public"',
        '"single"',
    ]
    app.revision("a2", "\n    ".join(f"op.drop_index_safely({c})" for c in calls), after="a1")
    app.upgrade()
    assert sorted(indexes(pg_conn)) == ["other", "pk"]

    app.revision("a3", 'op.drop_index_safely("pk")', after="a2")
    with pytest.raises(CommandError, match=r'"pk" cannot be dropped: it is a constraint'):
        app.upgrade()


def test_offline_the_statements_stand_outside_of_transactions(app: Application) -> None:
    app.revision("a2", PLAIN, UNPLAIN, after="a1")

    printed = app.upgrade("a1:a2", sql=True)

    lines = [line for line in printed.splitlines() if line]
    start = lines.index("COMMIT;")
    assert lines[start + 1 : lines.index("BEGIN;", start)] == [
        "SET lock_timeout = 0;",
        "SET statement_timeout = '3600s';",
        "-- dbopt:ignore prefer-robust-stmts with a connection it finds what a failed one has left",
        "-- If this fails it leaves an invalid index people_mail: drop it, then try again.",
        "CREATE INDEX CONCURRENTLY people_mail ON people USING btree (mail);",
        "RESET statement_timeout;",
        "RESET lock_timeout;",
    ]
    assert "DROP INDEX CONCURRENTLY IF EXISTS" in app.downgrade("a2:a1", sql=True)


@pytest.mark.parametrize("online", [EACH_ITS_OWN, ONE_TRANSACTION], ids=["each", "one"])
def test_offline_a_block_around_several_is_one_and_psql_runs_it(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, online: str
) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("missing: psql")
    app = Application.make(tmp_path, url_of(pg_dsn), online)
    env = app.place / "alembic/env.py"
    if "per_migration" in online:
        offline = "literal_binds=True, transaction_per_migration=True"
        env.write_text(env.read_text().replace("literal_binds=True", offline))
    app.revision("a1", TABLE, GONE)
    fill = 'op.execute("INSERT INTO people VALUES (1)")'
    vacuum = 'op.execute("VACUUM people")'
    up = "\n    ".join([fill, block(BOTH[0], vacuum, BOTH[1]), fill, PLAIN])
    app.revision("a2", up, block(*BOTH_GONE, UNPLAIN), after="a1")

    printed = app.upgrade("a1:a2", sql=True)

    assert statements(printed) == [
        *("BEGIN", "INSERT", "COMMIT"),
        *("CREATE INDEX CONCURRENTLY", "VACUUM", "CREATE INDEX CONCURRENTLY"),
        *("BEGIN", "INSERT", "COMMIT", "CREATE INDEX CONCURRENTLY", "BEGIN", "COMMIT"),
    ]
    app.upgrade("a1")
    for script in (printed, app.downgrade("a2:a1", sql=True), printed):
        done = subprocess.run(
            [psql, "-XqAt", "-v", "ON_ERROR_STOP=1", pg_dsn],
            input=script, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    assert sorted(indexes(pg_conn)) == ["people_gone", "people_id", "people_mail"]


def test_the_path_and_role_of_alembics_session_hold_for_ours(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    """As environments of several tenants, and of roles without a login, have them."""
    online = EACH_ITS_OWN.replace(
        "        context.configure(",
        """        connection.execute(text("SET search_path TO tenant"))
        connection.execute(text("SET ROLE dbopt_owner"))
        connection.commit()
        context.configure(""",
    )
    pg_conn.execute("DROP ROLE IF EXISTS dbopt_owner; CREATE ROLE dbopt_owner")
    try:
        pg_conn.execute("CREATE SCHEMA tenant AUTHORIZATION dbopt_owner")
        app = Application.make(tmp_path, url_of(pg_dsn), online)
        app.revision("a1", f"{TABLE}\n    {PLAIN}", f"{UNPLAIN}\n    {GONE}")
        app.upgrade()
        assert indexes(pg_conn) == {"people_mail": ("tenant.people USING btree (mail)", True)}
        owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'people_mail'"
        assert pg_conn.execute(owner).fetchone() == ("dbopt_owner",)
        app.downgrade("base")
    finally:
        pg_conn.execute("DROP OWNED BY dbopt_owner CASCADE; DROP ROLE dbopt_owner")


def test_a_direct_address_must_lead_to_the_same_database(
    app: Application, pg_dsn: str, pg_backend: Server, pg_conn: psycopg.Connection
) -> None:
    app.upgrade()
    app.revision("a2", PLAIN, after="a1")
    with fresh_database(pg_backend) as other, pytest.raises(CommandError, match="not that of the"):
        app.upgrade("head", f"dbopt_dsn={other}")
    away = make_conninfo(pg_dsn, host="127.0.0.1", port=1, password="hunter2")
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1") as caught:
        app.upgrade("head", f"dbopt_dsn={away}")
    assert "hunter2" not in str(caught.value)
    assert indexes(pg_conn) == {}

    app.upgrade("head", f"dbopt_dsn={pg_dsn}")
    assert list(indexes(pg_conn)) == ["people_mail"]


def test_behind_a_pooler_the_direct_address_is_asked_for(
    tmp_path: Path,
    pg_dsn: str,
    pg_conn: psycopg.Connection,
    make_gateway: GatewayFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = make_gateway()
    app = Application.make(tmp_path, url_of(gateway.dsn()))
    app.revision("a1", TABLE, GONE)
    app.upgrade()
    app.revision("a2", PLAIN, after="a1")

    with pytest.raises(CommandError, match=r"connection pooler.*-x dbopt_dsn=DSN"):
        app.upgrade()
    assert indexes(pg_conn) == {}

    app.upgrade("head", f"dbopt_dsn={pg_dsn}")
    assert list(indexes(pg_conn)) == ["people_mail"]
    monkeypatch.setenv("DBOPT_SERVER__DSN", pg_dsn)
    app.revision("a3", PLAIN.replace("people_mail", "again"), after="a2")
    app.upgrade()
    assert list(indexes(pg_conn)) == ["again"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg", "pg8000"])
def test_the_password_of_alembics_connection_is_ours_too(
    tmp_path: Path, scram_server: EmbeddedCluster, driver: str
) -> None:
    """Also one that only env.py knows, since it makes the connections."""
    dsn = scram_server.dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS people, alembic_version")
        app = Application.make(
            tmp_path, url_of(dsn, driver), ASYNC if driver == "asyncpg" else EACH_ITS_OWN
        )
        if driver.startswith("psycopg"):
            env = app.place / "alembic/env.py"
            made = f"creator=lambda: __import__('{driver}').connect({dsn!r}), "
            url = f"'postgresql+{driver}://'"
            text = env.read_text().replace("create_engine(URL, ", f"create_engine({url}, {made}")
            env.write_text(text)
        app.revision("a1", f"{TABLE}\n    {PLAIN}")
        app.upgrade()
        assert list(indexes(connection)) == ["people_mail"]


def test_an_index_of_a_partitioned_table(app: Application, pg_conn: psycopg.Connection) -> None:
    pg_conn.execute("CREATE TABLE days (day int, of text) PARTITION BY RANGE (day)")
    for n in range(3):
        bounds = f"FROM ({n}) TO ({n + 1})"
        pg_conn.execute(f"CREATE TABLE days_{n} PARTITION OF days FOR VALUES {bounds}")
    create, drop = '("days_of", "days", ["of"])', '("days_of", "days")'
    app.revision("a2", f"op.create_index_safely{create}", f"op.drop_index_safely{drop}", "a1")
    count = (
        "SELECT count(*), bool_and(indisvalid) FROM pg_index"
        " WHERE indrelid::regclass::text ~ '^days'"
    )

    app.upgrade()
    assert pg_conn.execute(count).fetchone() == (4, True)
    app.downgrade("a1")
    assert pg_conn.execute(count).fetchone() == (0, None)


def test_what_is_done_is_kept_in_the_store_where_there_is_one(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    runner.upgrade(Settings(server=Served(dsn=pg_dsn)), indexes=False)
    app.revision("a2", PLAIN, UNPLAIN, after="a1")
    runs = "SELECT command, outcome FROM dbopt.index_run ORDER BY began"
    managed = "SELECT count(*) FROM dbopt.managed_index"

    app.upgrade()
    assert pg_conn.execute(runs).fetchall() == [("alembic", "done")]
    assert pg_conn.execute(managed).fetchone() == (1,)
    app.downgrade("a1")
    assert pg_conn.execute(runs).fetchall() == [("alembic", "done")] * 2
    assert pg_conn.execute(managed).fetchone() == (0,)


def test_without_an_environment_the_operations_work_too(
    pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("CREATE TABLE people (id int, mail text, gone boolean)")
    engine = create_engine(url_of(pg_dsn), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction():
            operations: Any = Operations(context)
            operations.execute("INSERT INTO people VALUES (1, 'a')")
            operations.create_index_safely("people_mail", "people", ["mail"])
            operations.execute("INSERT INTO people VALUES (2, 'b')")
    assert list(indexes(pg_conn)) == ["people_mail"]
    assert pg_conn.execute("SELECT count(*) FROM people").fetchone() == (2,)


def test_a_signal_in_the_middle_leaves_no_index(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    app.upgrade()
    app.revision("a2", PLAIN, after="a1")
    with psycopg.connect(pg_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM pg_class")  # a build waits for this snapshot
        process = app.alembic("upgrade", "head")
        wait_until(lambda: indexes(pg_conn), 30, "the build")
        process.terminate()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, out
    assert indexes(pg_conn) == {}


def test_a_build_may_take_longer_than_a_session_may_idle(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    app.upgrade()
    app.revision("a2", PLAIN, after="a1")
    database = pg_conn.info.dbname
    pg_conn.execute(f"ALTER DATABASE {database} SET idle_session_timeout = '800ms'")
    idle = (
        "SELECT 1 FROM pg_stat_progress_create_index, pg_stat_activity a"
        " WHERE a.datname = current_database() AND a.state = 'idle' AND a.application_name = ''"
        " AND a.pid <> pg_backend_pid() AND a.state_change < clock_timestamp() - interval '1.2 s'"
    )
    with ThreadPoolExecutor(1) as pool, psycopg.connect(pg_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM pg_class")  # a build waits for this snapshot
        running = pool.submit(app.upgrade)
        wait_until(lambda: running.done() or pg_conn.execute(idle).fetchone(), 30, "idling")
        reader.rollback()
        running.result(timeout=30)
    assert list(indexes(pg_conn)) == ["people_mail"]


def test_another_database_is_named(tmp_path: Path) -> None:
    app = Application.make(tmp_path, "sqlite://", ALONE)
    app.revision("a1", PLAIN)
    with pytest.raises(CommandError, match=r"PostgreSQL's, and Alembic migrates sqlite"):
        app.upgrade()


def test_an_index_without_a_name_is_refused(app: Application) -> None:
    app.revision("a2", 'op.create_index_safely("CREATE INDEX ON people (id)")', after="a1")
    with pytest.raises(CommandError, match="An index on people has no name"):
        app.upgrade()
