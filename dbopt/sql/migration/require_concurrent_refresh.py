"""REFRESH MATERIALIZED VIEW without CONCURRENTLY: its readers wait."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Refresh
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if isinstance(does, Refresh) and not does.concurrently and not subject.is_new(does.view):
        if does.no_data:
            yield Match(subject, f"Nobody can read {does.view} until it is refreshed again.")
        else:
            message = f"Whoever reads {does.view} waits until its query is done."
            yield Match(subject, message, instead=rewrites.concurrently(subject, "view"))


RULE = Rule(
    name="require-concurrent-refresh",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A materialized view is refreshed without CONCURRENTLY.",
    reason=(
        "It holds an ACCESS EXCLUSIVE lock on the view while its query runs: everybody who reads "
        "it waits. WITH NO DATA leaves a view that cannot be read at all (55000)."
    ),
    remedy=(
        "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index without WHERE on "
        "columns of the view."
    ),
    fires="REFRESH MATERIALIZED VIEW totals",
    passes="REFRESH MATERIALIZED VIEW CONCURRENTLY totals",
    check=_check,
)
