"""Writes a revision of the declared indexes into an Alembic environment, an application's or ours.

The environment's own settings hold: its places, names and branches, its script.py.mako, its hooks
that format what is written. Its env.py is run only where it says so (revision_environment).

Source: Alembic's documentation, "Customizing Revision Generation"; its template "multidb".
"""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, asbool, rev_id

from dbopt.errors import MigrationRefused, UsageError
from dbopt.migrate import runner
from dbopt.migrate.alembicops import IMPORT, AutocommitBlock, source
from dbopt.migrate.application import SECTION, application_config
from dbopt.migrate.difference import IndexOp
from dbopt.migrate.render import place_of, why_of
from dbopt.pg.connect import Connection
from dbopt.pg.sqlfile import statement
from dbopt.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """A revision that is asked for; what is empty is as `alembic revision` would have it.

    `branch` is a branch to go on with, or a new one's label. `head` as Alembic takes it. `engine`
    is the database's name, where the environment migrates several.
    """

    message: str
    branch: str = ""
    head: str = ""
    splice: bool = False
    revision: str = ""
    version_path: str = ""
    depends_on: tuple[str, ...] = ()
    engine: str = ""

    @property
    def upgrades(self) -> str:
        """What script.py.mako calls the upgrade's operations."""
        return f"{self.engine}_upgrades" if self.engine else "upgrades"

    @property
    def downgrades(self) -> str:
        """What script.py.mako calls the downgrade's operations."""
        return f"{self.engine}_downgrades" if self.engine else "downgrades"


@dataclass(frozen=True, slots=True)
class Written:
    """The file that was written, and its revision."""

    revision: str
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {"revision": self.revision, "path": str(self.path)}


def environment_of(settings: Settings, given: Path | None = None, section: str = SECTION) -> Config:
    """The Alembic environment to write into: the one given, that of this directory, or ours.

    `section` is that of its alembic.ini. Raises UsageError where there is none that may be written
    to.
    """
    if given is not None:
        return application_config(given, section=section)
    with contextlib.suppress(UsageError):
        return application_config(Path(), section=section)
    place = runner.location(settings)
    if not place.is_relative_to(Path.cwd()):
        with contextlib.suppress(UsageError):  # as Flask-Migrate makes it
            return application_config(Path(settings.migrate.directory), section=section)
        raise UsageError(
            "There is no Alembic environment here, and dbopt's own is a part of its installation.",
            hint="Give --alembic alembic.ini, or run `dbopt init .`.",
        )
    return runner.config(settings)


def require_applied(config: Config, branch: str, connection: Connection) -> None:
    """As `alembic revision --autogenerate` does; of one branch, where it is gone on with.

    Raises MigrationRefused where the database lacks a revision, which may do what is about to be
    written; UsageError where the revisions cannot be loaded.
    """
    applied = _versions(connection)
    with _environment(config) as directory:
        scripts = list(directory.walk_revisions())
        at = tuple(script.revision for script in scripts if script.revision in applied)
        known = any(branch in script.branch_labels for script in scripts)
        wanted = f"{branch}@heads" if known else "heads"
        missing = directory.iterate_revisions(wanted, at, implicit_base=True)
        lacks = [script.revision for script in missing]
    if lacks:
        raise MigrationRefused(
            f"The database is not up to date: it lacks {', '.join(reversed(lacks))}, whose "
            "operations would be written again.",
            hint="Run `alembic upgrade head` first (`dbopt migrate upgrade --schema-only` for "
            "dbopt's own environment), or give the database that it migrates (--dsn).",
        )


def _versions(connection: Connection) -> set[str]:
    """What Alembic's version tables say, of all applications that migrate this database."""
    found: set[str] = set()
    for table in connection.execute(statement("alembic_versions")).fetchall():
        text = f"SELECT version_num AS revision FROM {table['name']}"  # noqa: S608 - a regclass
        found |= {row["revision"] for row in connection.execute(text.encode()).fetchall()}
    return found


