"""`dbopt`: the root of the command line, what every command shares, and how errors end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console

from dbopt import __version__
from dbopt.cli.config import config
from dbopt.cli.context import Context, Sources
from dbopt.cli.demo import demo
from dbopt.cli.index import index
from dbopt.cli.init import init
from dbopt.cli.migrate import migrate
from dbopt.cli.serve import serve
from dbopt.cli.stats import stats
from dbopt.cli.status import status
from dbopt.configfile import FILE_NAME
from dbopt.errors import EXIT_CODES, EXIT_OK, EXIT_USAGE, DboptError
from dbopt.settings import Settings

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {n}  {words}" for n, words in EXIT_CODES.items())
_WITHOUT_SETTINGS = frozenset(("init", "config", "demo"))
"""Commands that must work where the configuration does not: they load it themselves."""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dbopt")
@click.option(
    "-c", "--config", "path", type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file. [default: ./{FILE_NAME} if it is there; env DBOPT_CONFIG]",
)  # fmt: skip
@click.option("--dsn", help="The served database: the same as --set server.dsn=….")
@click.option(
    "-s", "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Set one setting, e.g. -s trace.slow=200; may be repeated.",
)  # fmt: skip
@click.pass_context
def root(
    ctx: click.Context, path: Path | None, dsn: str | None, overrides: tuple[str, ...]
) -> None:
    """dbopt stands beside an app server, in front of PostgreSQL.

    It pools connections, traces what passes, judges each query, finds and proves missing
    indexes, ships them as safe migrations, and reports what the server did.

    \b
    Examples:
      dbopt demo                                the whole loop on a database of its own
      dbopt --dsn postgresql:///app serve       stand in front of a database of yours
      dbopt --dsn postgresql:///app index audit
      dbopt config docs                         every setting

    A setting comes from the configuration file, then from the environment
    (DBOPT_SECTION__KEY), then from the command line; the last one counts.
    """
    sources = Sources.of(path, overrides, dsn)
    settings = Settings() if ctx.invoked_subcommand in _WITHOUT_SETTINGS else sources.load()
    ctx.obj = Context(settings, Console(), sources)


for command in (config, demo, index, init, migrate, serve, stats, status):
    root.add_command(command)


def main() -> None:
    """Run a command. An error is one line on standard error and the exit code of its class."""
    try:
        code = root.main(standalone_mode=False, prog_name="dbopt")
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except DboptError as error:
        click.echo(f"dbopt: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    sys.exit(code if isinstance(code, int) else EXIT_OK)
