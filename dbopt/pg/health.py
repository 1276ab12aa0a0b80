"""Health: all that `dbopt check` looks at, read once, in one read-only transaction.

Nothing in it waits for a lock for longer than LOCK_TIMEOUT. A part that cannot be read is in
`Health.unseen` with the reason and what would mend it, and the rest is read nonetheless.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from dbopt.pg import healthparts as parts
from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch
from dbopt.pg.healthunseen import STATISTICS, Unseen, hidden
from dbopt.pg.refusal import translate, translated

LOCK_TIMEOUT = 0.2
"""Seconds."""
BLOAT_TABLES = 500
"""The largest tables, of which bloat is estimated: pg_stats is dear."""
BLOAT_BYTES = 1 << 20
"""Smaller tables have no bloat worth a look."""

_SIZES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

SERVER_PARTS: dict[str, type] = {
    "databases": parts.Database,
    "checkpoints": parts.Checkpoints,
    "roles": parts.Role,
    "passwords": parts.Password,
    "sessions": parts.Session,
    "waits": parts.Wait,
    "prepared": parts.Prepared,
    "slots": parts.Slot,
    "replicas": parts.Replica,
    "recovery": parts.Recovery,
    "archiver": parts.Archiver,
}
"""Parts that are the same from every database of the server."""
DATABASE_PARTS: dict[str, type] = {
    "statements": parts.Statements,
    "subscriptions": parts.Subscription,
    "unidentified": parts.Unidentified,
    "tables": parts.Table,
    "bloat": parts.Bloat,
    "keys": parts.Key,
    "sequences": parts.Sequence,
    "constraints": parts.Constraint,
    "foreign_keys": parts.ForeignKey,
    "triggers": parts.Trigger,
    "columns": parts.Column,
    "schemas": parts.Schema,
    "extensions": parts.Extension,
    "collations": parts.Collation,
}
"""Parts of the database that we are connected to."""


@dataclass(frozen=True, slots=True)
class Health:
    """One look at a server and one of its databases. `unseen`: the parts that are missing."""

    server: parts.Server
    settings: Mapping[str, parts.Parameter] = field(default_factory=dict)
    databases: tuple[parts.Database, ...] = ()
    checkpoints: tuple[parts.Checkpoints, ...] = ()
    roles: tuple[parts.Role, ...] = ()
    passwords: tuple[parts.Password, ...] = ()
    sessions: tuple[parts.Session, ...] = ()
    waits: tuple[parts.Wait, ...] = ()
    prepared: tuple[parts.Prepared, ...] = ()
    slots: tuple[parts.Slot, ...] = ()
    replicas: tuple[parts.Replica, ...] = ()
    recovery: tuple[parts.Recovery, ...] = ()
    archiver: tuple[parts.Archiver, ...] = ()
    statements: tuple[parts.Statements, ...] = ()
    subscriptions: tuple[parts.Subscription, ...] = ()
    unidentified: tuple[parts.Unidentified, ...] = ()
    tables: tuple[parts.Table, ...] = ()
    bloat: tuple[parts.Bloat, ...] = ()
    keys: tuple[parts.Key, ...] = ()
    sequences: tuple[parts.Sequence, ...] = ()
    constraints: tuple[parts.Constraint, ...] = ()
    foreign_keys: tuple[parts.ForeignKey, ...] = ()
    triggers: tuple[parts.Trigger, ...] = ()
    columns: tuple[parts.Column, ...] = ()
    schemas: tuple[parts.Schema, ...] = ()
    extensions: tuple[parts.Extension, ...] = ()
    collations: tuple[parts.Collation, ...] = ()
    unseen: Mapping[str, Unseen] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A parameter's value; None where the server has no such parameter, or hides it."""
        parameter = self.settings.get(name)
        return parameter.setting if parameter else None

    def number(self, name: str) -> float | None:
        """A parameter's value in bytes, in seconds, or as it is where it has no unit."""
        parameter = self.settings.get(name)
        return None if parameter is None else quantity(parameter)

    def off(self, name: str) -> bool:
        """Whether a parameter is there and off."""
        return self.text(name) == "off"

    @property
    def database(self) -> parts.Database | None:
        """The database that we are connected to."""
        return next((d for d in self.databases if d.name == self.server.database), None)


