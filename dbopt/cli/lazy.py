"""A group whose commands are imported when they are named: each needs but its own libraries.

`dbopt check` is run every minute by monitors, and `dbopt serve` stays in memory: neither should
load what migrations or the demo need.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = (
    "check", "config", "demo", "guard", "index", "init", "migrate", "query", "serve", "slow",
    "stats", "status", "top", "trace",
)  # fmt: skip
"""Each is `dbopt.cli.NAME.NAME`."""


class LazyGroup(click.Group):
    """See the module. Commands that were added by add_command are found too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            found: click.Command = getattr(import_module(f"dbopt.cli.{cmd_name}"), cmd_name)
            self.add_command(found)
        return super().get_command(ctx, cmd_name)
