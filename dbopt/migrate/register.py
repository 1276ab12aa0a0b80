"""Which indexes dbopt manages, for who compares and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from dbopt.errors import DboptError
from dbopt.migrate.journal import still_managed, target_of
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.settings import Settings
from dbopt.store import indexruns
from dbopt.store.link import StoreLink


def managed_indexes(
    settings: Settings, connection: Connection, there: Iterable[Index]
) -> set[tuple[str, str]]:
    """Schema and name of those that are there as dbopt made or found them, for this project.

    None where there is no store, or it is away: then nothing is said to be dropped.
    """
    link = StoreLink(settings.store_dsn)
    try:
        target = target_of(settings, connection)
        every = link.use(lambda store: indexruns.managed(store, target))
    except (DboptError, ServerError):
        return set()
    finally:
        link.close()
    return still_managed((one for one in every if one.project == settings.index.project), there)
