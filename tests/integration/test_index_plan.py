"""`dbopt index plan`: what it shows, its JSON, and that psql makes of its SQL what was declared."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.demo.programs import embedded_bin_dir
from dbopt.migrate.lock import KEY
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Settings
from dbopt.settings import Server as ServerSettings
from tests.fix_pg import Server, fresh_database

TABLES = """
CREATE TABLE people (id int PRIMARY KEY, mail text, nick text, age int, city text);
INSERT INTO people SELECT n, 'mail' || n, 'nick' || n, n % 90, 'city' || n % 50
  FROM generate_series(1, 1000) AS n;
CREATE INDEX other_name ON people (age);
CREATE INDEX people_city ON people (city, age);
CREATE INDEX swapped_a ON people (nick);
CREATE INDEX swapped_b ON people (mail);
CREATE INDEX undeclared ON people (nick, age);
CREATE TABLE events (at timestamptz, kind int) PARTITION BY RANGE (at);
CREATE TABLE events_a PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
    PARTITION BY LIST (kind);
CREATE TABLE events_a1 PARTITION OF events_a FOR VALUES IN (1);
CREATE TABLE events_a2 PARTITION OF events_a DEFAULT;
CREATE TABLE events_b PARTITION OF events DEFAULT;
INSERT INTO events SELECT timestamptz '2024-06-01' + n * interval '9 hours', n % 3
  FROM generate_series(1, 900) AS n;
