"""What each step will cost and bring: bytes, seconds, locks in words, writes, benefit.

Sizes come from the planner's rows and the statistics of the last ANALYZE (`sizes.py`); of an
expression, of what no ANALYZE has seen, and of documents from a sample of a few pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dbopt.migrate import lockwords, rates
from dbopt.migrate.rates import Rates
from dbopt.migrate.shapes import shape
from dbopt.migrate.sizes import index_bytes
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated
from dbopt.sql.indexdef import IndexDefinition

TIMEOUT = 5.0
"""Seconds that one question of an estimate may take."""

BUILDS = frozenset((Action.CREATE, Action.REBUILD, Action.REPLACE))
"""Actions that build an index."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one step. `seconds` is a range, without waiting for others. `locks` in words.

    `writes_per_second` are rows that are inserted, updated or deleted: each costs the index too.
    `benefit` is the share, 0 to 1, of all rows that sequential scans of this database have read
    that was this table's. `size_bytes` of a drop is what comes free.
    """

    size_bytes: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    locks: tuple[str, ...] = ()
    writes_per_second: float = 0.0
    benefit: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types, numbers rounded to what they are worth."""
        return asdict(self) | {
            "seconds": [round(one, 1) for one in self.seconds],
            "writes_per_second": round(self.writes_per_second, 3),
            "benefit": round(self.benefit, 4),
        }


def key(definition: IndexDefinition) -> str:
    """The key of `estimate`'s result: schema and name, since a name alone may be two indexes'."""
    return f"{definition.schema}.{definition.name}"


def tree(step: Step) -> Iterator[Step]:
    """A step and the parts of it, at every level of partitions."""
    yield step
    for part in step.partitions:
        yield from tree(part)


def built(step: Step) -> Iterator[Step]:
    """What a step builds: itself, or of a partitioned table each partition's part that it builds.

    A part on a partitioned table is empty, and is built in an instant.
    """
    if step.partitions:
        for part in step.partitions:
            yield from built(part)
    elif step.action in BUILDS and step.ready is None:
        yield step


def touched(step: Step) -> set[look.Name]:
    """Schema and name of the tables that a step touches."""
    return {(part.definition.schema, part.definition.table) for part in tree(step)}


def estimate(
    connection: Connection,
    steps: Sequence[Step],
    catalog: Catalog,
    speed: Rates = rates.USUAL,
) -> dict[str, Estimate]:
    """An Estimate of each step, by `key`; of what needs nothing an empty one.

    `speed` is how fast builds are here, as `rates.remembered` has it.
    `connection` is in autocommit. Raises QueryFailed and ServerLost.
    """
    names = set[look.Name]().union(*(touched(step) for step in steps))
    read = sum(table.seq_tup_read for table in catalog.tables)
    with translated("Estimating the indexes"), look.looking(connection, TIMEOUT):
        tables = look.tables(connection, names)
        return {
            key(step.definition): _one(connection, step, tables, catalog.stats_age, read, speed)
            for step in steps
        }


def by_benefit(steps: Sequence[Step], estimates: Mapping[str, Estimate]) -> list[Step]:
    """The steps with what is created in the order of its benefit, drops last.

    What must not change places does not: an index whose name another step frees waits for it.
    """
    freed = {step.existing.name for step in steps if step.existing is not None}
    ordered = sorted(steps, key=lambda step: step.action is Action.DROP)
    places = [n for n, step in enumerate(ordered) if _is_free(step, freed)]
    best = sorted((ordered[n] for n in places), key=lambda step: -_benefit(step, estimates))
    for place, step in zip(places, best, strict=True):
        ordered[place] = step
    return ordered


def _is_free(step: Step, freed: set[str]) -> bool:
    if step.action is not Action.CREATE or step.holder is not None:
        return False
    return step.definition.name not in freed


def _benefit(step: Step, estimates: Mapping[str, Estimate]) -> float:
    found = estimates.get(key(step.definition))
    return found.benefit if found else 0.0


def _one(
    connection: Connection,
    step: Step,
    tables: Mapping[look.Name, look.Table],
    age: float,
    read: float,
    speed: Rates,
) -> Estimate:
    if step.action in (Action.PRESENT, Action.CONFLICT):
        return Estimate()
    own = [tables[name] for name in touched(step) if name in tables]
    size, work = _bytes(connection, step, tables)
    return Estimate(
        size_bytes=size,
        seconds=(work / speed.fastest, work / speed.slowest),
        locks=lockwords.locks(step, {str(table) for table in own if table.partitioned}),
        writes_per_second=sum(table.writes for table in own) / max(age, 1.0),
        benefit=sum(table.seq_tup_read for table in own) / read if read else 0.0,
    )


def _bytes(
    connection: Connection, step: Step, tables: Mapping[look.Name, look.Table]
) -> tuple[int, float]:
    """The index's bytes, and the bytes that its build reads and writes."""
    if step.action is Action.DROP:
        return (step.existing.size_bytes if step.existing else 0), 0.0
    total, work = 0, 0.0
    for part in built(step):
        table = tables.get((part.definition.schema, part.definition.table))
        if table is None or table.partitioned:
            continue
        size = index_bytes(shape(connection, table, part.definition))
        total += size
        work += rates.work(table.size_bytes, size)
    return total, work
