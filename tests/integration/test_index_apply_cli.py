"""`dbopt index apply` as people and deploys run it: words, exit codes, signals, many at
once."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.errors import DboptError
from dbopt.migrate import runner
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Migrate, Server, Settings
from tests.integration.migrate_support import locked
from tests.support import INTERVAL, wait_until

ROOT = Path(__file__).resolve().parents[2]
DECLARED = """
CREATE INDEX people_mail ON people (mail);
CREATE UNIQUE INDEX people_lower ON people (lower(mail));
"""
MANY = 5
"""Replicas of an application that start at once."""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn, application_name="test") as made:
        made.execute("CREATE TABLE people (id int, mail text)")
        made.execute("INSERT INTO people SELECT n, 'm' || n FROM generate_series(1, 200) n")
        yield made


@pytest.fixture
def settings(connection: Connection, pg_dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "people.sql").write_text(DECLARED)
    return Settings(
        server=Server(dsn=pg_dsn),
        index=Index(directory=str(tmp_path)),
        migrate=Migrate(lock_timeout=0.5, build_timeout=30, lock_wait=30),
    )


@pytest.fixture
def blocker(connection: Connection, pg_dsn: str) -> Iterator[psycopg.Connection]:
    """A writer's open transaction: no build gets past it."""
    with psycopg.connect(pg_dsn, application_name="writer") as made:
        made.execute("INSERT INTO people VALUES (0, 'new')")
        yield made
        made.rollback()


@pytest.fixture
def snapshot(connection: Connection, pg_dsn: str) -> Iterator[psycopg.Connection]:
    """An old snapshot: no build gets past it, and a drop does."""
    with psycopg.connect(pg_dsn, application_name="report") as made:
        made.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        made.execute("SELECT 1 FROM pg_class LIMIT 1")
        yield made
        made.rollback()


def _states(connection: Connection) -> dict[str, bool]:
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = 'people'::regclass ORDER BY 1"
    ).fetchall()
    return {row["relname"]: row["indisvalid"] for row in rows}


def _call(settings: Settings, *words: str) -> tuple[Result, str]:
    """The command's result, and what it printed for people."""
    shown = io.StringIO()
    console = Console(file=shown, width=200, force_terminal=False)
    context = Context(settings, console)
    return CliRunner().invoke(index, ["apply", *words], obj=context), shown.getvalue()


def _start(settings: Settings, *words: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dbopt", "--dsn", settings.server.dsn, "index", "apply"]
    environment = {**os.environ, "DBOPT_INDEX__DIRECTORY": settings.index.directory}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*command, *words], cwd=ROOT, env=environment, text=True, **given)


def _finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = process.communicate(timeout=60)
    return process.returncode, out, said


def _recorded(connection: Connection, query: str) -> list[dict[str, Any]]:
    return connection.execute(f"SELECT {query}").fetchall()


def test_without_anybody_to_ask_the_plan_is_shown_and_nothing_is_done(
    settings: Settings, connection: Connection
) -> None:
    result, shown = _call(settings)

    assert isinstance(result.exception, DboptError)
    assert result.exception.exit_code == 2
    assert "add --yes" in str(result.exception)
    assert "people_lower" in shown
    assert _states(connection) == {}


