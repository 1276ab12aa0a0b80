"""`dbopt migrate upgrade`, downgrade, current, history: dbopt's own schema, and the indexes."""

from __future__ import annotations

import click
from rich.table import Table

from dbopt.cli.context import Context, print_json, shown
from dbopt.cli.migratebars import progress
from dbopt.migrate import runner
from dbopt.migrate.runner import Upgraded


@click.command()
@click.argument("revision", default="head")
@click.option("--schema-only", is_flag=True, help="dbopt's own schema alone, no declared index.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def upgrade(context: Context, revision: str, schema_only: bool, as_json: bool) -> None:
    """Upgrade to REVISION (default: head).

    At the newest revision each declared index that is missing is built concurrently, those too
    that were declared since: nobody who reads or writes waits for it. A leftover invalid index is
    mended. None is replaced or dropped: that is `dbopt index apply`'s.

    \b
    Examples:
      dbopt migrate upgrade
      dbopt migrate upgrade --schema-only
    """
    if as_json:
        done = runner.upgrade(context.settings, revision, indexes=not schema_only)
        print_json(done.to_dict())
        return
    with progress(context.console) as watched:
        done = runner.upgrade(context.settings, revision, watched.look, indexes=not schema_only)
    _show(context, done)


@click.command(short_help="Downgrade to REVISION.")
@click.argument("revision")
@click.option("--schema-only", is_flag=True, help="Let the declared indexes stay.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def downgrade(context: Context, revision: str, schema_only: bool, as_json: bool) -> None:
    """Downgrade to REVISION; below 0002 this drops the declared indexes, concurrently.

    "base" takes dbopt's schema away, with all of its history.

    \b
    Examples:
      dbopt migrate downgrade base --schema-only      (your indexes stay)
      dbopt migrate downgrade 0001
    """
    done = runner.downgrade(context.settings, revision, indexes=not schema_only)
    if as_json:
        print_json(done.to_dict())
    else:
        _show(context, done)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def current(context: Context, as_json: bool) -> None:
    """Show the revision that the database is at.

    \b
    Examples:
      dbopt migrate current
      dbopt migrate current --json
    """
    revision = runner.current(context.settings)
    if as_json:
        print_json({"revision": revision or None})
    else:
        context.console.print(revision or "nothing applied")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def history(context: Context, as_json: bool) -> None:
    """List the revisions, and which are applied.

    \b
    Examples:
      dbopt migrate history
      dbopt migrate history --json
    """
    revisions = runner.history(context.settings)
    if as_json:
        print_json([revision.to_dict() for revision in revisions])
        return
    table = Table("Revision", "Revises", "Applied", "What it does")
    for revision in revisions:
        applied = "yes" if revision.applied else "no"
        table.add_row(revision.revision, revision.revises, applied, shown(revision.doc))
    context.console.print(table)


def _show(context: Context, done: Upgraded) -> None:
    if done.indexes:
        table = Table("Index", "Table", "Action", "Valid", "ms")
        for built in done.indexes:
            valid = "yes" if built.valid else "no"
            name, of = shown(built.name), shown(built.table)
            table.add_row(name, of, built.action.value, valid, f"{built.ms:.0f}")
        context.console.print(table)
    context.console.print(f"At revision {done.revision or 'base (nothing applied)'}.")
