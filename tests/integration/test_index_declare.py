"""`dbopt index declare`: an existing database's indexes become declarations."""

from __future__ import annotations

import io
import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.settings import Index, Server, Settings

TABLES = """
CREATE TABLE people (id int PRIMARY KEY, mail text UNIQUE, name text, at date);
CREATE INDEX "Odd name" ON people (lower(name) text_pattern_ops, at DESC NULLS LAST)
    INCLUDE (mail) WITH (fillfactor = 70) WHERE name IS NOT NULL;
CREATE INDEX people_at ON people (at);
CREATE TABLE days (day date) PARTITION BY RANGE (day);
CREATE TABLE days_26 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX days_day ON days (day);
CREATE INDEX days_half ON ONLY days (day) WHERE day > '2026-06-30';
CREATE SCHEMA shop;
CREATE TABLE shop."a/b" (id int);
CREATE INDEX ab ON shop."a/b" (id);
"""


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path) -> Settings:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(TABLES)
    return Settings(server=Server(dsn=pg_dsn), index=Index(directory=str(tmp_path / "indexes")))


def _run(settings: Settings, *words: str) -> tuple[Result, str]:
    shown = io.StringIO()
    console = Console(file=shown, width=200, force_terminal=False)
    result = CliRunner().invoke(index, words, obj=Context(settings, console))
    return result, shown.getvalue()


def test_what_is_written_is_what_is_there(settings: Settings) -> None:
    directory = Path(settings.index.directory)
    result, _ = _run(settings, "declare", "--json")

    assert 0 == result.exit_code, result.output
    assert [
        {"file": f"{directory}/days.sql", "indexes": ["days_day"]},
        {"file": f"{directory}/people.sql", "indexes": ["Odd name", "people_at"]},
        {"file": f"{directory}/shop.a_b.sql", "indexes": ["ab"]},
    ] == json.loads(result.stdout)
    result, shown = _run(settings, "plan")
    assert (0, "Nothing to do: 4 indexes as declared.") == (result.exit_code, shown.splitlines()[0])
    before = {path: path.read_text() for path in directory.iterdir()}
    assert _run(settings, "declare")[1].startswith("Nothing to declare")
    assert before == {path: path.read_text() for path in directory.iterdir()}


def test_a_table_with_a_declaration_is_left_alone_and_a_file_is_kept(settings: Settings) -> None:
    directory = Path(settings.index.directory)
    directory.mkdir()
    (directory / "own.sql").write_text("CREATE INDEX people_at ON people (at);\n")
    (directory / "days.sql").write_text("-- one a day\n")

    _, shown = _run(settings, "declare", "--only", "people", "--only", "days_day")

    assert f"Wrote {directory}/days.sql: days_day\n" == shown
    assert (
        "-- one a day\nCREATE INDEX days_day ON public.days USING btree (day);\n"
        == (directory / "days.sql").read_text()
    )
    assert {"own.sql", "days.sql"} == {path.name for path in directory.iterdir()}


def test_a_table_of_the_same_name_in_another_schema_is_another(settings: Settings) -> None:
    with psycopg.connect(settings.server.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE shop.people (id int); CREATE INDEX ids ON shop.people (id)"
        )
    directory = Path(settings.index.directory)
    directory.mkdir()
    (directory / "people.sql").write_text("CREATE INDEX people_at ON people (at);\n")

    _, shown = _run(settings, "declare", "--only", "people")

    assert f"Wrote {directory}/shop.people.sql: ids\n" == shown


def test_a_name_that_nothing_has_is_an_error(settings: Settings) -> None:
    result, _ = _run(settings, "declare", "--only", "poeple")
    assert "Did you mean people?" in str(result.exception)
    assert not Path(settings.index.directory).exists()


def test_a_directory_that_cannot_be_made_is_named(settings: Settings) -> None:
    Path(settings.index.directory).write_text("")
    result, _ = _run(settings, "declare")
    assert "cannot be written: File exists." in str(result.exception)