def quantity(parameter: parts.Parameter) -> float:
    """The number that a parameter stands for: bytes, seconds, or the number itself."""
    value = float(parameter.setting)
    unit = parameter.unit.lstrip("0123456789")
    times = float(parameter.unit[: len(parameter.unit) - len(unit)] or 1)
    if unit in _SIZES:
        return value * times * _SIZES[unit]
    return value * times * _SECONDS.get(unit, 1.0)


async def read(
    connection: AsyncConnection, timeout: float = 10.0, *, of_server: bool = True
) -> Health:
    """Look at the server (unless `of_server` is False) and at the connection's database.

    No statement takes longer than `timeout` seconds. Raises ServerLost or QueryFailed; what our
    role may not see, and what takes too long, is in `unseen`.
    """
    with translated("Checking the server"):
        async with connection.transaction():
            await connection.execute("SET TRANSACTION READ ONLY")
            await connection.execute("SET LOCAL search_path = pg_catalog")
            # Before any is set, since what we set for ourselves would be shown.
            settings = await fetch(connection, "health_settings", {})
            for name, value in _ours(timeout).items():
                await connection.execute(f"SET LOCAL {name} = {value}")
            server = await _server(connection)
            parameters = {row["name"]: parts.Parameter(**row) for row in settings}
            found, unseen = await _parts(connection, server, of_server)
    return _completed(Health(server, parameters, **found, unseen=unseen))


def _ours(timeout: float) -> dict[str, int | str]:
    """Parameters of our own transaction: it is bounded, and takes one process."""
    return {
        "statement_timeout": round(timeout * 1000),
        "lock_timeout": round(LOCK_TIMEOUT * 1000),
        # Compiling our queries on the catalog takes a second, and running them 10 ms.
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
    }


async def _server(connection: AsyncConnection) -> parts.Server:
    before = time.time()
    (row,) = await fetch(connection, "health_server", {})
    between = (before + time.time()) / 2
    return parts.Server(**row, clock_skew=row["now"].timestamp() - between)


async def _parts(
    connection: AsyncConnection, server: parts.Server, of_server: bool
) -> tuple[dict[str, Any], dict[str, Unseen]]:
    """What could be read, by part, and why the rest could not."""
    found: dict[str, Any] = {}
    unseen: dict[str, Unseen] = {}
    wanted = (SERVER_PARTS if of_server else {}) | DATABASE_PARTS
    for name, cls in wanted.items():
        if name == "statements" and not _counts_evictions(server):
            unseen[name] = STATISTICS
            continue
        try:
            async with connection.transaction():
                rows = await _rows(connection, name, server)
        except psycopg.Error as error:
            if connection.closed:
                raise
            unseen[name] = _unseen(error, server)
            continue
        found[name] = tuple(_made(cls, row) for row in rows)
    return found, unseen


def _counts_evictions(server: parts.Server) -> bool:
    """pg_stat_statements_info is of the extension's version 1.9."""
    numbers = [int(word) for word in server.statements_version.split(".") if word.isdigit()]
    return numbers >= [1, 9]


async def _rows(connection: AsyncConnection, name: str, server: parts.Server) -> list[Row]:
    params = {"limit": BLOAT_TABLES, "min_pages": BLOAT_BYTES // server.block_size}
    words = {"schema": server.statements_schema} if name == "statements" else {}
    return await fetch(
        connection,
        f"health_{name}",
        params if name == "bloat" else {},
        version=server.major,
        **words,
    )


def _made(cls: type, row: Row) -> Any:
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


def _unseen(error: psycopg.Error, server: parts.Server) -> Unseen:
    said = translate("It could not be read", error)
    if error.sqlstate == "42501":
        return Unseen(said.message, f"GRANT pg_monitor TO {server.quoted_role};")
    return Unseen(said.message, said.hint or "Look at the server's log, and try again.")


def _completed(health: Health) -> Health:
    """With what the rows themselves show to be hidden."""
    return replace(health, unseen={**health.unseen, **hidden(health)})
