from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import alembic.config
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt import resources
from dbopt.errors import ConnectError, DeclarationError, MigrationError, UsageError
from dbopt.migrate import runner
from dbopt.migrate.lock import KEY, give_back, holder, take
from dbopt.migrate.plan import Action
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Migrate, Server, Settings, Store
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.migrate_support import locked
from tests.support import wait_until

ROOT = Path(__file__).resolve().parents[2]
FIRST = {f"000{number}" for number in range(1, 5)}
"""The revisions before the newest one."""
DECLARED = """
-- why: signing in
CREATE INDEX people_mail ON people (mail);
CREATE UNIQUE INDEX people_lower ON people (lower(mail)) WHERE id > 0;
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        yield made


@pytest.fixture
def settings(connection: Connection, pg_dsn: str, tmp_path: Path) -> Settings:
    connection.execute("CREATE TABLE people (id int, mail text)")
    connection.execute("INSERT INTO people SELECT n, 'm' || n FROM generate_series(1, 200) n")
    (tmp_path / "people.sql").write_text(DECLARED)
    return Settings(
        server=Server(dsn=pg_dsn),
        index=Index(directory=str(tmp_path)),
        migrate=Migrate(lock_timeout=0.5, build_timeout=30, lock_wait=30),
    )


def _states(connection: Connection) -> dict[str, bool]:
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = 'people'::regclass ORDER BY 1"
    ).fetchall()
    return {row["relname"]: row["indisvalid"] for row in rows}


def _alembic(dsn: str, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DBOPT_SERVER__DSN": dsn, "DBOPT_INDEX__DIRECTORY": str(tmp_path)}
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def alembic_here(
    pg_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Runs what `alembic` runs, from the repository's root, for the SQL that it prints."""

    def run(*arguments: str, dsn: str = pg_dsn) -> str:
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("DBOPT_SERVER__DSN", dsn)
        monkeypatch.setenv("DBOPT_INDEX__DIRECTORY", str(tmp_path))
        alembic.config.main(argv=list(arguments), prog="alembic")
        return capfd.readouterr().out

    return run


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out + error


def test_upgrade_downgrade_upgrade(settings: Settings, connection: Connection) -> None:
    assert runner.current(settings) == ""
    first = runner.upgrade(settings)

    assert "0005" == first.revision == runner.current(settings)
    assert [(built.name, built.action) for built in first.indexes] == [
        ("people_mail", Action.CREATE),
        ("people_lower", Action.CREATE),
    ]
    assert _states(connection) == {"people_lower": True, "people_mail": True}

    assert runner.downgrade(settings, "0001").revision == "0001"
    assert _states(connection) == {}
    assert runner.downgrade(settings, "base").revision == ""
    assert runner.upgrade(settings).revision == "0005"
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    assert {built.action for built in runner.upgrade(settings).indexes} == {Action.PRESENT}

    assert runner.downgrade(settings, "base", indexes=False).revision == ""
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_the_own_schema_alone(settings: Settings, connection: Connection) -> None:
    assert runner.upgrade(settings, "0001").revision == "0001"
    assert _states(connection) == {}


def test_the_own_schema_is_whole_without_the_indexes(
    settings: Settings, connection: Connection
) -> None:
    done = runner.upgrade(settings, indexes=False)
    assert ("0005", ()) == (done.revision, done.indexes)
    assert _states(connection) == {}
    connection.execute("SELECT FROM dbopt.quarantine")
    assert runner.upgrade(settings, indexes=False).indexes == ()

    assert {built.action for built in runner.upgrade(settings).indexes} == {Action.CREATE}
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_plain_alembic_at_the_newest_revision_builds_what_was_declared_since(
    settings: Settings,
    connection: Connection,
    pg_dsn: str,
    tmp_path: Path,
    alembic_here: Callable[..., str],
) -> None:
    runner.upgrade(settings)
    (tmp_path / "more.sql").write_text("CREATE INDEX people_more ON people (id, mail);")
    for harmless in (["current"], ["stamp", "head"], ["upgrade", "0004:head", "--sql"]):
        alembic_here(*harmless)
    assert "people_more" not in _states(connection)

    code, output = _finish(_alembic(pg_dsn, tmp_path, "upgrade", "head"))

    assert code == 0, output
    assert _states(connection) == {"people_lower": True, "people_mail": True, "people_more": True}


