"""REINDEX without CONCURRENTLY: reads and writes wait."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Reindex
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    node = subject.does
    if not isinstance(node, Reindex) or node.concurrently:
        return
    if node.name is None or not subject.is_new(node.name):
        what = f"{node.what} {node.name or ''}".strip()
        instead = rewrites.concurrently(subject, node.what) if node.what != "system" else ""
        message = f"REINDEX of {what} keeps writes waiting, and most reads."
        yield Match(subject, message, instead=instead)


RULE = Rule(
    name="require-concurrent-reindex",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="REINDEX without CONCURRENTLY.",
    reason=(
        "REINDEX holds a SHARE lock on the table, so writes wait, and ACCESS EXCLUSIVE on the "
        "index: planning any query of the table looks at all of its indexes, so reads wait too."
    ),
    remedy=(
        "REINDEX INDEX CONCURRENTLY (PostgreSQL 12), outside of a transaction. REINDEX SYSTEM "
        "has no CONCURRENTLY."
    ),
    fires="REINDEX INDEX users_email_idx",
    passes="REINDEX INDEX CONCURRENTLY users_email_idx",
    check=_check,
    squawk="require-concurrent-reindex",
)
