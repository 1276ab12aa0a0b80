"""The command line against a real server: exit codes, and JSON that is nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from tests.integration.daemon_support import dbopt
from tests.unit.cli.calls import Call, caller

DOCUMENTS: dict[str, type] = {
    "config check": dict,
    "config show": dict,
    "config docs --format": list,
    "migrate upgrade": dict,
    "migrate current": dict,
    "migrate history": list,
    "index audit": list,
    "index advise": list,
    "index advise --prove-with-locks": list,
    "index declare": list,
    "index plan": dict,
    "stats snapshot": dict,
    "stats list": dict,
    "init there": dict,
    "guard quarantine 00000000000000ff --for 1h": dict,
    "guard list": list,
    "guard release --all": list,
    "guard check COMMIT": dict,
    "migrate downgrade base": dict,
}
"""Each command that prints JSON, in an order in which they work, and what it prints."""


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    pg_dsn: str,
) -> Call:
    """Runs `dbopt` against a new database, in a directory with a declared index."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes" / "people.sql").write_text("CREATE INDEX people_mail ON people (mail);")
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY, mail text)")
        connection.execute("INSERT INTO people SELECT n, 'm' FROM generate_series(1, 2000) n")
    call = caller(monkeypatch, capsys)
    monkeypatch.setenv("DBOPT_SERVER__DSN", pg_dsn)
    return call


@pytest.fixture
def connection(pg_dsn: str) -> Any:
    with psycopg.connect(pg_dsn, autocommit=True) as made:
        yield made


def test_json_is_one_document_and_nothing_else(call: Call) -> None:
    call("stats", "snapshot")
    for command, kind in DOCUMENTS.items():
        last = "json" if command.endswith("--format") else "--json"
        result = call(*command.split(), last)
        assert "" == result.err, command
        assert result.code in (0, 1), command
        assert isinstance(json.loads(result.out), kind), command


def test_0_fine(call: Call) -> None:
    assert 0 == call("index", "audit").code
    assert 0 == call("migrate", "upgrade").code
    assert 0 == call("index", "plan").code


def test_1_findings(call: Call, connection: psycopg.Connection[Any]) -> None:
    assert 1 == call("index", "plan").code
    connection.execute("CREATE INDEX a ON people (mail); CREATE INDEX b ON people (mail)")
    result = call("index", "audit")
    assert (1, "") == (result.code, result.err)
    assert "public.b" in result.out


def test_2_configuration(call: Call) -> None:
    Path("indexes/people.sql").write_text("DROP TABLE people;")
    result = call("index", "plan")
    assert (2, "") == (result.code, result.out)
    assert result.line.startswith("dbopt: indexes/people.sql:1:1: ")


def test_2_the_store_is_missing(call: Call) -> None:
    result = call("stats", "report")
    assert (2, "") == (result.code, result.out)
    assert (
        "dbopt: The store has no schema dbopt, or an old one. Run `dbopt migrate upgrade`."
    ) == result.line


def test_2_no_such_revision(call: Call) -> None:
    result = call("migrate", "upgrade", "9999")
    assert (2, "") == (result.code, result.out)
    assert "9999" in result.line


def test_3_a_wrong_password(call: Call, scram_server: EmbeddedCluster) -> None:
    dsn = make_conninfo(scram_server.dsn(), password="hunter2")
    result = call("--dsn", dsn, "index", "audit")
    assert (3, "") == (result.code, result.out)
    assert f"dbopt: PostgreSQL at 127.0.0.1:{scram_server.port}/postgres as postgres refused the " \
        "login: " in result.line  # fmt: skip
    assert "Check the user and the password" in result.line
    assert "hunter2" not in result.line


def test_3_no_such_database(call: Call, pg_dsn: str) -> None:
    result = call("--dsn", make_conninfo(pg_dsn, dbname="nowhere"), "migrate", "current")
    assert (3, "") == (result.code, result.out)
    assert 'database "nowhere" does not exist' in result.line


def test_7_an_index_that_cannot_be_built(call: Call) -> None:
    Path("indexes/people.sql").write_text("CREATE UNIQUE INDEX people_mail ON people (mail);")
    result = call("migrate", "upgrade")
    assert 7 == result.code
    assert "people_mail" in result.line
    # dbopt's own schema is there.
    assert "0005\n" == call("migrate", "current").out


@pytest.mark.parametrize(
    "command", ["index audit", "index advise", "stats snapshot", "stats list", "migrate upgrade"]
)
def test_a_user_without_privileges_gets_one_line(
    call: Call, connection: psycopg.Connection[Any], pg_dsn: str, command: str
) -> None:
    role = f"poor_{os.getpid()}"
    connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    try:
        dsn = make_conninfo(pg_dsn, user=role, password="hunter2")
        result = call("--dsn", dsn, *command.split())
    finally:
        connection.execute(f"DROP ROLE {role}")
    assert result.code in (0, 1, 2, 4)
    assert len(result.err.splitlines()) in ((0, 1) if result.code < 2 else (1,))
    assert "failed unexpectedly" not in result.err


def test_as_a_process(pg_dsn: str, tmp_path: Path) -> None:
    done = dbopt("migrate", "upgrade", "0001", "--json", dsn=pg_dsn, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"revision": "0001", "indexes": []} == json.loads(done.stdout)


def test_it_is_installed_as_a_command() -> None:
    program = Path(sys.executable).with_name("dbopt")
    if not program.exists():
        pytest.skip("missing: the dbopt command (pip install -e .)")
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert (0, "dbopt, version ") == (done.returncode, done.stdout[:15])
