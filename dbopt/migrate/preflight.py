"""The look before the first change: what would make a step fail, hold others up, or wait.

It only reads, takes no lock that anybody waits behind, and each of its questions is bounded in
time. A finding of severity CRITICAL forbids the run; one with `examined` False says what could not
be looked at, which is never "healthy".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dbopt.errors import MigrationError
from dbopt.migrate.direct import require_direct
from dbopt.migrate.estimate import key
from dbopt.migrate.looks import plan, rights, room, rows, server, sessions, sight
from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.steps import Step
from dbopt.pg import look as seen
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated
from dbopt.settings import Migrate
from dbopt.sql.findings import Finding, Severity, by_importance

TIMEOUT = 5.0
"""Seconds that one question may take."""

LOOKS: tuple[Callable[[Sight], Iterator[Finding]], ...] = (
    server.writable,
    server.version,
    server.connections,
    rights.privileges,
    rights.tablespaces,
    rights.names,
    sessions.old_transactions,
    sessions.hidden_sessions,
    room.disk,
    room.temporary,
    room.memory,
    room.replication,
    room.slots,
    plan.states,
    plan.statistics,
)
"""Functions of what was read."""

QUERIES: tuple[Callable[[Connection, Sight], Iterator[Finding]], ...] = (
    rows.duplicates,
    rows.long_values,
)
"""Those that read the tables' rows."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The findings, the gravest first, and whom each step would wait for now, by `estimate.key`."""

    findings: list[Finding]
    blockers: dict[str, list[seen.Session]]


def look(connection: Connection, steps: Sequence[Step], settings: Migrate) -> list[Finding]:
    """What there is to say before these steps begin, the gravest first.

    `connection` is in autocommit. Raises QueryFailed and ServerLost.
    """
    return survey(connection, steps, settings).findings


def survey(connection: Connection, steps: Sequence[Step], settings: Migrate) -> Survey:
    """`look`, with whom each step would wait for."""
    try:
        require_direct(connection)
    except MigrationError as error:
        # What one server process says, and another is asked next, tells nothing.
        address = f"{connection.info.host}:{connection.info.port}"
        found = Finding(
            "pooler", Severity.CRITICAL, address, error.message, remedy=error.hint
        )  # fmt: skip
        return Survey([found], {})
    with translated("Looking before the migration"), seen.looking(connection, TIMEOUT):
        what = sight.read(connection, steps, settings)
        findings = [finding for one in LOOKS for finding in one(what)]
        for query in QUERIES:
            findings += query(connection, what)
    blockers = {
        key(step.definition): sessions.blockers(step, what.tables, what.sessions)
        for step in what.changing
    }
    return Survey(by_importance(findings), blockers)
