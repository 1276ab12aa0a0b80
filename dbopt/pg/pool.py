"""The control process's own pool: small and separate, so that it never queues behind the app."""

from __future__ import annotations

from typing import Protocol

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from dbopt.pg.connect import APPLICATION_NAME, AsyncConnection, resolve

MIN_SIZE = 1
MAX_SIZE = 4
LOCK_TIMEOUT = 1.0
"""Seconds. A reader of statistics that waits for a lock makes others wait behind it."""

RECONNECT_TIMEOUT = 5.0
"""Seconds of attempts to connect, after which psycopg_pool waits to be asked again."""

Pool = AsyncConnectionPool[AsyncConnection]


class Settings(Protocol):
    """What the pool needs to know (dbopt.settings.Stats has it)."""

    @property
    def statement_timeout(self) -> float:
        """Seconds."""
        ...


def control_pool(dsn: str, settings: Settings, *, connect_timeout: float = 5.0) -> Pool:
    """A pool that is not open yet: `await pool.open()` or `async with`.

    Its connections are autocommit, give rows as dicts, are named dbopt, and end any statement
    after `settings.statement_timeout` seconds. Raises ConfigError for a DSN that is none.
    """
    parts = resolve(dsn)
    return AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection,
        min_size=MIN_SIZE,
        max_size=MAX_SIZE,
        open=False,
        name="dbopt-control",
        timeout=connect_timeout * 2,
        # Given up early, the next job's need starts anew: else its waits grow to minutes.
        reconnect_timeout=RECONNECT_TIMEOUT,
        check=AsyncConnectionPool.check_connection,
        kwargs={
            "row_factory": dict_row,
            "autocommit": True,
            "application_name": APPLICATION_NAME,
            # psycopg reads JSON as UTF-8 whatever the session's encoding is.
            "client_encoding": "utf8",
            "connect_timeout": max(2, round(connect_timeout)),
            "prepare_threshold": None,
            "options": session_options(parts.get("options", ""), settings.statement_timeout),
        },
    )


def session_options(given: str, statement_timeout: float) -> str:
    """libpq's `options`: those of the DSN, then ours; the server takes the last of each."""
    ours = {
        # No object of a user's own may stand in for one of the system's (CVE-2018-1058).
        "search_path": "pg_catalog",
        # Times of one zone are subtracted by the clock on its wall: in summer time that errs.
        "TimeZone": "UTC",
        # psycopg reads no other.
        "DateStyle": "ISO",
        "statement_timeout": round(statement_timeout * 1000),
        "lock_timeout": round(LOCK_TIMEOUT * 1000),
        "idle_in_transaction_session_timeout": round(statement_timeout * 3000),
    }
    words = [given] if given else []
    return " ".join([*words, *(f"-c {name}={value}" for name, value in ours.items())])