def test_what_would_take_an_index_away_names_the_command_that_may(
    settings: Settings, connection: Connection, pg_dsn: str, tmp_path: Path
) -> None:
    connection.execute("CREATE INDEX people_mail ON people (id)")
    with pytest.raises(MigrationError) as caught:
        runner.upgrade(settings)
    assert "`dbopt index apply --only people_mail`" in caught.value.hint
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    code, output = _finish(_alembic(pg_dsn, tmp_path, "upgrade", "head"))
    assert code != 0
    assert "dbopt index apply" in output
    assert "Traceback" not in output


def test_a_newer_dbopts_revision_is_named(settings: Settings, connection: Connection) -> None:
    runner.upgrade(settings, indexes=False)
    connection.execute("UPDATE dbopt.alembic_version SET version_num = '0999'")
    for command in (runner.history, runner.upgrade):
        with pytest.raises(UsageError, match=r"'0999'.*is a newer dbopt's"):
            command(settings)


def test_history_says_what_is_applied(settings: Settings) -> None:
    runner.upgrade(settings, "0001")

    assert [
        (revision.revision, revision.revises, revision.applied)
        for revision in runner.history(settings)
    ] == [
        ("0001", "", True),
        ("0002", "0001", False),
        ("0003", "0002", False),
        ("0004", "0003", False),
        ("0005", "0004", False),
    ]


def test_a_leftover_invalid_index_is_rebuilt(settings: Settings, connection: Connection) -> None:
    connection.execute("INSERT INTO people SELECT id, mail FROM people")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY people_lower ON people (lower(mail)) WHERE id > 0"
        )
    assert _states(connection) == {"people_lower": False}
    connection.execute("DELETE FROM people")

    upgraded = runner.upgrade(settings)

    assert Action.REBUILD is upgraded.indexes[1].action
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_a_failed_build_is_taken_up_again(settings: Settings, connection: Connection) -> None:
    connection.execute("INSERT INTO people SELECT id, mail FROM people")

    with pytest.raises(MigrationError, match="unique, and rows of people are not"):
        runner.upgrade(settings)
    # dbopt's own schema is whole all the same.
    assert runner.current(settings) == "0005"
    assert _states(connection) == {"people_mail": True}
    connection.execute("TRUNCATE people")
    assert [built.action for built in runner.upgrade(settings).indexes] == [
        Action.PRESENT,
        Action.CREATE,
    ]


def test_a_missing_table_stops_before_the_first_build(
    settings: Settings, connection: Connection
) -> None:
    Path(settings.index.directory, "z.sql").write_text("\nCREATE INDEX z ON nowhere (a);\n")

    with pytest.raises(MigrationError, match=r"z\.sql:2:1: The table nowhere") as caught:
        runner.upgrade(settings)
    assert "`dbopt migrate upgrade --schema-only`" in caught.value.hint
    assert _states(connection) == {}


def test_a_directory_that_was_configured_must_exist(settings: Settings) -> None:
    wrong = replace(settings, index=Index(directory="/nowhere"))

    with pytest.raises(DeclarationError, match="/nowhere: is no directory"):
        runner.upgrade(wrong)


def test_the_schema_alone_leaves_the_served_database_as_it_is(
    settings: Settings, connection: Connection, pg_backend: Backend
) -> None:
    with fresh_database(pg_backend) as store_dsn:
        apart = replace(settings, store=Store(dsn=store_dsn))
        done = runner.upgrade(apart, indexes=False)
        with connect(store_dsn) as store:
            row = store.execute("SELECT version_num FROM dbopt.alembic_version").fetchone()
    assert row == {"version_num": done.revision}
    row = connection.execute("SELECT to_regnamespace('dbopt') AS schema").fetchone()
    assert row == {"schema": None}


