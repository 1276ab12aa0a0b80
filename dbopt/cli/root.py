"""`dbopt`: the root of the command line, what every command shares, and how errors end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from dbopt import __version__
from dbopt.cli.context import Context, Sources
from dbopt.cli.lazy import COMMANDS, EXITS, LazyGroup
from dbopt.configfile import FILE_NAME
from dbopt.errors import EXIT_PARTIAL, EXIT_USAGE, DboptError
from dbopt.pg.shown import printable
from dbopt.settings import Settings

_WITHOUT_SETTINGS = frozenset(("init", "config", "demo"))
"""Commands that must work where the configuration does not: they load it themselves."""
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@click.group(
    cls=LazyGroup,
    lazy={name: f"{name}:{name}" for name in COMMANDS},
    epilog=EXITS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="dbopt")
@click.option(
    "-c", "--config", "path", type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file. [default: ./{FILE_NAME} if it is there; env DBOPT_CONFIG]",
)  # fmt: skip
@click.option("--dsn", help="The served database: the same as --set server.dsn=….")
@click.option(
    "-s", "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Set one setting, e.g. -s trace.slow=200; repeatable.",
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
    ctx.obj = Context(settings, _Console(), sources)


def main() -> None:
    """Run a command. An error is one line on standard error and the exit code of its class."""
    try:
        # Not root.main(): that one, and rich, end with 1 when a pipe's reader has gone, and
        # 1 means findings.
        with _signals_unwind(), root.make_context("dbopt", sys.argv[1:]) as ctx:
            root.invoke(ctx)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        if not hasattr(error, "__notes__"):  # a run has told more
            _say("Stopped.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except DboptError as error:
        _say(f"dbopt: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing to tell, and nobody to tell it to.
        _forget_output()
    except OSError as error:
        _forget_output()
        where = f"{error.filename}: " if error.filename else ""
        _say(f"dbopt: {where}{error.strerror or type(error).__name__}.")
        sys.exit(EXIT_PARTIAL)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        _say(f"dbopt: {_defect(error)}")
        sys.exit(EXIT_PARTIAL)


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP end with what Ctrl-C does: every `with` puts its things away."""
    before = {number: signal.signal(number, _terminated) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let `main` decide how that ends."""
        raise BrokenPipeError


def _say(words: str) -> None:
    with contextlib.suppress(OSError):
        # A name in it, of an index or a file, may hold what would command a terminal.
        click.echo("\n".join(map(printable, words.split("\n"))), err=True)


def _forget_output() -> None:
    """What is still buffered must not fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _defect(error: Exception) -> str:
    """Where it failed, and the type: the words might hold a literal or a password."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"failed unexpectedly: {type(error).__name__} at {place.filename}:{place.lineno}. "
        "This is a defect of dbopt; `python -X dev -m dbopt …` shows more."
    )
