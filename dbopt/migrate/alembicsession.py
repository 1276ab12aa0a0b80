"""A session of our own beside Alembic's, in whichever application's environment a revision runs.

Alembic's session cannot build: a migration's statements are its own, its timeouts and its
transaction the application's. It must only be out of the way, in no transaction: a build waits for
who has written to its table, and would wait for itself.

Source: Alembic's documentation, `MigrationContext.autocommit_block`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.util import CommandError
from sqlalchemy import Connection as Link
from sqlalchemy import text

from dbopt import configfile
from dbopt.errors import AuthenticationError, ConnectError, DboptError, MigrationRefused
from dbopt.migrate.direct import require_direct
from dbopt.migrate.environment import ATTRIBUTE, GUARD, Run, refusals
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.pg.connect import Connection, connect, resolve
from dbopt.pg.engine import dsn_of, with_settings
from dbopt.pg.sqlfile import statement
from dbopt.settings import Settings

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

DSN_ARGUMENT = "dbopt_dsn"
"""`alembic -x dbopt_dsn=…`: the server's own address, where Alembic's is a pooler's."""

REMEDY = (
    "Give the server's own address: `alembic -x dbopt_dsn=DSN upgrade head`, DBOPT_SERVER__DSN in "
    "the environment, or server.dsn in config.toml."
)

# Alembic's own loggers are the ones that an application's alembic.ini shows.
log = logging.getLogger("alembic.dbopt")


@dataclass(frozen=True, slots=True)
class Here:
    """Where a session is: `place` is the database, `path` the search path."""

    pid: int
    login: str
    role: str
    path: str
    place: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What holds the migration lock, in the database that Alembic migrates, and the settings.

    `settings.server.dsn` leads there directly.
    """

    guard: Guard
    settings: Settings


@contextmanager
def beside(context: MigrationContext) -> Iterator[Beside]:
    """Hold the migration lock on a session of our own; Alembic's is in no transaction meanwhile.

    What came before in Alembic's transaction is committed. Raises MigrationRefused where it cannot
    be, or where the address is a pooler's, MigrationBusy, ConnectError or AuthenticationError.
    """
    with _outside(context) as link:
        # To ask for the isolation level has begun a transaction, of which pg8000's autocommit
        # does not know.
        link.connection.commit()
        here = _of_link(link)
        settings = _addressed(context, link, here)
        with _staying(link, settings), _alone(context, settings, here) as guard:
            _require_idle(link)
            yield Beside(guard, settings)


@contextmanager
def one_at_a_time(context: Any) -> Iterator[None]:
    """For an application's env.py: one process migrates, the others wait for it here.

    `context` is `alembic.context`, configured. Its connection should be in no transaction yet: one
    that env.py has begun is left as it is, and no index can be built in it. Offline, for commands
    that change nothing, and on other databases it does nothing. Raises CommandError.

        with one_at_a_time(context), context.begin_transaction():
            context.run_migrations()
    """
    own: MigrationContext = context.get_context()
    # A comparison has a revision_context.
    looks = own.opts.get("dont_mutate") or "revision_context" in own.opts
    if own.as_sql or looks or own.connection is None or own.dialect.name != "postgresql":
        yield
        return
    with ExitStack() as stack:
        with commanded():
            theirs = own.connection.in_transaction()
            here = _of_link(own.connection)
            if not theirs:  # to ask has begun a transaction
                own.connection.rollback()
            settings = _addressed(own, own.connection, here)
            stack.enter_context(_alone(own, settings, here))
        yield


def reading_dsn(context: MigrationContext, link: Link) -> str:
    """Where to look at the database of Alembic's connection: directly, if it can be.

    Raises ConnectError or AuthenticationError.
    """
    try:
        return _direct_dsn(context, settings_of(context), link, _of_link(link))
    except MigrationRefused:
        return dsn_of(link)  # to look, a pooler will do


@contextmanager
def commanded() -> Iterator[None]:
    """Turn our errors into Alembic's, which its command prints as one line."""
    try:
        with refusals("Building indexes"):
            yield
    except DboptError as error:
        raise CommandError(str(error)) from error


def settings_of(context: MigrationContext) -> Settings:
    """The settings: those of dbopt's own run, else as every command of dbopt finds them."""
    run = _attributes(context).get(ATTRIBUTE)
    if isinstance(run, Run):
        return replace(run.settings, server=replace(run.settings.server, dsn=run.dsn))
    return configfile.load(_file(), os.environ)


def is_store(context: MigrationContext) -> bool:
    """Whether dbopt migrates its store's own database, where no index of the application's is."""
    run = _attributes(context).get(ATTRIBUTE)
    return isinstance(run, Run) and run.is_store


def _file() -> Path | None:
    path = Path(os.environ.get("DBOPT_CONFIG", configfile.FILE_NAME))
    return path if path.exists() or "DBOPT_CONFIG" in os.environ else None