def test_a_dry_run_changes_nothing(settings: Settings, connection: Connection) -> None:
    result, shown = _call(settings, "--dry-run")
    assert (result.exit_code, "people_mail" in shown) == (1, True)
    result, _ = _call(settings, "--dry-run", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {step["name"]: step["action"] for step in document["steps"]} == {
        "people_mail": "create",
        "people_lower": "create",
    }
    assert _states(connection) == {}
    _call(settings, "--yes", "--no-record")
    assert _call(settings, "--dry-run")[0].exit_code == 0


def test_a_run_is_shown_and_recorded_and_the_next_has_nothing_to_do(
    settings: Settings, connection: Connection
) -> None:
    connection.execute("DROP EXTENSION IF EXISTS pg_stat_statements")
    result, shown = _call(settings, "--yes")

    assert result.exit_code == 0, (result.exception, shown)
    assert "2 done: every declared index is there. Run 20" in shown
    assert "\nUse: Not examined: pg_stat_statements is not installed in this database.\n" in shown
    assert "Step 1 of 2: create people_" in result.stderr
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    runs = _recorded(connection, "outcome, command FROM dbopt.index_run")
    assert runs == [{"outcome": "done", "command": "dbopt index apply"}]

    result, shown = _call(settings)
    assert (result.exit_code, result.stderr) == (0, "")
    assert shown.startswith("Nothing to do: 2 ")
    assert shown.count("\n") == 1
    assert json.loads(_call(settings, "--yes", "--json")[0].stdout)["run"] is None
    assert _recorded(connection, "outcome, command FROM dbopt.index_run") == runs


def test_json_is_one_document_and_the_rest_is_on_stderr(
    settings: Settings, connection: Connection
) -> None:
    result, shown = _call(settings, "--yes", "--json")

    assert (result.exit_code, shown) == (0, "")
    document = json.loads(result.stdout)
    assert set(document) == {"run", "outcome", "built", "failed", "left", "uses"}
    assert document["outcome"] == "done"
    assert {built["name"]: built["action"] for built in document["built"]} == {
        "people_mail": "create",
        "people_lower": "create",
    }
    assert "Step 2 of 2" in result.stderr


def test_what_failed_is_told_with_its_remedy(settings: Settings, connection: Connection) -> None:
    connection.execute("INSERT INTO people SELECT id, mail FROM people")

    result, shown = _call(settings, "--yes")
    assert result.exit_code == 4
    assert "failed people_lower" in shown
    assert "people.sql:3" in shown
    assert "1 done, 1 failed." in shown

    result, _ = _call(settings, "--yes", "--json", "--only", "people_lower")
    assert isinstance(result.exception, DboptError)
    assert result.exception.exit_code == 7
    document = json.loads(result.stdout)
    assert (document["outcome"], document["built"]) == ("failed", [])
    assert "people_lower" in document["error"]


def test_another_run_at_work_is_exit_5(settings: Settings, pg_dsn: str) -> None:
    with locked(pg_dsn):
        result, _ = _call(settings, "--yes", "--no-wait", "--no-record")
    assert isinstance(result.exception, DboptError)
    assert result.exception.exit_code == 5
    assert "application deploy" in str(result.exception)


def test_the_deadline_is_exit_6(
    settings: Settings, connection: Connection, blocker: psycopg.Connection
) -> None:
    result, shown = _call(settings, "--yes", "--deadline", "1s", "--no-record")

    assert result.exit_code == 6
    assert "failed people_mail" in shown
    assert "people_lower" in shown.rsplit("left", 1)[1]
    assert "application_name" not in shown
    blocker.rollback()
    assert _call(settings, "--yes", "--no-record")[0].exit_code == 0


@pytest.mark.parametrize("words", ["x", "-1", "10 parsecs", "0"])
def test_a_deadline_that_is_no_time_is_a_usage_error(settings: Settings, words: str) -> None:
    result, _ = _call(settings, f"--deadline={words}")
    assert result.exit_code == 2
    assert "write 90, 90s, 10m or 2h" in result.output


def test_what_the_planner_makes_of_it(settings: Settings, connection: Connection) -> None:
    connection.execute("INSERT INTO people SELECT n, 'q' || n FROM generate_series(1, 9000) n")
    connection.execute("ANALYZE people; SELECT pg_stat_statements_reset()")
    connection.execute("SELECT id FROM people WHERE mail = 'q5'")

    result, shown = _call(settings, "--yes", "--only", "people_mail")
    assert result.exit_code == 0
    assert "people_mail: 1 of " in shown
    assert " statements that read its table would use it" in shown

    result, shown = _call(settings, "--yes", "--no-verify")
    assert "would use" not in shown


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_it_asks(
    settings: Settings, connection: Connection, answer: str, code: int
) -> None:
    leader, follower = pty.openpty()
    with _start(settings, stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        screen = _until(leader, "[y/N]")
        os.write(leader, f"{answer}\n".encode())
        screen += _until(leader, None)
        os.close(leader)
        assert process.wait(30) == code
    assert ("Nothing was changed." in screen) == bool(code)
    assert len(_states(connection)) == (0 if code else 2)


def _until(leader: int, words: str | None) -> str:
    """What a terminal shows, until these words are on it, or until it ends."""
    shown = ""
    while words is None or words not in shown:
        ready, _, _ = select.select([leader], [], [], 30)
        assert ready, shown
        try:
            part = os.read(leader, 65536)
        except OSError:  # EIO: the other end is closed
            return shown
        if not part:
            return shown
        shown += part.decode(errors="replace")
    return shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_cleans_up_and_says_what_is_left(
    settings: Settings,
    connection: Connection,
    snapshot: psycopg.Connection,
    number: signal.Signals,
) -> None:
    runner.upgrade(settings, indexes=False)
    with _start(settings, "--yes", "--json") as process:
        wait_until(lambda: _states(connection), 60, what="the build")
        process.send_signal(number)
        code, out, said = _finish(process)

    assert code == 128 + number, said
    assert _states(connection) == {}
    assert "Stopped. Done: nothing. Left: " in said
    assert "Run again: it goes on from there." in said
    assert 1 == said.count("Stopped")
    document = json.loads(out)
    assert (document["outcome"], len(document["left"])) == ("cancelled", 2)
    assert _recorded(connection, "outcome FROM dbopt.index_run") == [{"outcome": "cancelled"}]
    # The lock is free, and no build runs on.
    with locked(settings.server.dsn):
        assert _recorded(connection, "pid FROM pg_stat_progress_create_index") == []


def test_a_signal_while_it_waits_for_another_run(
    settings: Settings, connection: Connection
) -> None:
    runner.upgrade(settings, indexes=False)
    with locked(settings.server.dsn), _start(settings, "--yes", "--json") as process:
        assert process.stderr is not None
        assert any("Waiting for another migration" in line for line in process.stderr)
        process.terminate()
        code, out, said = _finish(process)

    assert code == 143
    assert "Stopped before anything was changed." in said
    assert json.loads(out)["outcome"] == "cancelled"


def test_what_can_only_fail_is_not_asked_about(settings: Settings, connection: Connection) -> None:
    connection.execute("CREATE TABLE people_mail (); CREATE INDEX people_lower ON people (id)")
    connection.execute("ALTER TABLE people REPLICA IDENTITY FULL, ALTER id SET NOT NULL")
    connection.execute("DROP INDEX people_lower; CREATE UNIQUE INDEX people_lower ON people (id)")
    connection.execute("ALTER TABLE people REPLICA IDENTITY USING INDEX people_lower")

    result, shown = _call(settings)

    assert result.exit_code == 4, (result.exception, shown)
    assert "0 done, 2 failed." in shown
    assert "replica identity" in shown


def test_after_sigkill_the_next_run_ends_in_the_declared_state(
    settings: Settings, connection: Connection, blocker: psycopg.Connection
) -> None:
    runner.upgrade(settings, indexes=False)
    with _start(settings, "--yes") as process:
        wait_until(lambda: _states(connection), 60, what="the build")
        process.kill()
    with locked(settings.server.dsn):  # it is free at once
        blocker.rollback()

    result, shown = _call(settings, "--yes")

    assert result.exit_code == 0, (result.exception, shown)
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    runs = _recorded(connection, "outcome FROM dbopt.index_run ORDER BY began")
    assert [run["outcome"] for run in runs] == ["interrupted", "done"]


def test_the_second_waits_and_says_for_whom(
    settings: Settings, connection: Connection, blocker: psycopg.Connection
) -> None:
    runner.upgrade(settings, indexes=False)
    with _start(settings, "--yes") as first:
        wait_until(lambda: _states(connection), 60, what="the build")
        with _start(settings, "--yes") as second:
            assert second.stderr is not None
            line = second.stderr.readline()
            blocker.rollback()
            outcomes = [_finish(first), _finish(second)]

    assert "Waiting for another migration: pid" in line
    assert "application dbopt run 20" in line
    assert [outcome[0] for outcome in outcomes] == [0, 0], outcomes
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_of_many_at_once_exactly_one_builds(settings: Settings, connection: Connection) -> None:
    """Also the store's schema is made by one of them."""
    all_of_them = [_start(settings, "--yes", "--json") for _ in range(MANY)]
    most = 0
    while any(process.poll() is None for process in all_of_them):
        builds = _recorded(connection, "count(*) AS n FROM pg_stat_progress_create_index")
        most = max(most, builds[0]["n"])
        time.sleep(INTERVAL)
    outcomes = [_finish(process) for process in all_of_them]

    assert [code for code, _, _ in outcomes] == [0] * MANY, outcomes
    documents = [json.loads(out) for _, out, _ in outcomes]
    built = [one for document in documents for one in document["built"]]
    assert sorted(one["name"] for one in built if one["action"] == "create") == [
        "people_lower",
        "people_mail",
    ]
    runs = [document["run"] for document in documents if document["run"]]
    assert _recorded(connection, "id FROM dbopt.index_run") == [{"id": runs[0]}], documents
    assert most <= 1
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    done = "count(*) AS n FROM dbopt.index_step WHERE outcome = 'done' AND sql LIKE 'CREATE%'"
    assert _recorded(connection, done) == [{"n": 2}]


def test_a_restart_in_the_middle_is_waited_for(
    settings: Settings, pg_server: EmbeddedCluster, tmp_path: Path
) -> None:
    before = psycopg.connect(settings.server.dsn)
    before.execute("INSERT INTO people VALUES (0, 'new')")
    with _start(settings, "--yes") as process:
        with connect(settings.server.dsn) as watcher:
            wait_until(lambda: _states(watcher), 60, what="the build")
        pg_server.restart(immediate=True)
        code, _, said = _finish(process)
    before.close()

    assert code == 0, said
    with connect(settings.server.dsn) as after:
        assert _states(after) == {"people_lower": True, "people_mail": True}
    assert "The server is back; going on." in said


def test_a_server_that_is_lost_before_the_plan_is_shown_is_waited_for(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, lost = catalog.read, count()

    def lose(session: Connection, *words: Any, **options: Any) -> catalog.Catalog:
        if next(lost) == 0:
            pid = session.info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        return read(session, *words, **options)

    monkeypatch.setattr(catalog, "read", lose)

    result, _ = _call(settings, "--yes")

    assert result.exit_code == 0, result.output
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_a_declaration_that_is_wrong_is_a_usage_error(settings: Settings) -> None:
    Path(settings.index.directory, "people.sql").write_text("CREATE INDEX ON people (mail);")

    result, _ = _call(settings, "--yes")
    assert isinstance(result.exception, DboptError)
    assert result.exception.exit_code == 2


def test_a_server_that_is_not_there_is_exit_3(settings: Settings) -> None:
    gone = replace(settings, server=Server(dsn="host=127.0.0.1 port=1 dbname=none"))

    result, _ = _call(gone, "--yes")
    assert isinstance(result.exception, DboptError)
    assert result.exception.exit_code == 3
