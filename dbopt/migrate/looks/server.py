"""The server: is it one that can be written, of a version that builds rightly, with room for us.

Timeouts of the role are no matter: `lockguard.direct_session` sets those that would cut a run.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.looks.sight import Sight
from dbopt.sql.findings import Finding, Severity

SESSIONS = 5
"""Connections of a run: the lock, the builder, its watcher, the throttle, the journal."""

_CORRUPTS = {14: 4}
"""Major version, and the minor that mends it: rows that a HOT update has moved while CREATE INDEX
or REINDEX CONCURRENTLY ran may be missing in the index (release notes of 14.4)."""
_PREPARED = {11: 14, 12: 9, 13: 5, 14: 1}
"""The minor that mends it: rows of transactions that were just prepared may be missing in an index
that was built concurrently meanwhile (release notes of 14.1)."""


def writable(sight: Sight) -> Iterator[Finding]:
    """A standby and a session that is read-only cannot be changed."""
    server = sight.server
    if server.in_recovery:
        yield _critical(
            "standby",
            server.database,
            "The server is a standby: it cannot be changed.",
            "Give the primary's address in server.dsn, or target_session_attrs=read-write.",
        )
    elif server.read_only:
        yield _critical(
            "read-only",
            server.database,
            "Sessions of this role or database are read-only (default_transaction_read_only).",
            f"ALTER ROLE {server.role} RESET default_transaction_read_only; or of the database.",
        )


def version(sight: Sight) -> Iterator[Finding]:
    """Versions whose concurrent builds may leave rows out."""
    major, minor = sight.server.major, sight.server.version_num % 10000
    if not sight.builds:
        return
    if minor < _CORRUPTS.get(major, 0):
        yield _critical(
            "server-version",
            f"PostgreSQL {sight.server.version}",
            "In this version an index that is built concurrently may lack rows.",
            f"Upgrade the server to {major}.{_CORRUPTS[major]} or later; then REINDEX what was "
            "built concurrently before.",
        )
    elif minor < _PREPARED.get(major, 0) and sight.number("max_prepared_transactions"):
        yield _critical(
            "server-version",
            f"PostgreSQL {sight.server.version}",
            "In this version an index that is built concurrently may lack rows of prepared "
            "transactions, which max_prepared_transactions allows here.",
            f"Upgrade the server to {major}.{_PREPARED[major]} or later.",
        )


def connections(sight: Sight) -> Iterator[Finding]:
    """Few connections left: a run takes some, and applications need theirs."""
    room, why = min(_rooms(sight))
    if not sight.changing or room >= SESSIONS:
        return
    yield Finding(
        "connections",
        Severity.WARNING,
        sight.server.database,
        f"{max(0, room):.0f} more sessions are allowed ({why}); a run takes up to {SESSIONS}.",
        {"left": max(0, int(room)), "limit": why, "needed": SESSIONS},
        "Run when fewer sessions are open, or raise that limit.",
    )


def _rooms(sight: Sight) -> Iterator[tuple[float, str]]:
    server = sight.server
    kept = sight.number("superuser_reserved_connections") + sight.number("reserved_connections")
    yield sight.number("max_connections", 1e9) - kept - server.sessions, "max_connections"
    if server.role_limit >= 0:
        yield server.role_limit - server.role_sessions, "the role's CONNECTION LIMIT"
    if server.database_limit >= 0:
        yield server.database_limit - server.database_sessions, "the database's CONNECTION LIMIT"


def _critical(rule: str, name: str, message: str, remedy: str) -> Finding:
    return Finding(rule, Severity.CRITICAL, name, message, remedy=remedy)