@contextmanager
def _outside(context: MigrationContext) -> Iterator[Link]:
    """Alembic's connection, in autocommit."""
    link = context.connection
    if link is None:
        raise MigrationRefused("Indexes are built where Alembic is connected; here it is not.")
    if link.dialect.name != "postgresql":
        raise MigrationRefused(
            f"This operation is PostgreSQL's, and Alembic migrates {link.dialect.name} here.",
            hint="Use op.create_index or op.drop_index there.",
        )
    if link.in_nested_transaction():
        raise MigrationRefused(
            "A savepoint is open on Alembic's connection, so no index can be built.",
            hint="Call the operation outside of `begin_nested()`.",
        )
    if link.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        yield link  # its engine is, or a block of the revision's own
        return
    with context.autocommit_block():
        yield context.connection or link


@contextmanager
def _staying(link: Link, settings: Settings) -> Iterator[None]:
    """Keep the server from closing Alembic's session, which idles while an index is built."""
    before = None
    if _leads_to(link, settings.server.dsn):
        before = link.exec_driver_sql(statement("alembic_stay")).mappings().one_or_none()
    yield
    if before is not None:
        back = text("SELECT set_config(:name, :setting, false)")
        link.execute(back, {"name": before["name"], "setting": before["setting"]})


def _leads_to(link: Link, dsn: str) -> bool:
    """Whether Alembic's address is the direct one: a pooler's session is of other clients too."""
    there, direct = resolve(dsn_of(link)), resolve(dsn)
    return all(there.get(name) == direct.get(name) for name in ("host", "port"))


@contextmanager
def _alone(context: MigrationContext, settings: Settings, here: Here) -> Iterator[Guard]:
    """Hold the migration lock of the database, on a session that does nothing else."""
    held = _attributes(context).get(GUARD)
    wait = settings.migrate.lock_wait
    if isinstance(held, Guard):
        held.ensure(wait)
        # An environment of several databases may hold another one's.
        if _of_session(held.connection).place == here.place:
            yield held
            return
    with Guard(lambda: direct_session(settings), _tell) as guard:
        guard.take(wait)
        _attributes(context)[GUARD] = guard
        try:
            yield guard
        finally:
            _attributes(context)[GUARD] = held


def _tell(holder: str) -> None:
    log.warning("Waiting for another migration: %s", holder)


def _attributes(context: MigrationContext) -> dict[str, Any]:
    return context.config.attributes if context.config else {}


def _addressed(context: MigrationContext, link: Link, here: Here) -> Settings:
    """The settings, with the address of a direct session where `here` is."""
    settings = settings_of(context)
    dsn = _direct_dsn(context, settings, link, here)
    return replace(settings, server=replace(settings.server, dsn=dsn))


def _direct_dsn(context: MigrationContext, settings: Settings, link: Link, here: Here) -> str:
    timeout = settings.server.connect_timeout
    given = _argument(context)
    if given:
        return _proven(given, here, timeout)
    try:
        return _proven(dsn_of(link), here, timeout)
    except (MigrationRefused, ConnectError, AuthenticationError) as error:
        configured = _configured()
        if not configured:
            raise MigrationRefused(error.message, hint=REMEDY) from None
        return _proven(configured, here, timeout)


def _argument(context: MigrationContext) -> str:
    environment = context.environment_context
    if environment is None:
        return ""
    return environment.get_x_argument(as_dictionary=True).get(DSN_ARGUMENT, "")


def _configured() -> str:
    """server.dsn where somebody has set it; the default would lead anywhere."""
    found = configfile.sources(_file(), os.environ, ()).get("server.dsn")
    return str(found.value) if found else ""


def _proven(dsn: str, here: Here, timeout: float) -> str:
    """The DSN of sessions that are as Alembic's is: that role, that search path.

    Raises MigrationRefused where it leads to a pooler, or to another database.
    """
    with connect(dsn, timeout=timeout) as probe:
        try:
            require_direct(probe)
        except MigrationRefused as error:
            raise MigrationRefused(error.message, hint=REMEDY) from None
        there = _of_session(probe)
    if there.place != here.place:
        raise MigrationRefused(
            "The address that indexes are to be built at is not that of the database that Alembic "
            "migrates.",
            hint=REMEDY,
        )
    other = {"search_path": here.path} if there.path != here.path else {}
    other |= {"role": here.role} if here.role not in (here.login, there.role) else {}
    return with_settings(dsn, other) if other else dsn


def _of_link(link: Link) -> Here:
    return Here(**link.exec_driver_sql(statement("alembic_session")).mappings().one())


def _of_session(connection: Connection) -> Here:
    row = connection.execute(statement("alembic_session")).fetchone()
    return Here(**row) if row else Here(0, "", "", "", "")


def _require_idle(link: Link) -> None:
    """Raise where its statements are in one transaction.

    Not by its process's state: behind a pooler that process is another client's by now.
    """
    first, second = (
        link.exec_driver_sql(statement("alembic_transaction")).mappings().one() for _ in range(2)
    )
    if first == second:
        raise MigrationRefused(
            f"Alembic's session (pid {first['pid']}) is in a transaction: a build would wait for "
            "it.",
            hint="Call the operation outside of one, or let context.begin_transaction() begin it.",
        )
