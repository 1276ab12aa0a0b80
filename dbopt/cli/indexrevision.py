"""`dbopt index revision`: what the declared indexes need, as a revision of Alembic's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbopt.cli.context import Context, print_json, shown
from dbopt.migrate.declared import declared
from dbopt.pg.connect import connect

if TYPE_CHECKING:
    from dbopt.migrate.difference import IndexOp
    from dbopt.migrate.indexrevision import Written

_UNSEEN = "Not examined: which indexes dbopt manages, so the revision drops none."


@click.command("revision", short_help="Write it as a revision of your Alembic environment.")
@click.option("-m", "--message", required=True, help="What the revision is for.")
@click.option(
    "--alembic", "environment", type=click.Path(path_type=Path),
    metavar="alembic.ini|FOLDER",
    help="The Alembic environment to write into.  [default: that of ./alembic.ini or "
    "./pyproject.toml, else dbopt's own]",
)  # fmt: skip
@click.option("--branch", default="", help="The branch to go on with, or a new one's label.")
@click.option("--head", default="", help="The revision to follow, as `alembic revision` has it.")
@click.option("--splice", is_flag=True, help="Follow a revision that is no head.")
@click.option("--rev-id", default="", help="The revision's id.  [default: a random one]")
@click.option("--version-path", default="", help="Where it is written, of several places.")
@click.option("--depends-on", multiple=True, metavar="REV", help="A revision that must be first.")
@click.option("--name", default="alembic", help="The alembic.ini's section, as `alembic --name`.")
@click.option("--engine", default="", help="The database's name, of several (template multidb).")
@click.option(
    "--only", multiple=True, metavar="NAME|TABLE", help="Only this index or table; repeatable."
)
@click.option("--offline", is_flag=True, help="All declared indexes; ask no database.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def revision(
    context: Context,
    message: str,
    environment: Path | None,
    branch: str,
    head: str,
    splice: bool,
    rev_id: str,
    version_path: str,
    depends_on: tuple[str, ...],
    name: str,
    engine: str,
    only: tuple[str, ...],
    offline: bool,
    as_json: bool,
) -> None:
    """Write what the declared indexes need as a revision of your Alembic environment.

    It calls op.create_index_safely and op.drop_index_safely, which build and drop concurrently;
    `alembic upgrade`, `downgrade` and `--sql` run it as any other. Where nothing is to be done
    nothing is written; where a revision is not applied yet it refuses, since that one may do the
    same.

    \b
    Examples:
      dbopt index revision -m "index the customer's orders"
      dbopt index revision -m "indexes" --alembic services/shop/alembic.ini --branch shop
      dbopt index revision -m "indexes" --only orders --offline
    """
    # Alembic takes a while to import, and the group's other commands do without.
    from dbopt.migrate.difference import compare, from_nothing
    from dbopt.migrate.indexrevision import Request, environment_of, require_applied, write

    request = Request(message, branch, head, splice, rev_id, version_path, depends_on, engine)
    settings = context.settings
    found, server = declared(settings), settings.server
    if offline:
        chosen = environment_of(settings, environment, name)
        difference = from_nothing(found, only)
    else:
        with connect(server.dsn, timeout=server.connect_timeout) as connection:
            chosen = environment_of(settings, environment, name)
            require_applied(chosen, branch, connection)
            difference = compare(settings, connection, found, only)
    if difference.unseen:
        click.echo(f"{_UNSEEN} {difference.unseen}", err=True)
    operations = difference.operations()
    written = write(chosen, request, operations) if operations else None
    _show(context, written, operations, as_json)


def _show(
    context: Context, written: Written | None, operations: Sequence[IndexOp], as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                **(written.to_dict() if written else {"revision": None, "path": None}),
                "operations": [one.to_diff_tuple()[:2] for one in operations],
            }
        )
    elif written is None:
        context.console.print("Nothing to do: no revision was written.")
    else:
        place = shown(str(written.path))
        context.console.print(f"Wrote {place}, revision {written.revision}:", soft_wrap=True)
        for one in operations:
            context.console.print(f"  {one.diff} {shown(one.index_name)}")
