"""`dbopt migrate`: dbopt's own schema and the declared indexes; and a look at any migration."""

from __future__ import annotations

import click

from dbopt.cli.lazy import EXITS, LazyGroup

_COMMANDS = {
    "current": "migrateschema:current",
    "downgrade": "migrateschema:downgrade",
    "history": "migrateschema:history",
    "lint": "migratelint:lint_command",
    "upgrade": "migrateschema:upgrade",
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, epilog=EXITS)
def migrate() -> None:
    """Lint anybody's migrations; make dbopt's own schema and the declared indexes.

    \b
    Examples:
      dbopt migrate lint db/migrations --since origin/main
      dbopt migrate upgrade --schema-only       (dbopt's schema alone)
    """
