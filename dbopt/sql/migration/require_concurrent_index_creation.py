"""CREATE INDEX without CONCURRENTLY: writes wait until it is built."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateIndex
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    index = subject.does
    # ON ONLY is how a partitioned table gets its index: it reads no row, and has no CONCURRENTLY.
    if not isinstance(index, CreateIndex) or index.concurrently or index.only:
        return
    if not subject.is_new(index.table):
        message = f"Writes to {index.table} wait for as long as this index is built."
        yield Match(
            subject,
            message,
            evidence={"table": str(index.table)},
            instead=rewrites.create_index(subject, index),
        )


RULE = Rule(
    name="require-concurrent-index-creation",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="An index is created without CONCURRENTLY.",
    reason=(
        "CREATE INDEX holds a SHARE lock on the table while it reads and sorts all of it: every "
        "INSERT, UPDATE and DELETE waits until the index is done."
    ),
    remedy=(
        "CREATE INDEX CONCURRENTLY, outside of a transaction; or declare the index in indexes/*.sql"
        " and let `dbopt index apply` build it. On a partitioned table: ON ONLY the parent, "
        "CONCURRENTLY on each partition, then ALTER INDEX ... ATTACH PARTITION."
    ),
    fires="CREATE INDEX users_email_idx ON users (email)",
    passes="CREATE INDEX CONCURRENTLY users_email_idx ON users (email)",
    check=_check,
    squawk="require-concurrent-index-creation",
)
