from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dbopt import __version__
from dbopt.cli.root import root
from dbopt.errors import EXIT_CODES, MigrationError
from tests.unit.cli.calls import Call, every_command

COMMANDS = every_command()
LEAVES = [(words, c) for words, c in COMMANDS if not isinstance(c, click.Group)]
WORDS = pytest.mark.parametrize("words", [w for w, _ in COMMANDS], ids=" ".join)
LEAF_WORDS = pytest.mark.parametrize("words", [w for w, _ in LEAVES], ids=" ".join)

NOWHERE = "postgresql://app:hunter2@127.0.0.1:1/shop"
CONNECTING = [
    "check",
    "guard list",
    "guard quarantine 00000000000000ff",
    "guard release --all",
    "index audit",
    "index advise",
    "index advise --prove-with-locks",
    "index apply --yes",
    "index declare",
    "index plan",
    "index runs",
    "index revision -m message",
    "index rollback 20261123-0412-k3",
    "migrate upgrade",
    "migrate downgrade base",
    "migrate current",
    "migrate history",
    "query explain SELECT",
    "query lint SELECT",
    "query score SELECT",
    "stats report",
    "stats snapshot",
    "stats list",
]


@WORDS
def test_each_command_has_help(call: Call, words: tuple[str, ...]) -> None:
    result = call(*words, "--help")
    assert (0, "") == (result.code, result.err)
    assert f"Usage: dbopt {' '.join(words)}" in result.out


@LEAF_WORDS
def test_each_command_shows_an_example(call: Call, words: tuple[str, ...]) -> None:
    _, _, examples = call(*words, "--help").out.partition("Examples:")
    assert f"dbopt {' '.join(words)}" in examples or f" {' '.join(words)}" in examples


@LEAF_WORDS
def test_each_option_is_explained(words: tuple[str, ...]) -> None:
    command = dict(LEAVES)[words]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [] == [option.name for option in options if not option.help and option.name != "limit"]


def test_each_command_that_prints_data_takes_json() -> None:
    without = [
        words
        for words, command in LEAVES
        if not {"as_json", "form"} & {parameter.name for parameter in command.params}
    ]
    assert [("serve",)] == without


def test_the_help_names_the_exit_codes(call: Call) -> None:
    out = call("--help").out
    assert [*"01234567"] == [str(code) for code in EXIT_CODES]
    for code, words in EXIT_CODES.items():
        assert f"{code}  {words}" in out


def test_the_version(call: Call) -> None:
    assert f"dbopt, version {__version__}\n" == call("--version").out


# Configuration


