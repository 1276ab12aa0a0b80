"""Which indexes dbopt manages, for who compares and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dbopt.errors import DboptError, StoreMissing
from dbopt.migrate.journal import still_managed, target_of
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.settings import Settings
from dbopt.store import indexruns
from dbopt.store.link import StoreLink


class Known(NamedTuple):
    """Schema and name of the managed indexes; `unseen` is why they cannot be known, or ""."""

    names: frozenset[tuple[str, str]] = frozenset()
    unseen: str = ""


def known(settings: Settings, connection: Connection, there: Iterable[Index]) -> Known:
    """Those that are there as dbopt made or found them, for this project.

    A store without the schema has recorded no run: that is an answer.
    """
    link = StoreLink(settings.store_dsn)
    try:
        target = target_of(settings, connection)
        every = link.use(lambda store: indexruns.managed(store, target))
    except StoreMissing:
        return Known()
    except DboptError as error:
        return Known(unseen=error.message)
    except ServerError as error:
        return Known(unseen=f"The store answered with an error ({type(error).__name__}).")
    finally:
        link.close()
    ours = (one for one in every if one.project == settings.index.project)
    return Known(frozenset(still_managed(ours, there)))
