"""The store's schema, made before the first run that is to be recorded in it."""

from __future__ import annotations

from dataclasses import replace

from dbopt.errors import DboptError, MigrationBusy
from dbopt.pg.refusal import translated
from dbopt.settings import Settings
from dbopt.store.link import connect_store


def make_store(settings: Settings, wait: float) -> DboptError | None:
    """Make, or bring up to date, the store's schema where it has no tables for runs.

    Nothing else is changed. Returns why that cannot be, for lack of a privilege perhaps: a run that
    is not recorded is still a run. Raises MigrationBusy where another migration works for longer
    than `wait` seconds.
    """
    try:
        if not _is_there(settings.store_dsn):
            from dbopt.migrate import runner  # Alembic: most runs need none

            patient = replace(settings, migrate=replace(settings.migrate, lock_wait=wait))
            runner.upgrade(patient, indexes=False)
    except MigrationBusy:
        raise
    except DboptError as error:
        return error
    return None


def _is_there(dsn: str) -> bool:
    with (
        connect_store(dsn) as connection,
        translated("Looking for the store's schema", store=True),
    ):
        row = connection.execute("SELECT to_regclass('dbopt.index_run') AS found").fetchone()
    return row is not None and row["found"] is not None
