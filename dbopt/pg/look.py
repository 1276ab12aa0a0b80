"""What a migration looks at before it begins: the server, its tables, who holds them up.

Every reader is one query of `queries/migrate_look.sql`, named `look_…`, that takes no lock which
anybody waits behind. They raise what psycopg raises (`pg.ddl.ServerError`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Error as ServerError
from psycopg import sql

from dbopt.pg.connect import Connection, Row
from dbopt.pg.sqlfile import statement

LOCK_TIMEOUT = 0.5
"""Seconds that a look waits for a lock; it is left out then."""

Name = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server and our rights on it. Limits of connections: -1 is none."""

    version_num: int
    in_recovery: bool
    read_only: bool
    database: str
    role: str
    can_temp: bool
    direct_host: bool
    sessions: int
    role_sessions: int
    database_sessions: int
    role_limit: int
    database_limit: int

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.version_num // 10000

    @property
    def version(self) -> str:
        """The version as people write it, such as "18.6"."""
        return f"{self.major}.{self.version_num % 10000}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a step is about. `writes` and `seq_tup_read`: rows since the counters began.

    `locked`: somebody holds ACCESS EXCLUSIVE on it, or waits for it, so that nothing can be read.
    """

    oid: int
    schema: str
    name: str
    partitioned: bool
    rows: float
    analyzed: bool
    size_bytes: int
    owner: str
    owned: bool
    can_create: bool
    tablespace: int
    unlogged: bool
    writes: float
    seq_tup_read: float
    namesakes: tuple[str, ...]
    locked: bool = False

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column for estimates; None is what no ANALYZE has told. `length` -1: it varies."""

    name: str
    length: int
    alignment: str
    type: str
    dedups: bool
    width: float | None
    null_share: float | None
    n_distinct: float | None
    elements: float | None


@dataclass(frozen=True, slots=True)
class Tablespace:
    """A tablespace; `path` is "" inside the data directory."""

    oid: int
    name: str
    path: str
    is_default: bool
    can_create: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Who holds a lock or a snapshot. `locks` are (oid, mode) pairs of the asked relations.

    `pid` is 0 of a prepared transaction, whose name is `gid`. `age` in seconds of the transaction.
    `doing` is "vacuum", "analyze", "index build" or "".
    """

    pid: int
    user: str
    application: str = ""
    state: str = ""
    kind: str = ""
    age: float = 0.0
    snapshot: bool = False
    doing: str = ""
    wraparound: bool = False
    hidden: bool = False
    locks: frozenset[tuple[int, str]] = frozenset()
    query: str = ""
    gid: str = ""

    def modes(self, oids: Collection[int]) -> set[str]:
        """The modes of the locks that it has on any of these relations."""
        return {mode for oid, mode in self.locks if oid in oids}


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby's replay: seconds and bytes behind.

    One that is `catching_up` gets what was written while it was away, as fast as it can: its
    `seconds` count from when that was sent, so they say next to nothing.
    """

    name: str
    hidden: bool
    seconds: float
    bytes: int
    catching_up: bool = False

    def is_behind(self, limit: float) -> bool:
        """Whether it is more than `limit` seconds behind, as far as anybody knows."""
        return self.catching_up or self.seconds > limit

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.0f} MB behind"
        if self.catching_up:
            return f"{self.name} is catching up, {size}"
        return f"{self.name} is {self.seconds:.0f} s and {size}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot; `safe_bytes` may be written before it is lost, None: as much as fits."""

    name: str
    active: bool
    safe_bytes: int | None


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the whole server is, but for our session."""

    lock_waiters: int
    active: int
    hidden: int


@contextmanager
def looking(connection: Connection, seconds: float) -> Iterator[None]:
    """A READ ONLY transaction in which nothing takes longer; a caller's own is kept as it is."""
    if connection.info.transaction_status.name != "IDLE":
        with connection.transaction():
            yield
        return
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        # What is read to look is no use of the table: it shall not count, where we may say so.
        connection.execute(
            "SELECT set_config('track_counts', 'off', true)"
            " WHERE current_setting('is_superuser')::boolean"
        )
        bound(connection, seconds)
        yield


def bound(connection: Connection, seconds: float) -> None:
    """Let no statement of the rest of this transaction take longer, nor wait long for a lock."""
    limits = {"statement_timeout": seconds, "lock_timeout": min(LOCK_TIMEOUT, seconds)}
    for name, value in limits.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, str(round(value * 1000))))


def server(connection: Connection) -> Server:
    """The server that the connection leads to."""
    return Server(**_rows(connection, "look_server")[0])


def settings(connection: Connection) -> dict[str, float | str]:
    """Parameters that a new session has: bytes, seconds, numbers; -1 as it stands. By name."""
    return {row["name"]: _value(row) for row in _rows(connection, "look_settings")}