@contextlib.contextmanager
def _environment(config: Config) -> Iterator[ScriptDirectory]:
    """The environment's revisions; inside, what Alembic, env.py or a hook raises is UsageError."""
    # An env.py may look at what the `alembic` command was given.
    given = {**vars(config.cmd_opts or Namespace()), "quiet": True}
    config.cmd_opts = Namespace(**{"autogenerate": False, "sql": False, **given})
    try:
        # Alembic says on standard output where it writes, and what an env.py has to say.
        with contextlib.redirect_stdout(io.StringIO()):
            yield ScriptDirectory.from_config(config)
    except CommandError as error:
        raise UsageError(f"Alembic: {str(error).rstrip('.')}.", hint=_heads(config)) from None
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}.") from None
    except Exception as error:  # of a revision, env.py, script.py.mako or a hook that formats
        raise UsageError(
            f"{place_of(error)}the revision cannot be written: {why_of(error)}",
            hint="`alembic revision` must work.",
        ) from None


def write(config: Config, request: Request, operations: Sequence[IndexOp]) -> Written:
    """Write the revision.

    Raises UsageError with Alembic's reason where it cannot be, where the environment's
    script.py.mako leaves the operations out, and for a message that no docstring can hold.
    """
    if '"""' in request.message or request.message.endswith(('"', "\\")):
        raise UsageError(
            "The message would end the revision's docstring, and the file be no Python.",
            hint="Leave out the quotes or the backslash at its end.",
        )
    with _environment(config) as directory:
        script = _write(config, directory, request, AutocommitBlock(operations))
    _require_whole(config, Path(script.path), operations)
    return Written(script.revision, Path(script.path))


def _require_whole(config: Config, path: Path, operations: Sequence[IndexOp]) -> None:
    """Take the file away again where it lacks the operations: run, it would do nothing."""
    if path.read_text(encoding="utf-8").count("_index_safely(") >= len(operations):
        return
    path.unlink()
    databases = config.get_main_option("databases")
    names = f", here one of {databases}" if databases else ""
    raise UsageError(
        "No revision was written: script.py.mako has no place for its operations.",
        hint=f"Where the environment migrates several databases, give --engine NAME{names}.",
    )


def _write(
    config: Config, directory: ScriptDirectory, request: Request, block: AutocommitBlock
) -> Script:
    label, head = _place(directory, request)
    common: dict[str, Any] = {
        "head": head,
        "splice": request.splice,
        "version_path": request.version_path or None,
        "depends_on": list(request.depends_on) or None,
    }
    if asbool(config.get_alembic_option("revision_environment")):
        made = command.revision(
            config,
            message=request.message,
            rev_id=request.revision or None,
            branch_label=label,
            process_revision_directives=_filler(request, block),
            **common,
        )
    else:
        bodies: dict[str, Any] = {
            request.upgrades: _body(block),
            request.downgrades: _body(block.reverse()),
        }
        made = directory.generate_revision(
            request.revision or rev_id(),
            request.message,
            branch_labels=label,
            config=config,
            imports=IMPORT,
            **bodies,
            **common,
        )
    if not isinstance(made, Script):
        raise CommandError("the revision was not written")
    return made


def _body(block: AutocommitBlock) -> str:
    """The body of a function, but for its first line's indentation."""
    return source(block).replace("\n", "\n    ")


def _place(directory: ScriptDirectory, request: Request) -> tuple[str | None, str]:
    """The label that the revision gets, and the head that it is put on."""
    if not request.branch:
        return None, request.head or "head"
    known = {label for script in directory.walk_revisions() for label in script.branch_labels}
    if request.branch in known:
        return None, request.head or f"{request.branch}@head"
    return request.branch, request.head or "base"


def _filler(request: Request, block: AutocommitBlock) -> Any:
    """Puts the operations into the revision: for each of several databases it is called anew."""

    def fill(context: Any, revision: Any, directives: list[Any]) -> None:
        for script in directives:
            script.imports.add(IMPORT)
            up, down = script.upgrade_ops_list[-1], script.downgrade_ops_list[-1]
            if up.upgrade_token == request.upgrades:
                up.ops[:] = [block]
                down.ops[:] = [block.reverse()]

    return fill


def _heads(config: Config) -> str:
    with contextlib.suppress(CommandError):
        heads = ScriptDirectory.from_config(config).get_heads()
        if len(heads) > 1:
            return f"There are several heads: {', '.join(heads)}. Give --branch or --head."
    return ""