@pytest.mark.parametrize(
    "words",
    [
        ("nix",),
        ("--nix", "status"),
        ("stats", "report", "--json", "--markdown"),
        ("stats", "report", "--top", "none"),
        ("config", "docs", "nix"),
        ("init",),
        ("-c", "/", "status"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_2(call: Call, words: tuple[str, ...]) -> None:
    result = call(*words)
    assert (2, "") == (result.code, result.out)
    assert "Error: " in result.err
    assert "Traceback" not in result.err


def test_a_configuration_error_names_file_and_line(call: Call) -> None:
    Path("config.toml").write_text("[gateway]\nport = 70000\n")
    result = call("index", "audit")
    assert 2 == result.code
    assert "dbopt: config.toml:2: gateway.port: found 70000; allowed is a whole number from 0 to " \
        "65535. The default is 6432." == result.line  # fmt: skip


def test_a_configuration_that_is_named_and_missing(call: Call) -> None:
    result = call("-c", "none.toml", "status")
    assert 2 == result.code
    assert result.line.startswith("dbopt: none.toml: cannot be read: No such file or directory.")


def test_the_environment_names_the_configuration(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("other.toml").write_text("[trace]\nslow = 7\n")
    monkeypatch.setenv("DBOPT_CONFIG", "other.toml")
    assert '"value": 7.0' in call("config", "show", "--changed", "--json").out


def test_what_works_where_the_configuration_does_not(call: Call) -> None:
    Path("config.toml").write_text("broken")
    assert 0 == call("config", "docs").code
    assert 0 == call("init", "elsewhere").code
    assert 2 == call("config", "check").code


def test_dsn_is_server_dsn_and_the_last_one_counts(call: Call) -> None:
    result = call("--dsn", NOWHERE, "-s", "server.dsn=postgresql://other@127.0.0.1:2/x",
                  "index", "audit")  # fmt: skip
    assert "127.0.0.1:1/shop as app" in result.line


# Databases that cannot be reached


@pytest.mark.parametrize("command", CONNECTING)
def test_a_database_that_cannot_be_reached(call: Call, command: str) -> None:
    result = call("--dsn", NOWHERE, *command.split())
    assert (3, "") == (result.code, result.out)
    assert (
        "dbopt: PostgreSQL at 127.0.0.1:1/shop as app cannot be reached: Connection refused. "
        "Is it running, and are host and port right? Give another with --dsn or server.dsn."
    ) == result.line


def test_every_command_that_connects_is_tried() -> None:
    others = {"config", "demo", "init", "serve", "slow", "status", "top", "trace"}
    offline = {("guard", "check"), ("query", "fingerprint"), ("index", "lint"), ("migrate", "lint")}
    tried = {tuple(command.split()[:2]) for command in CONNECTING}
    assert tried == {words for words, _ in LEAVES if words[0] not in others} - offline


def test_no_daemon_to_ask(call: Call) -> None:
    result = call("-s", "http.port=1", "status")
    assert (3, "") == (result.code, result.out)
    assert result.line.startswith("dbopt: No dbopt daemon answers at http://127.0.0.1:1: ")
    assert "Connection refused. Start one with `dbopt serve`" in result.line


@pytest.mark.parametrize(
    ("dsn", "code", "said"),
    [
        ("postgresql://a:hunter2@[::1", 2, "server.dsn: is not a PostgreSQL connection string."),
        ("host=/nowhere user=a password=hunter2", 3, "PostgreSQL at /nowhere:5432/a as a cannot"),
        ("postgresql://a:hunter2@nohost.invalid/x", 3, "nohost.invalid:5432/x as a cannot be"),
        ("postgresql://a:hunter2@127.0.0.1:1,[::1]:2/x", 3, "cannot be reached"),
        ("postgresql://a:hunter2@127.0.0.1:99999/x", 3, 'invalid port number: "99999"'),
        ("postgresql://a:hunter2@127.0.0.1:1/x?sslmode=nix", 3, 'invalid sslmode value: "nix"'),
    ],
)
def test_odd_connection_strings(call: Call, dsn: str, code: int, said: str) -> None:
    result = call("--dsn", dsn, "index", "audit")
    assert (code, "") == (result.code, result.out)
    assert said in result.line
    assert "hunter2" not in result.line


# How it ends


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the command `fail` raises."""
    raised: list[BaseException] = []

    @click.command()
    def fail() -> None:
        raise raised[0]

    monkeypatch.setitem(root.commands, "fail", fail)
    return raised


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MigrationError("An index is not valid.", hint="Again."), 4,
         "dbopt: An index is not valid. Again."),
        (KeyboardInterrupt(), 130, "Stopped."),
        (PermissionError(13, "Permission denied", "indexes"), 4,
         "dbopt: indexes: Permission denied."),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    call: Call, failing: list[BaseException], error: BaseException, code: int, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("dbopt.cli.root._forget_output", lambda: None)
    failing.append(error)
    result = call("fail")
    assert (code, said) == (result.code, result.line)


def test_a_defect_is_one_line_without_the_errors_words(
    call: Call, failing: list[BaseException]
) -> None:
    failing.append(ValueError("hunter2"))
    result = call("fail")
    assert 4 == result.code
    assert result.line.startswith(f"dbopt: failed unexpectedly: ValueError at {__file__}:")
    assert "hunter2" not in result.line


def _shell(command: str) -> tuple[str, str]:
    """Its output, where `dbopt` stands for ours, and the exit codes of the pipe."""
    ours = f"{sys.executable} -m dbopt"
    done = subprocess.run(
        ["bash", "-c", f"{command.replace('dbopt', ours)}; echo \"${{PIPESTATUS[@]}}\""],
        capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": ""},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return lines[-1], done.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_that_has_gone_is_no_error(form: str) -> None:
    assert ("0 0", "") == _shell(f"dbopt config docs --format {form} | true")


def test_a_disk_that_is_full() -> None:
    codes, err = _shell("dbopt config docs > /dev/full")
    assert ("4", "dbopt: No space left on device.\n") == (codes, err)
