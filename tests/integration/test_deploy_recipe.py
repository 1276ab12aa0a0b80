"""docs/deploy.md as it stands: replicas that start at once, one of them killed while it builds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from dbopt import configfile
from dbopt.cli.root import root
from tests.docs_commands import parse, words
from tests.integration.alembic_support import ALONE, Application, url_of
from tests.support import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/deploy.md").read_text()
REPLICAS = 4
DECLARED = """
CREATE INDEX people_mail ON people (mail);
CREATE UNIQUE INDEX people_lower ON people (lower(mail)) WHERE id > 0;
"""
TERMINATED = """
import signal, sys

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
try:
    print("began", flush=True)
    signal.pause()
finally:
    print("cleaned up")
"""
EXPECTED = {"people_mail": True, "people_lower": True}


def script() -> str:
    found = re.search(r"```bash\n(#!/bin/sh\n.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def place(tmp_path: Path, pg_conn: psycopg.Connection) -> Path:
    """An application's directory, with `dbopt` and `alembic` on its PATH, and its tables."""
    pg_conn.execute("CREATE TABLE people (id int, mail text)")
    pg_conn.execute("INSERT INTO people SELECT n, 'm' || n FROM generate_series(1, 20000) n")
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes/people.sql").write_text(DECLARED)
    (tmp_path / "migrate.sh").write_text(script())
    (tmp_path / "bin").mkdir()
    for name in ("dbopt", "alembic"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
        program.chmod(0o755)
    return tmp_path


@pytest.fixture
def start(place: Path, pg_dsn: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a replica, in a session of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=place,
            env={
                **os.environ,
                "PATH": f"{place}/bin:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "DBOPT_SERVER__DSN": pg_dsn,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def states(connection: psycopg.Connection) -> dict[str, bool]:
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = 'people'::regclass"
    ).fetchall()
    return dict(rows)


def builder(connection: psycopg.Connection) -> int | None:
    """The port of the client whose build waits for the old snapshot."""
    row = connection.execute(
        "SELECT a.client_port FROM pg_stat_progress_create_index p"
        " JOIN pg_stat_activity a USING (pid)"
        " WHERE p.datname = current_database() AND p.phase LIKE 'waiting for%'"
    ).fetchone()
    return row[0] if row else None


def session_of(client: int, server: int) -> int | None:
    """The process group (and session) of the local process with this TCP connection, if it is
    seen: the ends together name a connection, one port may belong to a past one as well."""
    ends = f":{client:04X}", f":{server:04X}"
    inodes = {
        f"socket:[{inode}]"
        for _, local, remote, *_, inode in (
            line.split()[:10] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        )
        if (local[-5:], remote[-5:]) == ends
    }
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # a process that ends, or closes a file, as it is looked at
            if any(os.readlink(link) in inodes for link in folder.iterdir()):
                return os.getpgid(int(folder.parent.name))
    return None


def deadlocks(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def together(
    start: Callable[..., subprocess.Popen[str]],
    command: tuple[str, ...],
    pg_dsn: str,
    connection: psycopg.Connection,
) -> None:
    """Start the replicas, kill the one that builds, start it again as a platform would."""
    with psycopg.connect(pg_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM pg_class")  # a build waits for this snapshot
        replicas = [start(*command) for _ in range(REPLICAS)]
        port = wait_until(lambda: builder(connection), 60, "a replica that builds")
        server = connection.info.port
        killed = wait_until(lambda: session_of(port, server), 10, "the process that builds")
        assert killed in [process.pid for process in replicas]
        os.killpg(killed, signal.SIGKILL)
        replicas = [process for process in replicas if process.pid != killed]
        replicas.append(start(*command))
    outcomes = [(process.communicate(timeout=120)[0], process.returncode) for process in replicas]
    assert [code for _, code in outcomes] == [0] * REPLICAS, outcomes
    assert states(connection) == EXPECTED
    assert deadlocks(connection) == 0


@pytest.mark.slow
def test_replicas_with_dbopts_own_commands(
    start: Callable[..., subprocess.Popen[str]], pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    together(start, ("sh", "migrate.sh", "true"), pg_dsn, pg_conn)
    running = "SELECT count(*) FROM dbopt.index_run WHERE outcome = 'running'"
    assert pg_conn.execute(running).fetchone() == (0,)


@pytest.mark.slow
def test_replicas_with_alembic(
    start: Callable[..., subprocess.Popen[str]],
    place: Path,
    pg_dsn: str,
    pg_conn: psycopg.Connection,
) -> None:
    app = Application.make(place, url_of(pg_dsn), ALONE)
    written = start("dbopt", "index", "revision", "-m", "indexes", "--rev-id", "a1")
    assert "Wrote" in written.communicate(timeout=60)[0]
    app.revision("a2", 'op.execute("ALTER TABLE people ADD COLUMN gone boolean")', after="a1")

    together(start, ("alembic", "upgrade", "head"), pg_dsn, pg_conn)

    assert pg_conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("a2",)]


@pytest.mark.parametrize("code", [0, 2, 3, 4, 5, 6, 7, 143])
def test_what_the_script_makes_of_each_exit_code(tmp_path: Path, code: int) -> None:
    (tmp_path / "migrate.sh").write_text(script())
    (tmp_path / "dbopt").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "dbopt").chmod(0o755)
    done = subprocess.run(
        ["sh", "migrate.sh", "echo", "the application"],
        cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    starts = code in (0, 4, 6, 7)
    assert ("the application" in done.stdout) is starts
    assert (0 if starts else code) == done.returncode
    assert ("indexes are missing" in done.stderr) is (starts and code != 0)


def test_the_script_hands_on_sigterm_and_waits_until_it_is_cleaned_up(tmp_path: Path) -> None:
    """A platform signals the container's first process alone, and that is the shell."""
    (tmp_path / "migrate.sh").write_text(script())
    (tmp_path / "dbopt").write_text(f"#!{sys.executable} -S\n{TERMINATED}")
    (tmp_path / "dbopt").chmod(0o755)
    with subprocess.Popen(
        ["sh", "migrate.sh", "echo", "the application"], cwd=tmp_path, stdout=subprocess.PIPE,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        process.terminate()
        assert process.stdout.read() == "cleaned up\n"
    assert process.returncode == 143


def test_the_commands_of_every_recipe_are_commands() -> None:
    lines = re.findall(r"^run (dbopt [^\n#]+)", script(), re.MULTILINE)
    assert lines == ["dbopt migrate upgrade"]
    for line in lines:
        arguments = words(line, "dbopt")
        assert arguments is not None
        parse(root, arguments)


def test_the_environment_of_every_recipe_is_one_that_dbopt_reads() -> None:
    given = dict(re.findall(r"name: (DBOPT_\w+), value: \"([^\"]*)\"", DOCUMENT))
    given |= dict(re.findall(r"^ +(DBOPT_\w+): (\S+)", DOCUMENT, re.MULTILINE))
    names = {"DBOPT_SERVER__DSN", "DBOPT_MIGRATE__LOCK_WAIT", "DBOPT_MIGRATE__DEADLINE"}
    assert set(given) == names
    settings = configfile.load(None, given)
    assert (settings.migrate.lock_wait, settings.migrate.deadline) == (1500, 1200)
    assert settings.server.dsn.startswith("postgresql://app_owner@")
    job = DOCUMENT.partition("kind: Job")[2]
    ends = re.search(r"activeDeadlineSeconds: (\d+)", job)
    assert ends is not None
    assert int(ends[1]) > settings.migrate.lock_wait + settings.migrate.deadline
