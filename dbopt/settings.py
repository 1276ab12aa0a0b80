"""The one table of settings: sections as frozen dataclasses, each field a Setting.

From it come config.toml, the environment names (DBOPT_SECTION__KEY), the command line's
`--set section.key=value`, the documentation and every check. `dbopt.configfile` loads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: where it is, what it takes, and what a person should know of it.

    `reload` tells whether SIGHUP brings a new value in; otherwise a restart does.
    """

    section: str
    name: str
    type: type
    default: Any
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    reload: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        """The dotted key, `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return f"DBOPT_{self.section}__{self.name}".upper()

    @property
    def allowed(self) -> str:
        """What values it takes, in words."""
        if self.choices:
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
        words = noun[self.type]
        if self.low is not None and self.high is not None:
            words += f" from {self.low:.15g} to {self.high:.15g}"
        elif self.low is not None:
            words += f" of at least {self.low:.15g}"
        return f"{words} ({self.unit})" if self.unit else words


def _s(default: Any, doc: str, **meta: Any) -> Any:
    return field(default=default, metadata={"doc": doc, **meta})


@dataclass(frozen=True, slots=True)
class Server:
    """The PostgreSQL server that dbopt stands in front of."""

    dsn: str = _s(
        "",
        "Connection string (URI or key=value) of the served database. Empty: libpq's own "
        "environment (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, …).",
        secret=True,
    )
    connect_timeout: float = _s(
        5.0, "How long one attempt to connect may take.", unit="s", low=0.1, high=600
    )
    force_user: bool = _s(
        False,
        "Connect to the server as server.dsn's user whatever user the client gave. "
        "Off: as the client's own user, with its password from gateway.userlist.",
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """The data plane: where clients connect, and how."""

    host: str = _s("127.0.0.1", "Address to listen on. Empty: no TCP.")
    port: int = _s(6432, "TCP port; also the suffix of the unix socket's name.", low=0, high=65535)
    unix_socket_dir: str = _s("", "Directory of the unix socket .s.PGSQL.PORT. Empty: no socket.")
    workers: int = _s(1, "Worker processes that share the listening sockets.", low=1, high=64)
    auth_type: str = _s(
        "trust",
        "How clients prove who they are.",
        choices=("trust", "scram-sha-256"),
    )
    trust_remote: bool = _s(
        False, "Allow auth_type trust on an address that is not loopback. Anyone can then connect."
    )
    userlist: str = _s(
        "", "File of users and secrets in PgBouncer's format; needed by scram-sha-256."
    )
    max_clients: int = _s(1000, "Client connections at most, a worker.", low=1, high=1_000_000)
    login_timeout: float = _s(
        60.0, "How long a client may take to log in.", unit="s", low=0.1, high=3600
    )
    queue_timeout: float = _s(
        30.0,
        "How long a statement may wait for a server connection before it fails with 53300.",
        unit="s",
        low=0.01,
        high=86400,
        reload=True,
    )
    shutdown_timeout: float = _s(
        30.0,
        "After SIGTERM: how long running transactions may take to end before they are cut.",
        unit="s",
        low=0,
        high=86400,
        reload=True,
    )
    prepared_statements: int = _s(
        200, "Prepared statements kept on each server connection.", low=1, high=100_000
    )


@dataclass(frozen=True, slots=True)
class Pool:
    """Server connections, one pool for each (database, user)."""

    max_size: int = _s(20, "Server connections at most.", low=1, high=10_000)
    min_size: int = _s(2, "Server connections that are kept open.", low=0, high=10_000)
    max_idle: float = _s(
        10.0, "Close a connection above min_size after this long unused.", unit="s", low=0.1
    )
    max_lifetime: float = _s(3600.0, "Replace a connection after this long.", unit="s", low=1)
    warn_ratio: float = _s(
        0.75, "Warn when more than this share of max_size is in use.", low=0, high=1, reload=True
    )


@dataclass(frozen=True, slots=True)
class Http:
    """Metrics, health and status over HTTP."""

    host: str = _s("127.0.0.1", "Address to listen on.")
    port: int = _s(8432, "TCP port; 0 takes a free one.", low=0, high=65535)


@dataclass(frozen=True, slots=True)
class Trace:
    """What is remembered of the statements that pass."""

    slow: float = _s(
        1000.0, "A statement that takes longer is kept as slow.", unit="ms", low=0, reload=True
    )
    parameters: bool = _s(
        False, "Keep slow statements' literals. Off: every literal is redacted.", reload=True
    )
    max_fingerprints: int = _s(
        5000, "Distinct statements told apart; the rest count as one.", low=10, high=1_000_000
    )
    max_slow: int = _s(1000, "Slow statements kept in memory.", low=1, high=1_000_000)
    plans: bool = _s(True, "Capture the plans of slow reads by EXPLAIN.", reload=True)
    plans_per_minute: int = _s(10, "EXPLAINs at most, a minute.", low=0, high=10_000, reload=True)
    flush_interval: float = _s(
        1.0, "How often workers send what they counted.", unit="s", low=0.05, high=60
    )


@dataclass(frozen=True, slots=True)
class Sql:
    """The judge of statements."""

    complexity_limit: int = _s(
        100, "A statement that scores above it is called extreme.", low=1, reload=True
    )


@dataclass(frozen=True, slots=True)
class Stats:
    """The periodic reader of the pg_stat views."""

    enabled: bool = _s(True, "Take snapshots.")
    interval: float = _s(60.0, "Time between two snapshots.", unit="s", low=1, high=86400)
    retention_days: float = _s(7.0, "How long snapshots are kept.", unit="days", low=0.01)
    statement_timeout: float = _s(
        10.0, "No statement of dbopt's own may run longer.", unit="s", low=0.1, high=3600
    )
    top_statements: int = _s(500, "Statements kept of each snapshot.", low=1, high=100_000)


@dataclass(frozen=True, slots=True)
class Store:
    """Where dbopt keeps its history."""

    dsn: str = _s(
        "",
        "Connection string of the database that holds the schema dbopt. Empty: server.dsn.",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Index:
    """Index audit and advice."""

    directory: str = _s("indexes", "Directory of the declared indexes, one SQL file a table.")
    unused_scans: int = _s(0, "An index scanned at most this often is unused.", low=0)
    min_table_rows: int = _s(
        1000, "Smaller tables are no seq-scan or foreign-key finding.", unit="rows", low=0
    )
    seq_scan_rows: int = _s(
        10_000, "Average rows a sequential scan reads, above which it is a finding.", low=1
    )
    min_saving: float = _s(
        0.5, "Advise an index when it saves at least this share of a query's cost.", low=0, high=1
    )


@dataclass(frozen=True, slots=True)
class Migrate:
    """Migrations of dbopt's schema and of the declared indexes."""

    directory: str = _s("migrations", "Directory of the Alembic environment.")
    lock_timeout: float = _s(
        5.0, "How long a short lock may be waited for.", unit="s", low=0.01, high=3600
    )
    build_timeout: float = _s(
        3600.0, "How long one concurrent index build may take.", unit="s", low=1
    )
    lock_wait: float = _s(
        600.0, "How long to wait for another migration that runs.", unit="s", low=0
    )


