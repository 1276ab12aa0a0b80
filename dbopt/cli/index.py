"""`dbopt index`: the audit, the advice, and the declared indexes. A module each."""

from __future__ import annotations

import click

from dbopt.cli.lazy import EXITS, LazyGroup

_COMMANDS = {
    "advise": "indexadvise:advise",
    "apply": "indexapply:apply_command",
    "audit": "indexaudit:audit_command",
    "declare": "indexdeclare:declare",
    "lint": "indexlint:lint_command",
    "plan": "indexplan:plan_command",
    "revision": "indexrevision:revision",
    "rollback": "indexruns:rollback_command",
    "runs": "indexruns:runs_command",
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, epilog=EXITS)
def index() -> None:
    """Find missing indexes, declare them in indexes/*.sql, and build them safely.

    \b
    Examples:
      dbopt index audit                 what is unused, duplicate, missing, invalid
      dbopt index declare               write what there is into indexes/*.sql
      dbopt index lint                  what is wrong with the declarations; no database
      dbopt index plan                  what would be done, for how long, who is in the way
      dbopt index apply --yes           do it: concurrently, watched, resumable
      dbopt index runs                  what was done; `dbopt index rollback RUN` undoes it
    """
