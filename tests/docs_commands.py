"""The commands that documents and `--help` show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:dbopt|make|alembic) [^`]+)`")


def shown() -> list[tuple[str, str]]:
    """(document, command) of each command line in a shell block or between backticks."""
    return [(path.name, line) for path in DOCUMENTS for line in _lines(path.read_text())]


def _lines(text: str) -> Iterator[str]:
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            for command in re.split(r"&&|\|", re.sub(r"\s#.*|\s{3,}\(.*", "", line)):
                if command.strip():
                    yield command.strip()
    yield from _INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def words(command: str, program: str) -> list[str] | None:
    """The arguments of a command of that program, without redirection; None for another's."""
    parts = shlex.split(re.split(r"[|>]", command)[0])
    while parts and re.match(r"[A-Z_]+=", parts[0]):
        parts.pop(0)
    return parts[1:] if parts and parts[0] == program else None


def examples(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """(command path, example) of each example in the help of a command and all below it."""
    for line in (command.help or "").partition("Examples:")[2].splitlines():
        line = re.sub(r"\s{3,}\S.*", "", line.strip())
        if re.match(r"([A-Z_]+=\S+ )?dbopt ", line):
            yield path, line
    if isinstance(command, click.Group):
        for name, child in subcommands(command):
            yield from examples(child, f"{path} {name}")


def subcommands(group: click.Group) -> list[tuple[str, click.Command]]:
    """The commands of a group, loaded."""
    context = click.Context(group)
    found = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    return [(name, command) for name, command in found if command is not None]


def parse(root: click.Command, arguments: list[str]) -> list[str]:
    """Parse arguments as click would, without running anything; gives the path of commands.

    Raises click.ClickException where click would refuse them.
    """
    command: click.Command = root
    path: list[str] = []
    context: click.Context | None = None
    while True:
        context = click.Context(command, info_name=command.name, parent=context)
        command.parse_args(context, list(arguments))
        if not isinstance(command, click.Group):
            return path
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, child, arguments = command.resolve_command(context, rest)
        assert child is not None
        assert name is not None
        path.append(name)
        command = child
