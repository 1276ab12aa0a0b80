"""The options that the commands of `dbopt query` share."""

from __future__ import annotations

import click

given = click.argument("given", metavar="[SQL|FILE|FOLDER|-]...", nargs=-1)
json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
dsn = click.option("--dsn", help="The database to look at: as `dbopt --dsn`.")
catalog = click.option(
    "--catalog/--no-catalog",
    "wanted",
    default=None,
    help="Look at the database.  [default: where a DSN is set]",
)
literals = click.option(
    "--literals", is_flag=True, help="Show the constants of files and pipes too."
)
