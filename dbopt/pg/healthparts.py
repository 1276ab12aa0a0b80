"""What a Health is made of: one class a query of `queries/health_*.sql`, one field a column.

Times are seconds, sizes bytes, ages transactions. None was not measured, which is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, as pg_settings gives it; `setting` counts in `unit`, such as "8kB"."""

    name: str
    setting: str
    unit: str = ""
    source: str = "default"
    boot_val: str = ""
    pending_restart: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """The server, the database and our role. `managed_by`: the provider's role, "" where none.

    `clock_skew` is how far the server's clock is ahead of ours; None where it was not measured.
    """

    version_num: int
    in_recovery: bool
    now: datetime
    started_at: datetime
    database: str
    role: str
    is_superuser: bool
    reads_all_stats: bool
    reads_all_settings: bool
    block_size: int = 8192
    bytes: int | None = 0
    managed_by: str = ""
    statements_version: str = ""
    statements_schema: str = ""
    clock_skew: float | None = None

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.version_num // 10000

    @property
    def minor(self) -> int:
        """The minor version: 6 of 18.6."""
        return self.version_num % 10000

    @property
    def quoted_role(self) -> str:
        """Our role as an SQL identifier."""
        return '"' + self.role.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Database:
    """One database; its counters cover `counted_seconds`, None where unknown."""

    name: str
    allows_connections: bool = True
    template: bool = False
    connection_limit: int = -1
    xid_age: int = 0
    mxid_age: int = 0
    sessions: int = 0
    commits: int = 0
    rollbacks: int = 0
    blocks_hit: int = 0
    blocks_read: int = 0
    read_ms: float = 0.0
    deadlocks: int = 0
    temp_files: int = 0
    temp_bytes: int = 0
    checksum_failures: int = 0
    counted_seconds: float | None = None
    collation_recorded: str = ""
    collation_actual: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Checkpoints by the clock, and requested ones."""

    timed: int
    requested: int
    counted_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role that may log in."""

    name: str
    superuser: bool = False
    connection_limit: int = -1
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class Password:
    """A role whose password is stored as MD5."""

    name: str


@dataclass(frozen=True, slots=True)
class Statements:
    """How often pg_stat_statements threw entries out."""

    evictions: int
    counted_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One session but ours; `state` "" and `kind` "" where our role may not see it."""

    pid: int
    database: str = ""
    username: str = ""
    application: str = ""
    kind: str = "client backend"
    state: str = ""
    wait_type: str = ""
    wait_event: str = ""
    transaction_seconds: float | None = None
    query_seconds: float | None = None
    state_seconds: float | None = None
    xmin_age: int | None = None
    superuser: bool = False
    doing: str = ""
    blocked_by: tuple[int, ...] = ()

    @property
    def who(self) -> str:
        """Whose it is, for a person."""
        application = f" ({self.application})" if self.application else ""
        return f"{self.username or self.kind or 'hidden'}@{self.database or '-'}{application}"


@dataclass(frozen=True, slots=True)
class Wait:
    """A lock that is waited for."""

    pid: int
    mode: str
    kind: str
    relation: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared transaction."""

    gid: str
    owner: str
    database: str
    seconds: float
    xid_age: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot that outlives its session."""

    name: str
    kind: str = "physical"
    database: str = ""
    active: bool = True
    wal_status: str = "reserved"
    safe_bytes: int | None = None
    retained_bytes: int | None = None
    xmin_age: int | None = None
    invalid: str = ""
    inactive_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """A standby or subscriber that is connected here."""

    pid: int
    name: str
    address: str = ""
    state: str = "streaming"
    sync_state: str = "async"
    behind_bytes: int | None = None
    behind_seconds: float | None = None
    xmin_age: int | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """A standby's look at itself; `wants_receiver`: primary_conninfo is set."""

    receivers: int
    wants_receiver: bool | None = True
    paused: bool = False
    behind_seconds: float | None = None
    behind_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Archiver:
    """WAL archiving, and how long ago it last worked and last failed."""

    archived: int
    failed: int
    archived_ago: float | None = None
    failed_ago: float | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of this database."""

    name: str
    enabled: bool = True
    running: bool = True
    apply_errors: int | None = None
    sync_errors: int | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What has a schema and a name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Unidentified(Named):
    """A table that a publication has and whose rows nothing tells apart."""

    publication: str

    __str__ = Named.__str__


@dataclass(frozen=True, slots=True)
class Table(Named):
    """A table; `options` are its reloptions, `name=value`."""

    kind: str = "r"
    system: bool = False
    unlogged: bool = False
    partition: bool = False
    rows: int = 0
    pages: int = 0
    xid_age: int | None = None
    mxid_age: int | None = None
    options: tuple[str, ...] = ()
    has_primary_key: bool = True
    of_extension: bool = False
    live: int = 0
    dead: int = 0
    modified: int = 0
    inserted: int = 0
    vacuumed_ago: float | None = None
    analyzed_ago: float | None = None

    def option(self, name: str) -> str | None:
        """A storage parameter of its own, None where it has none."""
        pairs = (option.partition("=") for option in self.options)
        return next((value for key, _, value in pairs if key == name), None)


@dataclass(frozen=True, slots=True)
class Bloat(Named):
    """An estimate of the pages that a table needs; `odd`: no exact statistics."""

    pages: int
    needed_pages: int | None = None
    readable: bool = True
    odd: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """An integer primary key that no sequence feeds, and the largest value that ANALYZE saw."""

    schema: str
    table: str
    column: str
    type: str
    readable: bool = True
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class Sequence(Named):
    """A sequence, and the column that it feeds ("" where none)."""

    type: str = "bigint"
    lowest: int = 1
    highest: int = 2**63 - 1
    increment: int = 1
    cycles: bool = False
    locked: bool = False
    readable: bool = True
    last_value: int | None = None
    table: str = ""
    column: str = ""
    column_type: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint that is not validated; `kind` is pg_constraint.contype."""

    schema: str
    table: str
    name: str
    kind: str = "f"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key between columns of different types."""

    schema: str
    table: str
    name: str
    column: str
    type: str
    referenced_type: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that does not fire."""

    schema: str
    table: str
    name: str
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a type that is better not used; `base` is the type's own name."""

    schema: str
    table: str
    column: str
    type: str
    base: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema in which everybody may create."""

    name: str


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that is behind its files."""

    name: str
    installed: str
    available: str


@dataclass(frozen=True, slots=True)
class Collation(Named):
    """A collation in use whose version has changed."""

    recorded: str
    actual: str
