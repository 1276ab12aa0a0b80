"""`dbopt init`: what an application's own repository needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.configfile import FILE_NAME
from dbopt.configsample import sample
from dbopt.errors import UsageError
from dbopt.resources import directory

_INDEXES_README = """\
# Declared indexes

One SQL file a table, plain `CREATE INDEX` statements, each with a comment that says what it
serves. `dbopt index declare` writes those that the database has already. `dbopt index plan` shows
what `dbopt index apply` would do, concurrently. Example, `orders.sql`:

```sql
-- the customer's order list, newest first
CREATE INDEX idx_orders_customer ON orders (customer_id, created_at DESC);
```
"""

_ALEMBIC = """\
# For plain `alembic`: dbopt's own commands need no such file.
[alembic]
script_location = %(here)s/migrations
path_separator = os
"""


@click.command()
@click.argument("where", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def init(context: Context, where: Path, as_json: bool) -> None:
    """Make config.toml, indexes/, migrations/ and alembic.ini in DIR, for your own repository.

    What is already there is left as it is. After an upgrade of dbopt run it again: it adds the
    revisions of dbopt's schema that are new.

    \b
    Examples:
      dbopt init .
      dbopt init deploy/dbopt
    """
    try:
        where.mkdir(parents=True, exist_ok=True)
        made = _make(where)
    except OSError as error:
        raise UsageError(
            f"{error.filename or where}: cannot be written: {error.strerror}.",
            hint="Give a directory that you may write to.",
        ) from None
    if as_json:
        print_json({"directory": str(where), "made": [str(path) for path in made]})
        return
    for path in made:
        context.console.print(Text(f"made {path}"))
    if not made:
        context.console.print(Text(f"{where} already has all of it."))
    context.console.print(
        Text(f"Next: in {where}, set server.dsn in config.toml, then run `dbopt config check`.")
    )


def _make(where: Path) -> list[Path]:
    single = (_config(where), _indexes(where))
    return [*filter(None, single), *_migrations(where), *filter(None, [_alembic(where)])]


def _config(where: Path) -> Path | None:
    path = where / FILE_NAME
    if path.exists():
        return None
    path.write_text(sample(), encoding="utf-8")
    path.chmod(0o600)  # server.dsn may hold a password
    return path


def _indexes(where: Path) -> Path | None:
    path = where / "indexes"
    if path.exists():
        return None
    path.mkdir()
    (path / "README.md").write_text(_INDEXES_README, encoding="utf-8")
    return path


def _migrations(where: Path) -> list[Path]:
    """The environment; of one that is there, and dbopt's, the revisions that it lacks."""
    from dbopt.migrate.runner import is_ours, missing  # Alembic takes a while to import

    path = where / "migrations"
    if not path.exists():
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        return [Path(shutil.copytree(directory("migrations"), path, ignore=ignored))]
    if not is_ours(path):
        return []
    (path / "versions").mkdir(exist_ok=True)
    return [Path(shutil.copy(one, path / "versions")) for one in missing(path)]


def _alembic(where: Path) -> Path | None:
    path = where / "alembic.ini"
    if path.exists():
        return None
    path.write_text(_ALEMBIC, encoding="utf-8")
    return path
