"""psycopg's errors as dbopt's: above pg/ nobody imports psycopg, or shows the server's own words.

A server's message may quote a literal of the statement, so only the SQLSTATE and its name are
passed on (PostgreSQL documentation, appendix A), and of a missing privilege on what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from dbopt.errors import ConnectError, DboptError, QueryFailed, ServerLost, StoreMissing
from dbopt.pg.connect import Unanswered

HINTS: dict[type[psycopg.Error], str] = {
    errors.InsufficientPrivilege: (
        "dbopt's role lacks the privilege: statistics need pg_monitor, dbopt's schema CREATE on "
        "the database or USAGE of it, an index its table's owner."
    ),
    errors.QueryCanceled: "It took longer than the statement timeout allows.",
    errors.LockNotAvailable: "Another session holds a lock on it; try again later.",
    errors.UndefinedTable: "Check the name, the schema and the database.",
    errors.ReadOnlySqlTransaction: "It would write, in a read-only transaction or on a standby.",
}

_NAMING = frozenset(("aclcheck_error", "InitTempTableNamespace"))
"""Functions of the server whose messages have nothing but the kind and name of an object."""


@contextmanager
def translated(what: str, *, store: bool = False) -> Iterator[None]:
    """Turn a psycopg error inside the block into a DboptError that begins with `what`.

    Raises ConnectError when the pool has no connection, ServerLost when the connection broke,
    StoreMissing when `store` is set and its tables are not there, else QueryFailed.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(what, error, store=store) from None


def translate(what: str, error: psycopg.Error, *, store: bool = False) -> DboptError:
    """The DboptError that stands for a psycopg error."""
    absent = errors.UndefinedTable | errors.InvalidSchemaName | errors.UndefinedColumn
    if store and isinstance(error, absent):
        return StoreMissing(
            "The store has no schema dbopt, or an old one.", hint="Run `dbopt migrate upgrade`."
        )
    if type(error).__module__.startswith("psycopg_pool"):
        return ConnectError(
            f"{what}: no connection in time ({type(error).__name__}).",
            hint="The server cannot be reached, or all of dbopt's own connections are busy.",
        )
    if isinstance(error, Unanswered):
        return ServerLost(
            f"{what}: PostgreSQL has not answered for {error.seconds:.0f} s, and was given up.",
            hint=f"See why its process {error.pid}, or a pooler before it, stands still; then run "
            "again.",
        )
    code = error.sqlstate
    if _is_lost(error):
        return ServerLost(f"{what}: the connection to PostgreSQL was lost ({code or 'closed'}).")
    hint = next((text for kind, text in HINTS.items() if isinstance(error, kind)), "")
    return QueryFailed(
        f"{what}: PostgreSQL answered {code or 'XX000'} ({_reason(error)}).", code or "", hint=hint
    )


def _reason(error: psycopg.Error) -> str:
    if error.diag.source_function in _NAMING and error.diag.message_primary:
        return error.diag.message_primary
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()


def _is_lost(error: psycopg.Error) -> bool:
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError)
    return code.startswith("08") or code in ("57P01", "57P02", "57P03", "57P05")
