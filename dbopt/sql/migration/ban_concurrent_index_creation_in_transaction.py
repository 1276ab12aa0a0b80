"""CREATE INDEX CONCURRENTLY in a transaction: PostgreSQL refuses."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateIndex
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    index = subject.does
    if isinstance(index, CreateIndex) and index.concurrently and subject.transaction is not None:
        message = "CREATE INDEX CONCURRENTLY cannot run inside a transaction: it will fail."
        yield Match(subject, message, index.concurrently)


RULE = Rule(
    name="ban-concurrent-index-creation-in-transaction",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="An index is created concurrently in a transaction.",
    reason=(
        "CREATE INDEX CONCURRENTLY commits several times, and waits between for all who use the "
        "table, so PostgreSQL refuses it in a transaction (25001)."
    ),
    remedy=(
        "Build it outside: in Alembic `with op.get_context().autocommit_block():`, or with "
        "`dbopt index apply`; in a file of its own where the tool opens a transaction a file."
    ),
    fires="BEGIN;\nCREATE INDEX CONCURRENTLY users_email_idx ON users (email);\nCOMMIT",
    passes="CREATE INDEX CONCURRENTLY users_email_idx ON users (email)",
    check=_check,
    squawk="ban-concurrent-index-creation-in-transaction",
)
