"""`dbopt index`: the audit, the advice, and the declared indexes. A module each."""

from __future__ import annotations

import click

from dbopt.cli.lazy import LazyGroup

_COMMANDS = {
    "advise": "indexadvise:advise",
    "apply": "indexapply:apply_command",
    "audit": "indexaudit:audit_command",
    "lint": "indexlint:lint_command",
    "plan": "indexplan:plan_command",
    "revision": "indexrevision:revision",
    "rollback": "indexruns:rollback_command",
    "runs": "indexruns:runs_command",
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def index() -> None:
    """Audit the indexes, advise new ones, compare the declared ones."""
