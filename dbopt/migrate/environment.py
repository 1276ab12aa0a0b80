"""What `migrations/env.py` does: run the revisions, one process at a time, on a direct session.

The lock is held by a connection of its own: Alembic's must not be in a transaction when a
revision enters an autocommit block, and must hold no snapshot while an index is built.

The declared indexes follow the newest revision: dbopt's schema is there by then, so that what is
built is recorded; a build that fails leaves the schema whole; and what was declared since the last
upgrade is built too, by plain `alembic upgrade head` as well.

Source: Alembic's documentation, "Using the Migration Environment", and
`MigrationContext.autocommit_block`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from dbopt import configfile
from dbopt.errors import DboptError, MigrationError
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.migrate.progress import Report
from dbopt.migrate.work import Built
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError, translate
from dbopt.pg.engine import engine
from dbopt.settings import Settings

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext

SCHEMA = "dbopt"
ATTRIBUTE = "dbopt"
"""The key of the Run in Config.attributes."""
GUARD = "dbopt_guard"
"""The key of the Guard, while an env.py holds the migration lock."""

_log = logging.getLogger("dbopt.migrate")


@dataclass(slots=True)
class Run:
    """One run of Alembic: where to, with what settings, who is told; what was built is added.

    `indexes` is False where only dbopt's own schema is wanted.
    """

    dsn: str
    settings: Settings
    progress: Report | None = None
    indexes: bool = True
    built: list[Built] = field(default_factory=list)

    @property
    def served(self) -> Settings:
        """The settings of a run that leads to `dsn`."""
        return replace(self.settings, server=replace(self.settings.server, dsn=self.dsn))

    @property
    def is_store(self) -> bool:
        """Whether the database has dbopt's store alone, and none of the application's tables."""
        return not self.indexes and self.dsn != self.settings.server.dsn


def run(context: EnvironmentContext) -> None:
    """Run what Alembic was asked for. Plain `alembic` gets its errors as CommandError."""
    ours = context.config.attributes.get(ATTRIBUTE)
    if ours is not None:
        _run(context, ours)
        return
    try:
        context.config.attributes[ATTRIBUTE] = ours = _from_command_line(context)
        _run(context, ours)
    except DboptError as error:
        raise CommandError(str(error)) from None


def _from_command_line(context: EnvironmentContext) -> Run:
    """`-x dsn=…`, else the settings as every command of dbopt finds them."""
    path = Path(os.environ.get("DBOPT_CONFIG", configfile.FILE_NAME))
    settings = configfile.load(path if path.exists() else None, os.environ)
    given = context.get_x_argument(as_dictionary=True).get("dsn")
    return Run(given or settings.server.dsn, settings)


def _run(context: EnvironmentContext, ours: Run) -> None:
    with refusals("Migrating"):
        if context.is_offline_mode():
            _offline(context, ours)
        else:
            _online(context, ours)


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn what the server refuses inside, through psycopg or SQLAlchemy, into MigrationError."""
    try:
        yield
    except ServerError as error:
        raise _refused(what, error) from None
    except DBAPIError as error:
        # SQLAlchemy's text shows the statement; the server's own error is inside.
        raise _refused(what, error.orig) from None


def _refused(what: str, error: BaseException | None) -> MigrationError:
    cause = error if isinstance(error, ServerError) else ServerError()
    answer = translate(what, cause)
    return MigrationError(answer.message, hint=answer.hint)


def _offline(context: EnvironmentContext, ours: Run) -> None:
    from dbopt.migrate.revision import print_declared  # it needs what this module defines

    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        version_table_schema=SCHEMA,
        transaction_per_migration=True,
    )
    context.get_context().impl.static_output(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};\n")
    with context.begin_transaction():
        context.run_migrations()
    if _is_upgrade(context) and _leads_to_head(context):
        print_declared(context.get_context(), ours)


def _online(context: EnvironmentContext, ours: Run) -> None:
    timeout = ours.settings.server.connect_timeout
    with engine(ours.dsn, timeout=timeout).connect() as connection:
        context.configure(
            connection=connection,
            version_table_schema=SCHEMA,
            # An autocommit block commits what came before it: let that be other revisions.
            transaction_per_migration=True,
        )
        if context.get_context().opts.get("dont_mutate"):
            _migrate(context)
            return
        with alone(ours) as guard:
            context.config.attributes[GUARD] = guard
            try:
                _make_schema(guard.connection)
                _migrate(context)
                # A SELECT of Alembic's may have begun a transaction, which a build would wait for.
                connection.rollback()
                _build(context, ours, guard)
            finally:
                del context.config.attributes[GUARD]


@contextmanager
def alone(ours: Run) -> Iterator[Guard]:
    """Hold the migration lock. Raises MigrationBusy, MigrationRefused or ConnectError."""
    with Guard(lambda: direct_session(ours.served), _tell) as guard:
        guard.take(ours.settings.migrate.lock_wait)
        yield guard


def _build(context: EnvironmentContext, ours: Run, guard: Guard) -> None:
    """Build the declared indexes where an upgrade has led to the newest revision."""
    from dbopt.migrate.revision import build_declared  # it needs what this module defines

    if not (ours.indexes and _is_upgrade(context) and _leads_to_head(context)):
        return
    build_declared(ours, guard)


def _is_upgrade(context: EnvironmentContext) -> bool:
    """Whether Alembic was asked to upgrade, and not for a downgrade, a stamp or a comparison.

    Its commands hand over a function of their own, called as they are.
    """
    return getattr(context.get_context().opts.get("fn"), "__name__", "") == "upgrade"


def _leads_to_head(context: EnvironmentContext) -> bool:
    """Whether the upgrade's destination, which may be relative, has been the newest revision."""
    own = context.get_context()
    heads = set(own.script.get_heads()) if own.script is not None else set()
    if own.as_sql:
        wanted = context.get_revision_argument()
        return heads == ({wanted} if isinstance(wanted, str) else set(wanted or ()))
    try:
        return heads == set(own.get_current_heads())
    finally:
        if own.connection is not None:
            own.connection.rollback()


def _make_schema(connection: Connection) -> None:
    # IF NOT EXISTS alone asks for the privilege to create, where the schema is there too.
    row = connection.execute("SELECT to_regnamespace(%s) AS schema", (SCHEMA,)).fetchone()
    if row is None or row["schema"] is None:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")


def _migrate(context: EnvironmentContext) -> None:
    with context.begin_transaction():
        context.run_migrations()


def _tell(holder: str) -> None:
    _log.warning("Waiting for another migration: %s", holder)