CREATE INDEX ready_made ON events_a1 (at);
CREATE INDEX events_kind ON events (kind, at);
"""
DECLARED = """
-- dbopt: owner=shop expires=2024-01-01
CREATE INDEX people_mail_lower ON people (lower(mail));
CREATE UNIQUE INDEX people_nick ON people (nick);
CREATE INDEX people_age ON people (age);
CREATE INDEX people_city ON people (city);
CREATE INDEX swapped_a ON people (mail);
CREATE INDEX swapped_b ON people (nick);
CREATE INDEX people_broken ON people (id, age);
CREATE INDEX "odd; name -- x" ON people (age) WHERE city <> E'it''s \\\\ :here';
CREATE INDEX events_at ON events (at);
CREATE INDEX events_kind ON events (kind);
"""


@pytest.fixture(params=["pg_backend"])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    server: Server = request.getfixturevalue(request.param)
    with fresh_database(server) as made, connect(made) as connection:
        for statement in TABLES.split(";\n"):
            connection.execute(statement.encode())
        _break(connection)
        connection.execute("VACUUM ANALYZE people")
        yield made


def _break(connection: Connection) -> None:
    """An invalid index with the name of a declared one, as a build that failed leaves it."""
    connection.execute("CREATE INDEX people_broken ON people (id, age)")
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'people_broken'::regclass"
    )


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "all.sql").write_text(DECLARED)
    return Settings(server=ServerSettings(dsn=dsn), index=Index(directory=str(tmp_path)))


def _plan(settings: Settings, *words: str, width: int = 140) -> tuple[int, str, str]:
    """The exit code, what was printed for people, and standard output."""
    shown = io.StringIO()
    context = Context(settings, Console(file=shown, width=width, force_terminal=False))
    result = CliRunner().invoke(index, ["plan", *words], obj=context)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, shown.getvalue(), result.stdout


def _document(settings: Settings, *words: str) -> Any:
    return json.loads(_plan(settings, "--json", *words)[2])


def _psql(dsn: str, script: str) -> subprocess.CompletedProcess[str]:
    program = embedded_bin_dir() / "psql"
    return subprocess.run(
        [str(program), "-X", "-q", "-d", dsn, "-f", "-"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PGOPTIONS": ""},
    )


def _invalid(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        )
        return [str(row[0]) for row in rows.fetchall()]


@pytest.mark.parametrize("dsn", ["pg_backend", "pg15_backend"], indirect=True)
def test_psql_makes_the_declared_state_of_its_sql(settings: Settings) -> None:
    dsn = settings.server.dsn
    code, _, script = _plan(settings, "--sql", "--prune")
    assert 1 == code

    done = _psql(dsn, script)

    assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert [] == _invalid(dsn)
    code, shown, _ = _plan(settings, "--prune")
    assert (0, "Nothing to do: 10 indexes as declared.") == (code, shown.splitlines()[0])
    document = _document(settings)
    assert {"present": 10} == document["counts"]
    with connect(dsn) as connection:
        rows = connection.execute(
            "SELECT indexname AS n FROM pg_indexes WHERE schemaname = 'public'"
        )
        names = {row["n"] for row in rows.fetchall()}
    assert not {"undeclared", "other_name"} & names
    assert not [name for name in names if "_dbopt_" in name]
    # The partition's own index was attached, and not built again.
    assert "ready_made" in names


def test_the_script_does_nothing_beside_another_migration(settings: Settings) -> None:
    script = _plan(settings, "--sql")[2]
    with connect(settings.server.dsn) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (KEY,))
        done = _psql(settings.server.dsn, script)

    assert "Another migration is at work: nothing was done." in done.stderr
    assert 1 == _plan(settings)[0]


def test_the_script_ends_at_its_first_error(settings: Settings) -> None:
    script = _plan(settings, "--sql")[2]
    with connect(settings.server.dsn) as connection:
        connection.execute("UPDATE people SET nick = 'same'")

    done = _psql(settings.server.dsn, script)

    assert 3 == done.returncode
    assert 1 == done.stderr.count("ERROR:")


def test_the_actions_and_their_order(settings: Settings) -> None:
    document = _document(settings, "--prune")
    found = {step["name"]: step["action"] for step in document["steps"]}

    assert {
        "people_mail_lower": "create",
        "people_age": "rename",
        "people_city": "replace",
        "people_broken": "rebuild",
        "events_at": "create",
        "undeclared": "drop",
    }.items() <= found.items()
    assert "drop" == document["steps"][-1]["action"]
    (broken,) = [one for one in document["steps"] if one["name"] == "people_broken"]
    assert [
        "DROP INDEX CONCURRENTLY IF EXISTS public.people_broken",
        "CREATE INDEX CONCURRENTLY people_broken ON public.people USING btree (id, age)",
    ] == broken["sql"]
    (replaced,) = [one for one in document["steps"] if one["name"] == "people_city"]
    assert [
        "CREATE INDEX CONCURRENTLY people_city_dbopt_new ON public.people USING btree (city)",
        "BEGIN; ALTER INDEX public.people_city RENAME TO people_city_dbopt_old; "
        "ALTER INDEX public.people_city_dbopt_new RENAME TO people_city; COMMIT",
        "DROP INDEX CONCURRENTLY IF EXISTS public.people_city_dbopt_old",
    ] == replaced["sql"]
    assert {"size_bytes", "seconds", "locks", "writes_per_second", "benefit"} == set(
        broken["estimate"]
    )


def test_who_is_in_the_way_is_shown(settings: Settings) -> None:
    with psycopg.connect(settings.server.dsn, application_name="worker") as other:
        other.execute("UPDATE people SET city = 'secret' WHERE id = 1")
        pid = other.info.backend_pid
        (step,) = [
            step
            for step in _document(settings, "--only", "people_mail_lower")["steps"]
            if step["action"] == "create"
        ]
        wide, narrow = _plan(settings)[1], _plan(settings, width=80)[1]

    (blocker,) = step["blocked_by"]
    assert (pid, "worker", "idle in transaction") == (
        blocker["pid"],
        blocker["application"],
        blocker["state"],
    )
    assert "query" not in blocker
    assert "secret" not in wide + narrow
    assert f"pid {pid}" in wide
    assert f"blocked by: pid {pid} (user " in narrow


@pytest.mark.parametrize("width", [80, 140])
def test_it_fits_the_terminal(settings: Settings, width: int) -> None:
    code, shown, _ = _plan(settings, "--prune", width=width)

    assert 1 == code
    assert max(map(len, shown.splitlines())) <= width
    assert "2 to replace" in shown
    assert "expired people_mail_lower: It was wanted until 2024-01-01" in shown.replace("\n", " ")


def test_what_is_left_alone_is_said(settings: Settings) -> None:
    document = _document(settings)

    assert ["public.undeclared"] == document["left_alone"]
    assert "Left alone, since not declared: public.undeclared." in _plan(settings)[1]
    assert [] == _document(settings, "--prune")["left_alone"]


def test_only_narrows_it(settings: Settings) -> None:
    assert {"people_age"} == {
        step["name"] for step in _document(settings, "--only", "people_age")["steps"]
    }
    code = _plan_code(settings, "--only", "peple_age")
    assert 2 == code


def _plan_code(settings: Settings, *words: str) -> int:
    result = CliRunner().invoke(
        index, ["plan", *words], obj=Context(settings, Console(file=io.StringIO()))
    )
    return int(getattr(result.exception, "exit_code", result.exit_code))


def test_a_role_that_owns_nothing_sees_why(settings: Settings, tmp_path: Path) -> None:
    role = f"plan_{os.getpid()}"
    dsn = settings.server.dsn
    with connect(dsn) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON people, events TO {role}")
        try:
            poor = Settings(
                server=ServerSettings(dsn=make_conninfo(dsn, user=role)), index=settings.index
            )
            document = _document(poor, "--only", "people_mail_lower")
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    rules = {(one["rule"], one["severity"]) for one in document["findings"]}
    assert ("privilege", "critical") in rules
    assert str(conninfo_to_dict(dsn)["user"]) in str(document["findings"])
