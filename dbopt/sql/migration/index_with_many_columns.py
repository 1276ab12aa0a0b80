"""An index of more than three columns: large, and seldom used in full."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateIndex
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule

_MOST = 3


def _check(subject: Subject) -> Iterator[Match]:
    index = subject.does
    if isinstance(index, CreateIndex) and not index.unique and index.keys > _MOST:
        message = f"An index over {index.keys} columns of {index.table} is seldom used in full."
        yield Match(subject, message)


RULE = Rule(
    name="index-with-many-columns",
    severity=Severity.WARNING,
    group=Group.INDEX,
    summary="An index that is not unique has more than three columns.",
    reason=(
        "Columns behind the third seldom narrow a search further, and every write pays for them; "
        "the index grows, and fewer updates are HOT."
    ),
    remedy=(
        "Put the columns that narrow a search most first, and leave the others out, or to "
        "INCLUDE (...), where an index-only scan needs them."
    ),
    fires="CREATE INDEX CONCURRENTLY events_idx ON events (account_id, kind, day, country)",
    passes="CREATE INDEX CONCURRENTLY events_idx ON events (account_id, kind, day)",
    check=_check,
)
