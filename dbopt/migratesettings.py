"""The settings of migrations: how long anything may wait, and when a build gives way."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.setting import option


@dataclass(frozen=True, slots=True)
class Migrate:
    """Migrations of dbopt's schema and of the declared indexes."""

    directory: str = option(
        "migrations", "Directory of the Alembic environment, from where dbopt is run."
    )
    lock_timeout: float = option(
        5.0, "How long a lock that others queue behind may be waited for.", unit="s",
        low=0.01, high=3600,
    )  # fmt: skip
    build_timeout: float = option(
        3600.0, "How long one concurrent index build, or drop, may take.", unit="s", low=1
    )
    deadline: float = option(
        0.0, "How long a whole `dbopt index apply` may take. 0: as long as it needs.",
        unit="s", low=0,
    )  # fmt: skip
    attempts: int = option(
        5, "How often a step is tried that lost against a lock, a deadlock or a restart.",
        low=1, high=100,
    )  # fmt: skip
    lock_wait: float = option(
        600.0, "How long to wait for another migration that runs.", unit="s", low=0
    )
    max_replication_lag: float = option(
        30.0, "A step waits while a standby's replay lags by more. 0: never.", unit="s",
        low=0, high=86400,
    )  # fmt: skip
    max_lock_waiters: int = option(
        10, "A step waits while more sessions than these wait for locks. 0: never.",
        low=0, high=100_000,
    )  # fmt: skip
    max_active: int = option(
        0, "A step waits while more sessions than these are active. 0: never.",
        low=0, high=100_000,
    )  # fmt: skip
    max_transaction_age: float = option(
        600.0, "A build that would wait for a transaction older than this is not begun. 0: it is.",
        unit="s", low=0,
    )  # fmt: skip
    blocker_queries: bool = option(
        False, "Show what a session that blocks a build runs, without its literals."
    )
    index_names: str = option(
        "", "Regular expression that names of declared indexes match, {table} in it. Empty: any."
    )
