from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.cli.migrate import migrate
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Server, Settings


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE people (id int PRIMARY KEY, mail text, filler text)")
        made.execute(
            "INSERT INTO people SELECT n, 'm' || n, repeat('x', 99) FROM generate_series(1, 3000) n"
        )
        made.execute("ANALYZE people")
        yield made


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "people.sql").write_text("CREATE INDEX people_mail ON people (mail);")
    return Settings(server=Server(dsn=pg_dsn), index=Index(directory=str(tmp_path)))


def _run(settings: Settings, *words: str) -> tuple[Result, str]:
    """The command's result, and what it printed for people."""
    shown = io.StringIO()
    console = Console(file=shown, width=200, force_terminal=False)
    group = {"index": index, "migrate": migrate}[words[0]]
    return CliRunner().invoke(group, words[1:], obj=Context(settings, console)), shown.getvalue()


def test_an_audit_without_findings(settings: Settings, connection: Connection) -> None:
    result, shown = _run(settings, "index", "audit")

    assert (result.exit_code, shown) == (0, "No findings.\n")


def test_an_audit_with_findings_exits_1(settings: Settings, connection: Connection) -> None:
    connection.execute("CREATE INDEX a ON people (mail); CREATE INDEX b ON people (mail)")

    result, shown = _run(settings, "index", "audit")
    assert result.exit_code == 1
    assert "warning duplicate public.b: Is the same as a." in shown
    assert "DROP INDEX CONCURRENTLY public.b;" in shown

    result, shown = _run(settings, "index", "audit", "--json")
    assert shown == ""
    assert json.loads(result.stdout)[0]["rule"] == "duplicate"


def test_the_plan_before_and_after_the_upgrade(settings: Settings, connection: Connection) -> None:
    result, _ = _run(settings, "index", "plan", "--json")
    assert result.exit_code == 1
    (step,) = json.loads(result.stdout)["steps"]
    assert ("people_mail", "people", "create") == (step["name"], step["table"], step["action"])

    result, _ = _run(settings, "migrate", "upgrade", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["revision"] == "0005"
    assert document["indexes"][0]["valid"] is True

    result, shown = _run(settings, "index", "plan")
    assert (0, "Nothing to do: 1 index as declared.\n") == (result.exit_code, shown)


def test_migrations_for_people(settings: Settings, connection: Connection) -> None:
    assert _run(settings, "migrate", "current")[1] == "nothing applied\n"
    _, shown = _run(settings, "migrate", "upgrade")
    assert "people_mail" in shown
    assert "At revision 0005." in shown
    assert _run(settings, "migrate", "current")[1] == "0005\n"
    assert "0001" in _run(settings, "migrate", "history")[1]
    assert "At revision 0001." in _run(settings, "migrate", "downgrade", "0001")[1]


def test_migrations_as_json(settings: Settings, connection: Connection) -> None:
    assert json.loads(_run(settings, "migrate", "current", "--json")[0].stdout) == {
        "revision": None
    }
    result, _ = _run(settings, "migrate", "upgrade", "0001", "--json")
    assert json.loads(result.stdout) == {"revision": "0001", "indexes": []}
    history = json.loads(_run(settings, "migrate", "history", "--json")[0].stdout)
    assert [(one["revision"], one["applied"]) for one in history] == [
        ("0001", True),
        ("0002", False),
        ("0003", False),
        ("0004", False),
        ("0005", False),
    ]
    result, _ = _run(settings, "migrate", "downgrade", "base", "--json")
    assert json.loads(result.stdout)["revision"] == ""


@pytest.mark.pg(">= 16")
def test_advice_is_proven_only_when_allowed(settings: Settings, connection: Connection) -> None:
    connection.execute("SELECT pg_stat_statements_reset()")
    connection.execute("SELECT id FROM people WHERE mail = 'm5'")

    unproven, shown = _run(settings, "index", "advise")
    assert unproven.exit_code == 0
    assert "not proven" in shown
    result, _ = _run(settings, "index", "advise", "--prove-with-locks", "--json")

    (advice,) = json.loads(result.stdout)
    assert advice["proven"] is True
    assert advice["covered_by_declared"] == "people_mail"
    assert advice["saving"] > 0.5


def test_no_advice_says_so(settings: Settings, connection: Connection) -> None:
    connection.execute("SELECT pg_stat_statements_reset()")

    assert _run(settings, "index", "advise")[1] == "No index to advise.\n"


@pytest.mark.parametrize("words", [("index", "audit"), ("index", "advise"), ("migrate", "upgrade")])
def test_each_command_shows_examples(settings: Settings, words: tuple[str, str]) -> None:
    assert "Examples:" in _run(settings, *words, "--help")[0].stdout


def test_hidden_statements_are_said_to_be_not_examined(
    connection: Connection, settings: Settings
) -> None:
    connection.execute("DROP ROLE IF EXISTS dbopt_blind; CREATE ROLE dbopt_blind LOGIN")
    dsn = make_conninfo(settings.server.dsn, user="dbopt_blind")
    try:
        result, shown = _run(replace(settings, server=Server(dsn=dsn)), "index", "advise")
    finally:
        connection.execute("DROP ROLE dbopt_blind")

    assert (0, "No index to advise.\n") == (result.exit_code, shown)
    assert "Not examined: the statements of other roles" in result.stderr


def test_a_name_commands_no_terminal(connection: Connection, settings: Settings) -> None:
    connection.execute('CREATE INDEX "a\x1b]0;owned" ON people (id, mail)')

    for words in (("index", "audit"), ("index", "plan"), ("migrate", "upgrade")):
        assert "\x1b" not in _run(settings, *words)[1]
    connection.execute('CREATE INDEX "b\x1b]0;owned" ON people (filler)')
    Path(settings.index.directory, "people.sql").write_text(
        'CREATE INDEX "b\x1b]0;owned" ON people (mail, id);'
    )
    assert "\x1b" not in _run(settings, "index", "plan")[1]
