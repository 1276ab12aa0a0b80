"""Which indexes dbopt manages, for who compares and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from dbopt.errors import DboptError
from dbopt.migrate.journal import target_of
from dbopt.migrate.steps import same_index
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.settings import Settings
from dbopt.sql.indexdef import parse_index
from dbopt.store import indexruns
from dbopt.store.link import StoreLink


def managed_indexes(
    settings: Settings, connection: Connection, there: Iterable[Index]
) -> set[tuple[str, str]]:
    """Schema and name of those that are there as dbopt made or found them.

    None where there is no store, or it is away: then nothing is said to be dropped.
    """
    link = StoreLink(settings.store_dsn)
    try:
        target = target_of(settings, connection)
        known = link.use(lambda store: indexruns.managed(store, target))
    except (DboptError, ServerError):
        return set()
    finally:
        link.close()
    actual = {(index.definition.schema, index.name): index for index in there}
    return {
        (one.schema, one.name)
        for one in known
        if (found := actual.get((one.schema, one.name))) and _is_still(one.sql, found)
    }


def _is_still(sql: str, found: Index) -> bool:
    try:
        return same_index(parse_index(sql), found.definition)
    except DboptError:
        return False
