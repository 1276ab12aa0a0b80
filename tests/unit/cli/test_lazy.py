"""Commands that are imported when they are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import dbopt.cli
from dbopt.cli.index import index
from dbopt.cli.lazy import COMMANDS, LazyGroup
from dbopt.cli.migrate import migrate
from dbopt.cli.root import root

HEAVY = {"alembic", "sqlalchemy", "sqlglot", "starlette", "uvicorn", "apscheduler", "opentelemetry"}


def loaded(*words: str) -> set[str]:
    """Of the heavy packages, those that `dbopt … --help` loads."""
    code = (
        "import sys\nfrom dbopt.cli.root import root\n"
        f"try: root.main({[*words, '--help']!r})\nexcept SystemExit: pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("config", "docs"), set()),
        (("status",), set()),
        (("check",), {"sqlglot"}),
        (("index", "audit"), set()),
        (("index", "plan"), set()),
        (("migrate", "lint"), {"sqlglot"}),
    ],
    ids=" ".join,
)
def test_a_command_loads_what_it_needs(words: tuple[str, ...], expected: set[str]) -> None:
    assert expected >= loaded(*words)


def test_serving_needs_no_migrations() -> None:
    assert not {"alembic", "sqlalchemy"} & loaded("serve")


@pytest.mark.parametrize("group", [index, migrate], ids=["index", "migrate"])
def test_every_command_of_a_group_is_found(group: LazyGroup) -> None:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        assert name == found.name
    assert group.get_command(context, "nothing") is None


def test_every_command_has_its_module() -> None:
    context = click.Context(root)
    assert sorted(COMMANDS) == root.list_commands(context)
    for name in COMMANDS:
        found = root.get_command(context, name)
        assert found is not None
        assert name == found.name
        assert (Path(dbopt.cli.__path__[0]) / f"{name}.py").exists()
    assert root.get_command(context, "nothing") is None
