"""The settings of pools: for all, for one database, for one user, for one application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbopt.guardsection import GuardOverrides, PoolGuardOverrides
from dbopt.setting import instead, option

_DAY = 86400


@dataclass(frozen=True, slots=True)
class Pool:
    """Server connections, one pool for each (database, user)."""

    mode: str = option(
        "transaction",
        "How long a client keeps a server connection: until it leaves (session), for a "
        "transaction, or for a statement, which forbids transactions of several.",
        choices=("transaction", "session", "statement"),
    )
    max_size: int = option(
        20,
        "Server connections at most, of one pool, a worker.",
        low=1,
        high=10_000,
        reload=True,
    )
    min_size: int = option(
        2, "Server connections that are kept open.", low=0, high=10_000, reload=True
    )
    reserve_size: int = option(
        0,
        "Server connections beyond max_size for clients that have waited reserve_timeout.",
        low=0,
        high=10_000,
        reload=True,
    )
    reserve_timeout: float = option(
        5.0, "Wait after which reserve_size may be used.", unit="s", low=0, high=_DAY, reload=True
    )
    max_idle: float = option(
        10.0,
        "Close a connection above min_size after this long unused.",
        unit="s",
        low=0.1,
        reload=True,
    )
    max_lifetime: float = option(
        3600.0, "Replace a connection after this long.", unit="s", low=1, reload=True
    )
    warn_ratio: float = option(
        0.75, "Warn when more than this share of max_size is in use.", low=0, high=1, reload=True
    )
    max_queue: int = option(
        0,
        "Clients that may wait in one pool; one more fails with 53300 at once. 0: no limit.",
        low=0,
        high=1_000_000,
        reload=True,
    )
    queue_notice: float = option(
        5.0,
        "Tell a client by a NOTICE that it waits, after this long. 0: never.",
        unit="s",
        low=0,
        high=_DAY,
        reload=True,
    )
    query_timeout: float = option(
        0.0, "Cancel a statement that runs longer. 0: never.", unit="s", low=0, reload=True
    )
    transaction_timeout: float = option(
        0.0, "End a transaction that lasts longer. 0: never.", unit="s", low=0, reload=True
    )
    idle_transaction_timeout: float = option(
        0.0,
        "Close a client that is idle in a transaction for longer. 0: never.",
        unit="s",
        low=0,
        reload=True,
    )
    client_idle_timeout: float = option(
        0.0,
        "Close a client that sends nothing for longer, outside of a transaction. 0: never.",
        unit="s",
        low=0,
        reload=True,
    )
    max_db_connections: int = option(
        0,
        "Server connections of one database at most, over all its pools, a worker. 0: no limit.",
        low=0,
        high=100_000,
        reload=True,
    )
    max_user_connections: int = option(
        0,
        "Server connections of one user at most, over all its pools, a worker. 0: no limit.",
        low=0,
        high=100_000,
        reload=True,
    )
    max_db_clients: int = option(
        0,
        "Clients of one database at most, a worker. 0: no limit.",
        low=0,
        high=1_000_000,
        reload=True,
    )
    max_user_clients: int = option(
        0,
        "Clients of one user at most, a worker. 0: no limit.",
        low=0,
        high=1_000_000,
        reload=True,
    )
    unshareable: str = option(
        "pin",
        "What happens to session state that cannot be shared, such as a temporary table: keep "
        "the client on its connection, refuse the statement, or allow it and look away.",
        choices=("pin", "refuse", "allow"),
        reload=True,
    )
    track_settings: str = option(
        "*",
        "Settings that follow a client from one server connection to the next, beside those that "
        "the server reports; separated by commas, * is all. A SET of another one pins its client.",
        reload=True,
    )
    reset: str = option(
        "smart",
        "What is sent when a client has left a connection that was its own: smart sends only "
        "what its state needs; always sends reset_query.",
        choices=("smart", "always"),
        reload=True,
    )
    reset_query: str = option(
        "DISCARD ALL",
        "Sent after a client of session mode, or a pinned one, has left, where reset is always "
        "or smart cannot tell what is dirty.",
        reload=True,
    )
    connect_query: str = option(
        "", "Sent once on each new server connection. Empty: nothing.", reload=True
    )
    application_name_add_host: bool = option(
        False, "Add the client's address and port to its application_name.", reload=True
    )


def _pool(name: str) -> Any:
    return instead("pool", Pool, name)


@dataclass(frozen=True, slots=True)
class Database(PoolGuardOverrides):
    """One database: where it is, and what differs there from [pool]. "*" is any other."""

    dsn: str | None = option(
        None,
        "Connection string of the database; what it leaves out is taken from server.dsn. Its "
        "user is used as server.dsn's is: see server.force_user.",
        secret=True,
        reload=True,
        example="host=db1.internal,db2.internal sslmode=verify-full",
    )
    host: str | None = option(
        None,
        "Server to connect to, or a list with commas; a path is a unix socket's directory.",
        reload=True,
        example="db1.internal,db2.internal",
    )
    port: str | None = option(
        None,
        "Server's port, or a list with commas, one for each host.",
        reload=True,
        example="5432",
        number=True,
    )
    dbname: str | None = option(
        None,
        "Database's name on the server. Left out: dsn's, or the name that the client gave.",
        reload=True,
        example="app",
    )
    user: str | None = option(
        None,
        "Connect as this user, whatever user the client is.",
        reload=True,
        example="app",
    )
    password: str | None = option(
        None, "Password of that user.", secret=True, reload=True, example="…"
    )
    target_session_attrs: str | None = option(
        None,
        "Which of several hosts will do, in libpq's words.",
        choices=("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
        reload=True,
        example="primary",
    )
    sslmode: str | None = option(
        None,
        "Encryption to the server, in libpq's words.",
        choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        reload=True,
        example="verify-full",
    )
    mode: str | None = _pool("mode")
    max_size: int | None = _pool("max_size")
    min_size: int | None = _pool("min_size")
    reserve_size: int | None = _pool("reserve_size")
    reserve_timeout: float | None = _pool("reserve_timeout")
    max_idle: float | None = _pool("max_idle")
    max_lifetime: float | None = _pool("max_lifetime")
    warn_ratio: float | None = _pool("warn_ratio")
    max_queue: int | None = _pool("max_queue")
    queue_notice: float | None = _pool("queue_notice")
    query_timeout: float | None = _pool("query_timeout")
    transaction_timeout: float | None = _pool("transaction_timeout")
    idle_transaction_timeout: float | None = _pool("idle_transaction_timeout")
    client_idle_timeout: float | None = _pool("client_idle_timeout")
    max_db_connections: int | None = _pool("max_db_connections")
    max_db_clients: int | None = _pool("max_db_clients")
    unshareable: str | None = _pool("unshareable")
    track_settings: str | None = _pool("track_settings")
    reset: str | None = _pool("reset")
    reset_query: str | None = _pool("reset_query")
    connect_query: str | None = _pool("connect_query")
    application_name_add_host: bool | None = _pool("application_name_add_host")


@dataclass(frozen=True, slots=True)
class User(PoolGuardOverrides):
    """One user, as the client names it: what differs for it from its database and [pool]."""

    mode: str | None = _pool("mode")
    max_size: int | None = _pool("max_size")
    min_size: int | None = _pool("min_size")
    reserve_size: int | None = _pool("reserve_size")
    max_user_connections: int | None = _pool("max_user_connections")
    max_user_clients: int | None = _pool("max_user_clients")
    query_timeout: float | None = _pool("query_timeout")
    transaction_timeout: float | None = _pool("transaction_timeout")
    idle_transaction_timeout: float | None = _pool("idle_transaction_timeout")
    client_idle_timeout: float | None = _pool("client_idle_timeout")
    unshareable: str | None = _pool("unshareable")


@dataclass(frozen=True, slots=True)
class Application(GuardOverrides):
    """One application, by its application_name."""

    weight: float = option(
        1.0,
        "Its share of the server connections that come free, when clients of one pool wait: "
        "one of weight 2 gets twice as many as one of weight 1.",
        unit="shares",
        low=0.001,
        high=1000,
        reload=True,
        example=0.5,
    )
