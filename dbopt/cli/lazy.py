"""A group whose commands are imported when they are named: each needs but its own libraries.

`dbopt check` is run every minute by monitors, `dbopt index lint` and `dbopt migrate lint` before
every commit, and `dbopt serve` stays in memory: none should load what others need.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from dbopt.errors import EXIT_CODES

COMMANDS = (
    "check", "config", "demo", "guard", "index", "init", "migrate", "query", "serve", "slow",
    "stats", "status", "top", "trace",
)  # fmt: skip
"""Those of `dbopt` itself. Each is `dbopt.cli.NAME.NAME`."""


EXITS = "\b\nExit codes:\n" + "\n".join(f"  {n}  {words}" for n, words in EXIT_CODES.items())
"""What the help of a group ends with."""


class LazyGroup(click.Group):
    """See the module. Commands that were added by add_command are found too.

    `lazy`: by each command's name the module in dbopt.cli and the command's name there, with a
    colon between.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*self.lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, _, attribute = self.lazy[cmd_name].partition(":")
            found: click.Command = getattr(import_module(f"dbopt.cli.{module}"), attribute)
            self.add_command(found)
        return super().get_command(ctx, cmd_name)
