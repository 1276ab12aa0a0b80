"""`dbopt migrate`: dbopt's own schema and the declared indexes; and a look at any migration."""

from __future__ import annotations

import click

from dbopt.cli.lazy import LazyGroup

_COMMANDS = {
    "current": "migrateschema:current",
    "downgrade": "migrateschema:downgrade",
    "history": "migrateschema:history",
    "lint": "migratelint:lint_command",
    "upgrade": "migrateschema:upgrade",
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def migrate() -> None:
    """Apply migrations: dbopt's own schema and the declared indexes. Lint anybody's."""