@dataclass(frozen=True, slots=True)
class Log:
    """The log, on standard error."""

    level: str = _s(
        "info",
        "Least severity that is written.",
        choices=("debug", "info", "warning", "error"),
        reload=True,
    )
    format: str = _s(
        "auto", "auto is human on a terminal and json otherwise.", choices=("auto", "human", "json")
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Build it with `dbopt.configfile.load`."""

    server: Server = field(default_factory=Server)
    gateway: Gateway = field(default_factory=Gateway)
    pool: Pool = field(default_factory=Pool)
    http: Http = field(default_factory=Http)
    trace: Trace = field(default_factory=Trace)
    sql: Sql = field(default_factory=Sql)
    stats: Stats = field(default_factory=Stats)
    store: Store = field(default_factory=Store)
    index: Index = field(default_factory=Index)
    migrate: Migrate = field(default_factory=Migrate)
    log: Log = field(default_factory=Log)

    @property
    def store_dsn(self) -> str:
        """Where the store is: its own DSN, or the served database."""
        return self.store.dsn or self.server.dsn


SECTIONS: dict[str, type] = {
    name: hint for name, hint in get_type_hints(Settings).items() if hasattr(hint, "__slots__")
}


def _table() -> Iterator[Setting]:
    for section, cls in SECTIONS.items():
        hints = get_type_hints(cls)
        for f in fields(cls):
            yield Setting(section, f.name, hints[f.name], f.default, **f.metadata)


TABLE: dict[str, Setting] = {setting.key: setting for setting in _table()}
"""Every setting by its dotted key, in the order in which they are documented."""
