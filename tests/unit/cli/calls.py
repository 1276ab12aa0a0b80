"""A run of `dbopt` inside this process, through `main`, as the shell would do it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click
import pytest

from dbopt.cli.root import main, root
from tests.docs_commands import subcommands


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of standard error."""
        (line,) = self.err.splitlines()
        return line


Call = Callable[..., Result]


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs `dbopt` with these words, without a configuration of ours."""
    for name in [n for n in os.environ if n.startswith(("DBOPT_", "PG"))]:
        monkeypatch.delenv(name)
    # Wide enough that no line is broken.
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["dbopt", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


def every_command(
    group: click.Group = root, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command and group below the root, by the words that lead to it."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in subcommands(group):
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found
