from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from dbopt.check.rules import RULES
from dbopt.check.run import Outcome
from dbopt.cli import check as module
from dbopt.cli.check import check
from dbopt.cli.context import Context
from dbopt.errors import AuthenticationError, ConnectError, UsageError
from dbopt.settings import Server, Settings
from dbopt.sql.findings import Finding, Severity
from tests.unit.check.builders import SERVER

DOCUMENT = Path(__file__).parents[3] / "docs/checks.md"


def call(*words: str) -> tuple[Result, str]:
    """The command's result, and what it printed for people."""
    shown = io.StringIO()
    console = Console(file=shown, width=80, force_terminal=False)
    context = Context(Settings(server=Server(dsn="host=x")), console)
    return CliRunner().invoke(check, words, obj=context), shown.getvalue()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the server's look gives: findings, or an error."""
    found: list[Any] = []

    async def run(_dsn: str, _limits: object, rules: Any, **_: object) -> Outcome:
        if found and isinstance(found[0], Exception):
            raise found[0]
        return Outcome(SERVER, ("app",), tuple(rule.name for rule in rules), tuple(found))

    monkeypatch.setattr(module, "run", run)
    return found


def bad(severity: Severity, *, examined: bool = True) -> Finding:
    return Finding("fsync", severity, "fsync", "Bad.", {}, "Mend it.", examined)


@pytest.mark.parametrize(
    ("finding", "code", "nagios"),
    [
        (bad(Severity.INFO), 0, 0),
        (bad(Severity.WARNING), 1, 1),
        (bad(Severity.CRITICAL), 1, 2),
        (bad(Severity.INFO, examined=False), 0, 0),
    ],
)
def test_exit_codes(given: list[Any], finding: Finding, code: int, nagios: int) -> None:
    given.append(finding)
    assert [code, code, nagios] == [
        call(*words)[0].exit_code for words in ((), ("--json",), ("--nagios",))
    ]


def test_json_is_one_document_on_stdout(given: list[Any]) -> None:
    given.append(bad(Severity.CRITICAL))
    result, shown = call("--json", "--only", "fsync, jit")
    document = json.loads(result.stdout)
    assert "" == shown
    assert {"critical": 1, "warning": 0, "info": 0, "fine": 1, "not_examined": 0,
            "ignored": 0} == document["summary"]  # fmt: skip


def test_people_read_findings_and_a_sum(given: list[Any]) -> None:
    given.append(bad(Severity.WARNING))
    _, shown = call("--skip", "jit")
    assert (
        "WARNING\n  fsync fsync: Bad.\n    Mend it.\n"
        f"0 critical, 1 warning, {len(RULES) - 2} rules fine, 0 not examined\n"
    ) == shown


@pytest.mark.parametrize("error", [ConnectError("Away."), AuthenticationError("No.")])
def test_a_server_that_is_away(given: list[Any], error: Exception) -> None:
    given.append(error)
    result, _ = call("--nagios")
    assert (3, f"DBOPT UNKNOWN - {error}\n") == (result.exit_code, result.stdout)
    assert error is call()[0].exception


def test_a_wrong_name_is_unknown_to_nagios() -> None:
    result, _ = call("--nagios", "--only", "fsink")
    assert 3 == result.exit_code
    assert "DBOPT UNKNOWN - fsink: there is no such check. Did you mean fsync?\n" == result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--nagios"),
        ("--list", "--nagios"),
        ("--markdown",),
        ("--only", "x"),
        ("--skip", "fsync,x"),
    ],
)
def test_what_cannot_be_asked(words: tuple[str, ...]) -> None:
    assert isinstance(call(*words)[0].exception, UsageError)


def test_the_list() -> None:
    names = [rule.name for rule in RULES]
    _, shown = call("--list")
    assert all(name in shown for name in names)
    assert max(map(len, shown.splitlines())) <= 80
    assert names == [row["rule"] for row in json.loads(call("--list", "--json")[0].stdout)]
    assert ["jit"] == [
        row["rule"] for row in json.loads(call("--list", "--json", "--only", "jit")[0].stdout)
    ]


def test_the_document_is_current() -> None:
    made = call("--list", "--markdown")[0].stdout
    assert DOCUMENT.read_text(encoding="utf-8") == made, "make it anew, as it says"
