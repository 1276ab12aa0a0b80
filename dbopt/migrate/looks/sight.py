"""Sight: all that the looks before a migration know, read at once, so that they are functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from dbopt.migrate.estimate import built, key, touched
from dbopt.migrate.shapes import shape
from dbopt.migrate.sizes import index_bytes
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.pg.connect import Connection
from dbopt.settings import Migrate
from dbopt.sql.redact import redact

QUIET = (Action.PRESENT, Action.CONFLICT)
"""Actions that change nothing."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The server, the tables of the steps, and who is at work. `steps` are all of the plan's.

    `sizes` are estimated bytes of what is built, by `estimate.key` of each part. `taken` are the
    names that belong to what is no index. `hidden` counts sessions that cannot be seen into.
    """

    steps: tuple[Step, ...]
    settings: Migrate
    server: look.Server
    parameters: dict[str, float | str] = field(default_factory=dict)
    tables: dict[look.Name, look.Table] = field(default_factory=dict)
    sessions: tuple[look.Session, ...] = ()
    tablespaces: tuple[look.Tablespace, ...] = ()
    standbys: tuple[look.Standby, ...] = ()
    slots: tuple[look.Slot, ...] = ()
    taken: dict[look.Name, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    hidden: int = 0

    @property
    def changing(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.action not in QUIET)

    @property
    def builds(self) -> tuple[Step, ...]:
        """The steps, and the parts of steps, that build an index on a table with rows."""
        return tuple(part for part in self._built() if not self._is_partitioned(part))

    def table(self, step: Step) -> look.Table | None:
        """The table of a step, None where it is gone."""
        return self.tables.get((step.definition.schema, step.definition.table))

    def number(self, parameter: str, default: float = 0.0) -> float:
        """A parameter as a number; the default where it is not there or hidden."""
        value = self.parameters.get(parameter, default)
        return default if isinstance(value, str) else value

    def size(self, step: Step) -> int:
        """Estimated bytes of what a step builds."""
        return sum(self.sizes.get(key(part.definition), 0) for part in built(step))

    @property
    def total(self) -> int:
        """Estimated bytes of all that is built."""
        return sum(self.sizes.get(key(part.definition), 0) for part in self.builds)

    def _built(self) -> Iterator[Step]:
        for step in self.steps:
            yield from built(step)

    def _is_partitioned(self, step: Step) -> bool:
        table = self.table(step)
        return table is not None and table.partitioned


def read(connection: Connection, steps: Sequence[Step], settings: Migrate) -> Sight:
    """Look at the server, in a transaction of the caller's. Raises `pg.ddl.ServerError`."""
    names = set[look.Name]().union(*(touched(step) for step in steps))
    tables = look.tables(connection, names)
    sight = Sight(
        steps=tuple(steps),
        settings=settings,
        server=look.server(connection),
        parameters=look.settings(connection),
        tables=tables,
        sessions=tuple(sessions(connection, steps, tables, settings)),
        tablespaces=tuple(look.tablespaces(connection)),
        standbys=tuple(look.standbys(connection)),
        slots=tuple(look.slots(connection)),
        taken=look.taken(connection, _names(steps)),
        hidden=look.hidden(connection),
    )
    return replace(sight, sizes=_sizes(connection, sight))


def sessions(
    connection: Connection,
    steps: Sequence[Step],
    tables: dict[look.Name, look.Table],
    settings: Migrate,
) -> list[look.Session]:
    """Who holds the tables and indexes of the steps, or a snapshot; no literals of theirs."""
    relations = {table.oid for table in tables.values()} | set(indexes(steps))
    found = look.sessions(connection, relations, queries=settings.blocker_queries)
    return [replace(one, query=redact(one.query, conforming=None)) for one in found]


def indexes(steps: Iterable[Step]) -> Iterator[int]:
    """The oids of the indexes that are there."""
    for step in steps:
        if step.existing is not None:
            yield step.existing.oid
        yield from indexes(step.partitions)


def _names(steps: Iterable[Step]) -> Iterator[look.Name]:
    for step in steps:
        if step.action in (Action.CREATE, Action.RENAME):
            yield step.definition.schema, step.definition.name
        yield from _names(step.partitions)


def _sizes(connection: Connection, sight: Sight) -> dict[str, int]:
    found = {}
    for part in sight.builds:
        table = sight.table(part)
        if table is not None:
            found[key(part.definition)] = index_bytes(shape(connection, table, part.definition))
    return found
