"""What the documents and the help show is what works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from dbopt.cli.root import root
from tests.docs_commands import ROOT, examples, parse, shown, words
from tests.unit.cli.calls import caller

SERVED = "postgresql://app@db.internal/app"
"""The server that the documents show."""

STAY_UP = {"serve", "demo", "status", "top", "trace"}
"""Run by tests of their own: they stay up, or ask one that does, or of what it has seen."""


@pytest.mark.parametrize(("document", "command"), shown())
def test_a_shown_command_is_one(document: str, command: str) -> None:
    arguments = words(command, "dbopt")
    if arguments is not None:
        parse(root, arguments)
    elif (arguments := words(command, "make")) is not None:
        targets = [word for word in arguments if "=" not in word and word != "or"]
        subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
    else:
        assert words(command, "pip") or words(command, "alembic")


@pytest.mark.parametrize(("path", "example"), list(examples(root, "dbopt")))
def test_an_example_of_the_help_is_a_command(path: str, example: str) -> None:
    arguments = words(example, "dbopt")
    assert arguments is not None
    assert path.split()[1:] == parse(root, arguments)[: len(path.split()) - 1]


def test_the_documents_show_enough() -> None:
    assert len(shown()) > 20
    assert len(list(examples(root, "dbopt"))) > 20


def test_the_readme_runs(
    pg_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every dbopt command of the README, in its order, from a directory with SQL of one's own."""
    (tmp_path / "app/sql").mkdir(parents=True)
    (tmp_path / "app/sql/one.sql").write_text("SELECT 1 AS one;\n")
    (tmp_path / "db/migrations").mkdir(parents=True)
    (tmp_path / "db/migrations/1.sql").write_text("CREATE INDEX people_mail ON people (mail);\n")
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes/people.sql").write_text("CREATE INDEX people_mail ON people (mail);\n")
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (mail text)")
    monkeypatch.chdir(tmp_path)
    call = caller(monkeypatch, capsys)
    ran: list[str] = []
    for document, command in shown():
        arguments = words(command, "dbopt")
        if document != "README.md" or arguments is None or parse(root, arguments)[0] in STAY_UP:
            continue
        if SERVED not in arguments and "init" not in arguments and "config" not in arguments:
            arguments = ["--dsn", SERVED, *arguments]
        arguments = [pg_dsn if word == SERVED else word for word in arguments]
        if "upgrade" in arguments and "--schema-only" not in arguments:
            continue  # needs the tables of the indexes that init declares: test_migrate_* have them
        if "revision" in arguments:
            continue  # needs an Alembic environment: test_index_revision has many
        done = call(*arguments)
        ran.append(command)
        if {"stats", "report"} <= set(arguments):
            # There is no history yet: one clear line, and no traceback.
            assert done.code != 0
            assert done.line
        else:
            assert done.code in (0, 1), f"{command}: {done.err}"
        assert "Traceback" not in done.err
    assert len(ran) >= 8
