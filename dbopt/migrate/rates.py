"""How fast builds are here: what former runs took, as the store remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dbopt.errors import DboptError
from dbopt.migrate.journal import target_of
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.settings import Settings
from dbopt.store import indexruns
from dbopt.store.indexruns import IndexStep
from dbopt.store.link import StoreLink

RUNS = 10
"""Former runs that are looked at."""
LEAST_BUILDS = 3
"""Fewer say little of how much builds differ."""
LEAST_WORK = 8 << 20
"""Bytes: of less, most of the time is what each statement takes anyway."""

_BUILD = ("CREATE INDEX CONCURRENTLY ", "CREATE UNIQUE INDEX CONCURRENTLY ")


class Rates(NamedTuple):
    """Bytes a second that a build reads and writes in all (see `work`)."""

    slowest: float
    fastest: float


USUAL = Rates(50e6, 1e9)
"""Where nothing is remembered: a network disk that others use too, and a table in memory, where
sorting takes the time. Measured with a table of 60 MB in memory: 1 to 3e9."""


def work(table: int, index: int) -> float:
    """Bytes that a concurrent build reads and writes: the table twice, the index for its sort,
    itself, its WAL, and once more to see what it lacks (docs: sql-createindex)."""
    return 2.0 * table + 4.0 * index


def remembered(settings: Settings, connection: Connection, here: Catalog) -> Rates:
    """The slowest and the fastest of former builds in this database; USUAL where too few are
    known, or the store is away."""
    link = StoreLink(settings.store_dsn)
    try:
        target = target_of(settings, connection)
        steps = link.use(
            lambda store: [
                step
                for run in indexruns.runs(store, target, RUNS)
                for step in indexruns.steps(store, run.id)
            ]
        )
    except (DboptError, ServerError):
        return USUAL
    finally:
        link.close()
    return of_builds(_builds(steps, here))


def of_builds(builds: Iterable[tuple[float, float]]) -> Rates:
    """The rates of builds, each (bytes of work, seconds)."""
    rates = [size / seconds for size, seconds in builds if size >= LEAST_WORK and seconds > 0]
    return Rates(min(rates), max(rates)) if len(rates) >= LEAST_BUILDS else USUAL


def _builds(steps: Iterable[IndexStep], here: Catalog) -> Iterator[tuple[float, float]]:
    for step in steps:
        table = here.tables_by_name.get((step.schema, step.table))
        built = step.outcome == "done" and step.sql.startswith(_BUILD)
        if built and table is not None and step.size_bytes and step.duration_ms:
            yield work(table.size_bytes, step.size_bytes), step.duration_ms / 1000