def tables(connection: Connection, names: Iterable[Name]) -> dict[Name, Table]:
    """Those of the named tables that are there, with their size now where that can be asked.

    Waits LOCK_TIMEOUT for each that is locked, some times more the more tables there are.
    """
    asked = sorted(set(names))
    rows = _rows(connection, "look_tables", **_split(asked))
    found = {(row["schema"], row["name"]): Table(**_tuples(row)) for row in rows}
    sizes = _sizes(connection, [table.oid for table in found.values()])
    return {
        name: replace(
            table, size_bytes=sizes.get(table.oid, table.size_bytes), locked=table.oid not in sizes
        )
        for name, table in found.items()
    }


def _sizes(connection: Connection, oids: list[int]) -> dict[int, int]:
    """The size of each table now, but for those that somebody has locked for himself."""
    try:
        with connection.transaction():
            rows = _rows(connection, "look_sizes", tables=oids)
    except ServerError:
        if connection.broken:
            raise
        halves = (oids[: len(oids) // 2], oids[len(oids) // 2 :]) if len(oids) > 1 else ()
        return {oid: size for half in halves for oid, size in _sizes(connection, half).items()}
    return {row["oid"]: row["size_bytes"] for row in rows}


def columns(connection: Connection, table: Table) -> dict[str, Column]:
    """The table's columns by name."""
    rows = _rows(
        connection, "look_columns", oid=table.oid, schema=table.schema, table=table.name
    )  # fmt: skip
    return {row["name"]: Column(**row) for row in rows}


def taken(connection: Connection, names: Iterable[Name]) -> dict[Name, str]:
    """Which of those names belong to something that is no index, and what it is."""
    rows = _rows(connection, "look_names", **_split(sorted(set(names))))
    return {(row["schema"], row["name"]): row["kind"] for row in rows}


def tablespaces(connection: Connection) -> list[Tablespace]:
    """The tablespaces that an index can lie in."""
    return [Tablespace(**row) for row in _rows(connection, "look_tablespaces")]


def sessions(
    connection: Connection, relations: Iterable[int], *, queries: bool = False
) -> list[Session]:
    """Sessions and prepared transactions that hold those relations or a snapshot, oldest first.

    `queries`: with what each ran last, literals and all.
    """
    oids = list(relations)
    found = [
        Session(**{**row, "locks": _locks(row)})
        for row in _rows(connection, "look_sessions", relations=oids, queries=queries)
    ]
    prepared = [
        Session(0, row["owner"], state="prepared", age=row["age"], locks=_locks(row),
                gid=row["gid"])
        for row in _rows(connection, "look_prepared", relations=oids)
    ]  # fmt: skip
    return sorted(found + prepared, key=lambda one: -one.age)


def hidden(connection: Connection) -> int:
    """How many sessions of this database our role may not see into."""
    return int(_rows(connection, "look_hidden")[0]["sessions"])


def standbys(connection: Connection) -> list[Standby]:
    """The standbys that stream from this server."""
    return [Standby(**row) for row in _rows(connection, "look_standbys")]


def slots(connection: Connection) -> list[Slot]:
    """The replication slots that keep WAL."""
    return [Slot(**row) for row in _rows(connection, "look_slots")]


def load(connection: Connection) -> Load:
    """How busy the server is."""
    return Load(**_rows(connection, "look_load")[0])


def quoted(name: str) -> str:
    """A name as an SQL identifier, always in quotes."""
    return sql.Identifier(name).as_string(None)


def literal(text: str) -> str:
    """A text as an SQL literal, for a remedy that a person will run."""
    return sql.Literal(text).as_string(None)


def run(connection: Connection, text: str) -> list[Row]:
    """The rows of a query that was made of a declaration: the operator's own code, quoted."""
    # Marked, so that it is no statement of the application's to whoever reads pg_stat_statements,
    # which leaves out what comes before the first word.
    verb, _, rest = text.strip().partition(" ")
    # The text is data to psycopg, which would read % as a parameter's if there were any.
    return connection.execute(f"{verb} /* dbopt */ {rest}".encode()).fetchall()


def _rows(connection: Connection, query: str, /, **parameters: Any) -> list[Row]:
    version = connection.info.server_version // 10000
    return connection.execute(statement(query, version), parameters).fetchall()


def _split(names: Sequence[Name]) -> dict[str, list[str]]:
    return {"schemas": [schema for schema, _ in names], "names": [name for _, name in names]}


def _tuples(row: Row) -> Row:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _locks(row: Row) -> frozenset[tuple[int, str]]:
    return frozenset((oid, mode) for oid, mode in row["locks"])


_UNITS = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1 << 20, "ms": 0.001, "s": 1, "min": 60}


def _value(row: Row) -> float | str:
    text, unit = row["value"], row["unit"]
    if not text.lstrip("-").isdigit():
        return str(text)
    number = float(text)
    return number if number < 0 else number * _UNITS.get(unit, 1)