def test_a_store_of_its_own_gets_the_schema_and_no_indexes(
    settings: Settings, connection: Connection, pg_backend: Backend
) -> None:
    with fresh_database(pg_backend) as store_dsn:
        apart = replace(settings, store=Store(dsn=store_dsn))
        assert len(runner.upgrade(apart).indexes) == 2
        with connect(store_dsn) as store:
            row = store.execute("SELECT to_regclass('dbopt.history')::text AS t").fetchone()
        assert row == {"t": "dbopt.history"}
        runner.downgrade(apart, "base")
        with connect(store_dsn) as store:
            row = store.execute("SELECT to_regclass('dbopt.history')::text AS t").fetchone()
        assert row == {"t": None}
    assert _states(connection) == {}


def test_an_unknown_revision_is_a_usage_error(settings: Settings) -> None:
    with pytest.raises(UsageError, match="nonesuch"):
        runner.upgrade(settings, "nonesuch")


def test_a_server_that_is_not_there_is_one_line(settings: Settings) -> None:
    dsn = "host=127.0.0.1 port=1 user=nobody dbname=none"

    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:1/none"):
        runner.upgrade(replace(settings, server=Server(dsn=dsn)))


def test_without_the_privilege_the_answer_is_ours(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    connection.execute("DROP ROLE IF EXISTS dbopt_limited; CREATE ROLE dbopt_limited LOGIN")
    connection.execute("CREATE SCHEMA dbopt; GRANT USAGE ON SCHEMA dbopt TO dbopt_limited")
    dsn = psycopg.conninfo.make_conninfo(pg_dsn, user="dbopt_limited")

    with pytest.raises(MigrationError, match="42501"):
        runner.upgrade(replace(settings, server=Server(dsn=dsn)))


def test_alembic_itself_upgrades_from_the_repository_root(
    settings: Settings, connection: Connection, pg_dsn: str, tmp_path: Path
) -> None:
    code, output = _finish(_alembic(pg_dsn, tmp_path, "upgrade", "head"))

    assert code == 0, output
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    assert runner.current(settings) == "0005"


def test_alembic_takes_a_dsn_by_x(
    settings: Settings, connection: Connection, pg_dsn: str, alembic_here: Callable[..., str]
) -> None:
    alembic_here("-x", f"dsn={pg_dsn}", "upgrade", "head", dsn="host=127.0.0.1 port=1")

    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_alembic_that_cannot_connect_says_so_in_one_line(tmp_path: Path) -> None:
    code, output = _finish(_alembic("host=127.0.0.1 port=1", tmp_path, "upgrade", "head"))

    assert code != 0
    assert "cannot be reached" in output
    assert "Traceback" not in output


def test_alembic_current_changes_nothing(
    settings: Settings, connection: Connection, alembic_here: Callable[..., str]
) -> None:
    alembic_here("current")
    row = connection.execute("SELECT to_regnamespace('dbopt') AS schema").fetchone()
    assert row == {"schema": None}


def test_offline_prints_the_concurrent_statements(
    tmp_path: Path, alembic_here: Callable[..., str]
) -> None:
    (tmp_path / "people.sql").write_text("CREATE INDEX people_mail ON people (mail);")
    output = alembic_here("upgrade", "head", "--sql")

    assert "CREATE SCHEMA IF NOT EXISTS dbopt;" in output
    before, _, after = output.partition("CREATE INDEX CONCURRENTLY")
    # Outside a transaction: COMMIT is the last of the two before it.
    assert before.rindex("COMMIT") > before.rindex("BEGIN")
    assert "people_mail" in after


def test_two_upgrades_at_once_both_end_well(
    settings: Settings, connection: Connection, pg_dsn: str, tmp_path: Path
) -> None:
    connection.execute("INSERT INTO people SELECT n, 'x' || n FROM generate_series(1, 50000) n")
    both = [_alembic(pg_dsn, tmp_path, "upgrade", "head") for _ in range(2)]
    outcomes = [_finish(process) for process in both]

    assert [code for code, _ in outcomes] == [0, 0], outcomes
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_one_that_waits_says_for_whom_and_gives_up(settings: Settings, pg_dsn: str) -> None:
    impatient = replace(settings, migrate=Migrate(lock_wait=0.2))
    with (
        locked(pg_dsn),
        pytest.raises(MigrationError, match=r"pid \d+ user postgres application deploy"),
    ):
        runner.upgrade(impatient)
    assert runner.upgrade(impatient).revision == "0005"


def test_the_lock_is_taken_by_polling_and_given_back(pg_dsn: str) -> None:
    told: list[str] = []
    with connect(pg_dsn) as one, connect(pg_dsn) as two:
        take(one, 1)
        with pytest.raises(MigrationError):
            take(two, 0.1, told.append)
        assert [f"pid {one.info.backend_pid} user postgres application dbopt"] == [
            line.partition(" address")[0] for line in told
        ]
        give_back(one)
        take(two, 1)
        assert str(two.info.backend_pid) in holder(one)
        give_back(two)
        assert holder(one) == "its session has just ended"
        row = one.execute("SELECT pg_try_advisory_lock(%s) AS free", (KEY,)).fetchone()
        assert row == {"free": True}


def test_what_cannot_be_cleaned_up_is_told_and_mended_by_the_next_run(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    """A writer's open transaction stops the build, and the drop of what it left."""
    Path(settings.index.directory, "people.sql").write_text(DECLARED.partition(";")[0] + ";")
    names: set[str] = set()
    tight = replace(settings, migrate=Migrate(lock_timeout=0.05, build_timeout=1))
    with psycopg.connect(pg_dsn) as writer:
        writer.execute("INSERT INTO people VALUES (0, 'new')")
        with pytest.raises(MigrationError, match=r"it waited for pid .*the next run mends it"):
            runner.upgrade(tight, progress=lambda look: names.add(look.name))
        writer.rollback()
    assert names == {"people_mail"}
    assert _states(connection) == {"people_mail": False}
    assert [built.action for built in runner.upgrade(settings).indexes] == [Action.REBUILD]
    assert _states(connection) == {"people_mail": True}


def test_a_role_that_may_not_read_the_revision_is_told_so(
    connection: Connection, settings: Settings
) -> None:
    runner.upgrade(settings, "0001")
    connection.execute("DROP ROLE IF EXISTS dbopt_stranger; CREATE ROLE dbopt_stranger LOGIN")
    stranger = make_conninfo(settings.server.dsn, user="dbopt_stranger")
    try:
        with pytest.raises(MigrationError, match=r"Reading the revision: .* 42501"):
            runner.current(replace(settings, server=Server(dsn=stranger)))
    finally:
        connection.execute("DROP ROLE dbopt_stranger")


def test_a_database_without_an_encoding_is_migrated_too(
    pg_backend: Backend, settings: Settings
) -> None:
    with psycopg.connect(pg_backend.dsn, autocommit=True) as made:
        made.execute("CREATE DATABASE dbopt_ascii TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")
        try:
            dsn = make_conninfo(pg_backend.dsn, dbname="dbopt_ascii")
            plain = replace(settings, server=Server(dsn=dsn))
            assert runner.upgrade(plain, "0001").revision == "0001"
        finally:
            made.execute("DROP DATABASE dbopt_ascii")


def test_a_read_only_session_is_named_as_the_cause(settings: Settings) -> None:
    dsn = make_conninfo(settings.server.dsn, options="-c default_transaction_read_only=on")
    with pytest.raises(MigrationError, match=r"only read \(default_transaction_read_only\)"):
        runner.upgrade(replace(settings, server=Server(dsn=dsn)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_build_leaves_no_index(
    connection: Connection, settings: Settings, pg_dsn: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "dbopt", "--dsn", pg_dsn, "migrate", "upgrade"]
    environment = {**os.environ, "DBOPT_INDEX__DIRECTORY": settings.index.directory}
    with psycopg.connect(pg_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as run:
            wait_until(lambda: "people_mail" in _states(connection), 60, "the build")
            run.send_signal(number)
            _, said = run.communicate(timeout=30)
        reader.rollback()

    assert 128 + number == run.returncode
    assert {} == _states(connection)
    assert 1 == said.decode().count("Stopped. Done: nothing. Left: people_")
    assert 1 == said.decode().count("Stopped")


def test_what_is_declared_later_is_built_by_the_next_upgrade(
    connection: Connection, settings: Settings
) -> None:
    runner.upgrade(settings)
    later = Path(settings.index.directory) / "later.sql"
    later.write_text("CREATE INDEX people_later ON people (id);")
    connection.execute("DROP INDEX people_lower")

    built = {one.name: one.action for one in runner.upgrade(settings).indexes}

    assert {
        "people_later": Action.CREATE,
        "people_mail": Action.PRESENT,
        "people_lower": Action.CREATE,
    } == built
    assert {"people_later": True, "people_lower": True, "people_mail": True} == _states(connection)


def test_an_upgrade_to_the_schema_alone_builds_no_index(
    connection: Connection, settings: Settings
) -> None:
    runner.upgrade(settings, "0001")

    assert () == runner.upgrade(settings, "0001").indexes
    assert {} == _states(connection)


def test_revisions_of_the_users_own_stand_beside_those_of_a_newer_dbopt(
    connection: Connection, settings: Settings, tmp_path: Path
) -> None:
    both = _with_own(settings, tmp_path, "0004", "pass")
    runner.upgrade(both, "own", indexes=False)
    assert {"own"} == {one.revision for one in runner.history(both) if one.applied} - FIRST

    assert "0005, own" == runner.upgrade(both).revision == runner.current(both)
    assert {"people_lower": True, "people_mail": True} == _states(connection)
    assert all(one.applied for one in runner.history(both))
    assert "0004" == runner.downgrade(both, "0004").revision


def test_an_index_of_the_users_own_revisions_is_not_built_in_a_store_elsewhere(
    connection: Connection, settings: Settings, pg_backend: Backend, tmp_path: Path
) -> None:
    build = 'op.create_index_safely("CREATE UNIQUE INDEX people_id ON people (id)")'
    own = _with_own(settings, tmp_path, "0005", build)
    (tmp_path / "people.sql").write_text("")
    connection.execute("INSERT INTO people SELECT * FROM people")
    with fresh_database(pg_backend) as store_dsn:
        apart = replace(own, store=Store(dsn=store_dsn))
        with pytest.raises(MigrationError, match=r"unique, and rows of people are not"):
            runner.upgrade(apart, "own")
        connection.execute("DELETE FROM people")
        assert "own" == runner.upgrade(apart, "own").revision
        assert {"people_id": True} == _states(connection)
        runner.downgrade(apart, "0005")
    assert {} == _states(connection)


def _with_own(settings: Settings, place: Path, after: str, up: str) -> Settings:
    """With a copy of dbopt's environment in which a revision of the user's own stands."""
    own = place / "migrations"
    shutil.copytree(resources.directory("migrations"), own)
    (own / "versions/own.py").write_text(
        "from alembic import op\n"
        "import dbopt.migrate.alembicops\n"
        f"revision, down_revision = 'own', {after!r}\n"
        f"def upgrade(): {up}\n"
        "def downgrade(): op.drop_index_safely('people_id')\n"
    )
    return replace(settings, migrate=replace(settings.migrate, directory=str(own)))


def test_the_applications_own_migrations_are_never_run(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "app" / "migrations"
    theirs.mkdir(parents=True)
    (theirs / "env.py").write_text("raise SystemExit('the application was migrated')")
    monkeypatch.chdir(theirs.parent)

    assert "0001" == runner.upgrade(settings, "0001").revision

    named = replace(settings, migrate=replace(settings.migrate, directory=str(theirs)))
    with pytest.raises(UsageError, match="no Alembic environment of dbopt's"):
        runner.upgrade(named)
