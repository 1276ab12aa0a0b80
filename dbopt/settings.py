"""The one table of settings: sections as frozen dataclasses, each field a Setting.

From it come config.toml, the environment names (DBOPT_SECTION__KEY), the command line's
`--set section.key=value`, the documentation and every check. `dbopt.configfile` loads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args, get_type_hints

from dbopt.checksettings import Check
from dbopt.complexitysettings import Complexity
from dbopt.guardsection import AppRoute, Guard
from dbopt.metricsettings import Metrics
from dbopt.migratesettings import Migrate
from dbopt.otelsettings import Otel
from dbopt.poolsettings import Application, Database, Pool, User
from dbopt.reportsettings import Report
from dbopt.setting import Setting, settings_of
from dbopt.setting import option as _s

__all__ = [
    "NAMED", "NAMED_TABLE", "SECTIONS", "TABLE", "AppRoute", "Application", "Check", "Complexity",
    "Database", "Gateway", "Guard", "Http", "Index", "Log", "Metrics", "Migrate", "Otel",
    "Pool", "Report", "Server", "Setting", "Settings", "Sql", "Stats", "Store", "Trace", "User",
    "setting_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """The PostgreSQL server that dbopt stands in front of."""

    dsn: str = _s(
        "",
        "Connection string (URI or key=value) of the served database. Empty: libpq's own "
        "environment (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, …).",
        secret=True,
    )
    name: str = _s(
        "",
        "What this server is called in the history. Needed where sidecars of several servers share "
        "a store, since each may know its own as 127.0.0.1:5432. Empty: its host and port.",
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
    workers: int = _s(
        1,
        "Worker processes that share the listening sockets. Each has its own pools, and every "
        "size and limit holds for one worker: the server sees up to that many times as many.",
        low=1,
        high=64,
    )
    auth_type: str = _s(
        "trust",
        "How clients prove who they are.",
        choices=("trust", "scram-sha-256", "md5", "plain"),
    )
    trust_remote: bool = _s(
        False, "Allow auth_type trust on an address that is not loopback. Anyone can then connect."
    )
    userlist: str = _s("", "File of users and secrets in PgBouncer's format.")
    auth_query: str = _s(
        "",
        "Statement that gives the name and the secret of user $1, for users that the userlist "
        "lacks. Empty: off. PgBouncer's is SELECT rolname, CASE WHEN rolvaliduntil < now() THEN "
        "NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin.",
    )
    auth_user: str = _s("", "User that runs auth_query. Empty: the one that server.dsn names.")
    auth_cache: float = _s(
        30.0,
        "How long an answer of auth_query is kept. 0: not at all.",
        unit="s",
        low=0,
        high=86400,
        reload=True,
    )
    tls_mode: str = _s(
        "disable",
        "Encryption of clients: disable, allow or require it, or require a client certificate "
        "that tls_ca has signed, and in verify-full one of the user's own name.",
        choices=("disable", "allow", "require", "verify-ca", "verify-full"),
    )
    tls_cert: str = _s("", "File of the certificate chain that clients are shown.")
    tls_key: str = _s("", "File of that certificate's private key.")
    tls_ca: str = _s("", "File of the authorities that sign clients' certificates.")
    tls_min_version: str = _s(
        "TLSv1.2", "Oldest TLS that clients may speak.", choices=("TLSv1.2", "TLSv1.3")
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
    n_plus_one: int = _s(
        10,
        "A statement that runs this often in one transaction is an N+1. 0: none is.",
        low=0,
        high=1_000_000,
        reload=True,
    )
    auto_explain_log: str = _s(
        "",
        "The server's log file, or its directory, where auto_explain writes plans that are to be "
        "read. Empty: only EXPLAIN is asked.",
    )
    socket: str = _s(
        "",
        "Unix socket on which in-process pools (dbopt.TracedConnectionPool) report what they "
        "ran. Empty: none.",
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
    top_relations: int = _s(
        10_000, "Tables, and indexes, kept of each snapshot: the most active.", low=1, high=10**6
    )
    budget: float = _s(
        0.01,
        "Share of the time that one collector may take; one that takes more is run less often.",
        low=0.0001,
        high=1,
    )
    sample_interval: float = _s(
        1.0, "Time between samples of what sessions wait for. 0: none.", unit="s", high=60, low=0
    )


@dataclass(frozen=True, slots=True)
class Store:
    """Where dbopt keeps its history."""

    dsn: str = _s(
        "",
        "Connection string of the database that holds the schema dbopt. Empty: server.dsn.",
        secret=True,
    )
    spool_dir: str = _s(
        "",
        "Directory that holds what the store cannot take while it is away. Empty: memory, which a "
        "restart forgets.",
    )
    spool_size: int = _s(
        64, "What is held so at most; beyond it the oldest is lost.", unit="MB", low=1, high=100_000
    )


@dataclass(frozen=True, slots=True)
class Index:
    """Index audit and advice."""

    directory: str = _s(
        "indexes",
        "Directory of the declared indexes, one SQL file a table, from where dbopt is run.",
    )
    project: str = _s(
        "",
        "Whose declarations these are. What one project declares no more is dropped for that "
        "project alone, so name them where several declare indexes for one database. Empty: "
        "indexes of a table that has no declaration are never dropped by themselves.",
    )
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
    metrics: Metrics = field(default_factory=Metrics)
    otel: Otel = field(default_factory=Otel)
    trace: Trace = field(default_factory=Trace)
    sql: Sql = field(default_factory=Sql)
    complexity: Complexity = field(default_factory=Complexity)
    guard: Guard = field(default_factory=Guard)
    stats: Stats = field(default_factory=Stats)
    store: Store = field(default_factory=Store)
    index: Index = field(default_factory=Index)
    check: Check = field(default_factory=Check)
    migrate: Migrate = field(default_factory=Migrate)
    report: Report = field(default_factory=Report)
    log: Log = field(default_factory=Log)
    databases: dict[str, Database] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    routes: dict[str, AppRoute] = field(default_factory=dict)

    @property
    def store_dsn(self) -> str:
        """Where the store is: its own DSN, or the served database."""
        return self.store.dsn or self.server.dsn


_HINTS = get_type_hints(Settings)

SECTIONS: dict[str, type] = {n: hint for n, hint in _HINTS.items() if isinstance(hint, type)}
"""The sections that there is one of, by name."""

NAMED: dict[str, type] = {n: get_args(hint)[1] for n, hint in _HINTS.items() if n not in SECTIONS}
"""The sections that there may be many of, such as `[databases.NAME]`."""

TABLE: dict[str, Setting] = {
    setting.key: setting for name, cls in SECTIONS.items() for setting in settings_of(name, cls)
}
"""Every setting by its dotted key, in the order in which they are documented."""

NAMED_TABLE: dict[str, dict[str, Setting]] = {
    kind: {setting.name: setting for setting in settings_of(f"{kind}.NAME", cls)}
    for kind, cls in NAMED.items()
}
"""The settings of the sections that there may be many of, by kind and name."""


def setting_of(key: str) -> Setting | None:
    """The setting of a dotted key, such as "pool.max_size" or "databases.app.max_size"."""
    kind, _, rest = key.partition(".")
    section, dot, name = rest.rpartition(".")
    if not dot or kind not in NAMED:
        return TABLE.get(key)
    setting = NAMED_TABLE[kind].get(name)
    return setting and replace(setting, section=f"{kind}.{section}")
