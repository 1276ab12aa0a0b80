"""Alembic from Python: the same environment and revisions as the `alembic` command's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from dbopt import resources
from dbopt.errors import DboptError, UsageError
from dbopt.migrate.environment import ATTRIBUTE, SCHEMA, Run, refusals
from dbopt.migrate.progress import Report
from dbopt.migrate.work import Built
from dbopt.pg.engine import engine
from dbopt.settings import TABLE, Settings


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The revision reached, and what became of each declared index."""

    revision: str
    indexes: tuple[Built, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {"revision": self.revision, "indexes": [built.to_dict() for built in self.indexes]}


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its id, what it revises, what it does, and whether it is applied."""

    revision: str
    revises: str
    doc: str
    applied: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return asdict(self)


def upgrade(
    settings: Settings,
    revision: str = "head",
    progress: Report | None = None,
    *,
    indexes: bool = True,
) -> Upgraded:
    """Upgrade the served database, and the store's where it is another one.

    "head" is all heads: in a copy that `dbopt init` has made, revisions of the user's own may
    stand beside those that a newer dbopt has added. Where that leads to the newest revision, the
    declared indexes are built, those too that were declared since. `progress` is called from
    another thread during builds. Without `indexes` it makes dbopt's own schema alone; a later
    upgrade builds them.

    Raises MigrationError, DeclarationError, UsageError (no such revision) or ConnectError.
    """
    wanted = "heads" if revision == "head" else revision
    return _command(command.upgrade, settings, wanted, progress, indexes)


def downgrade(
    settings: Settings,
    revision: str,
    progress: Report | None = None,
    *,
    indexes: bool = True,
) -> Upgraded:
    """Downgrade to that revision ("base": to nothing). Raises as `upgrade` does.

    Without `indexes` the declared indexes stay, wherever it leads.
    """
    return _command(command.downgrade, settings, revision, progress, indexes)


def current(settings: Settings) -> str:
    """The revision of the served database; "" where nothing has been applied, several with commas.

    Raises ConnectError, AuthenticationError, ConfigError, or MigrationError where it may not be
    read.
    """
    return ", ".join(_heads_of(settings, settings.server.dsn))


def _heads_of(settings: Settings, dsn: str) -> tuple[str, ...]:
    with (
        refusals("Reading the revision"),
        engine(dsn, timeout=settings.server.connect_timeout).connect() as link,
    ):
        context = MigrationContext.configure(link, opts={"version_table_schema": SCHEMA})
        return tuple(sorted(context.get_current_heads()))


def history(settings: Settings) -> list[Revision]:
    """All revisions, the first one first. Raises as `current`, and as `location`, and UsageError
    where the database is at a revision that is not here."""
    script = ScriptDirectory.from_config(config(settings))
    at = _heads_of(settings, settings.server.dsn)
    with _alembics():
        applied = {s.revision for s in script.iterate_revisions(at, "base")} if at else set()
    return [_revision(s, applied) for s in reversed(list(script.walk_revisions()))]


def config(settings: Settings, run: Run | None = None) -> Config:
    """Alembic's configuration from ours: no alembic.ini is read."""
    made = Config(stdout=io.StringIO(), attributes={ATTRIBUTE: run or _run(settings)})
    # Config is a ConfigParser, to which % is special.
    made.set_main_option("script_location", str(location(settings)).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def location(settings: Settings) -> Path:
    """The environment's directory: the configured one if it is there, else the shipped one.

    An application often has an Alembic environment of its own in `migrations/`: that one is never
    run. Raises UsageError where it is what migrate.directory names, and where a copy that
    `dbopt init` has made lacks revisions of this dbopt's.
    """
    own = Path(settings.migrate.directory)
    if is_ours(own):
        if lacking := missing(own):
            raise UsageError(
                f"migrate.directory: {own} lacks {lacking[0].name}: an older dbopt has made it.",
                hint=f"`dbopt init {own.parent}` adds what is missing.",
            )
        return own.absolute()
    if settings.migrate.directory == TABLE["migrate.directory"].default:
        return resources.directory("migrations")
    raise UsageError(
        f"migrate.directory: {own} holds no Alembic environment of dbopt's.",
        hint="`dbopt init DIR` makes one there; without the setting the shipped one is run.",
    )


def missing(directory: Path) -> list[Path]:
    """The shipped revisions that an environment of dbopt's lacks, the first one first."""
    shipped = (resources.directory("migrations") / "versions").glob("*.py")
    return sorted(one for one in shipped if not (directory / "versions" / one.name).exists())


def is_ours(directory: Path) -> bool:
    """Whether that is an Alembic environment of dbopt's, and no application's own."""
    try:
        return "dbopt.migrate.environment" in (directory / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _run(settings: Settings, progress: Report | None = None) -> Run:
    return Run(settings.server.dsn, settings, progress)


def _runs(settings: Settings, progress: Report | None, indexes: bool) -> list[Run]:
    """One for the served database, and one for a store of its own, which has no such tables.

    Where the store is elsewhere, and no indexes are wanted, the served database gets nothing.
    """
    runs = [Run(settings.server.dsn, settings, progress, indexes)]
    if settings.store_dsn != settings.server.dsn:
        store = Run(settings.store_dsn, settings, indexes=False)
        runs = [store, *runs] if indexes else [store]
    return runs


def _command(
    act: Any,
    settings: Settings,
    revision: str,
    progress: Report | None,
    indexes: bool = True,
) -> Upgraded:
    runs = _runs(settings, progress, indexes)
    with _alembics():
        for run in runs:
            act(config(settings, run), revision)
    built = tuple(built for run in runs for built in run.built)
    return Upgraded(", ".join(_heads_of(settings, runs[-1].dsn)), built)


@contextmanager
def _alembics() -> Iterator[None]:
    """What Alembic refuses inside, as UsageError; what dbopt's operations do, as they said it."""
    try:
        yield
    except (CommandError, RevisionError) as error:
        if isinstance(error.__cause__, DboptError):
            raise error.__cause__ from None
        hint = "See dbopt migrate history; a revision that is not here is a newer dbopt's."
        raise UsageError(f"Alembic: {str(error).rstrip('.')}.", hint=hint) from None


def _revision(script: Script, applied: set[str]) -> Revision:
    revises = script.down_revision
    return Revision(
        revision=script.revision,
        revises=revises if isinstance(revises, str) else ", ".join(revises or ()),
        doc=script.doc,
        applied=script.revision in applied,
    )
