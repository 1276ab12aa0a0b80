"""An index whose day has come."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    expires = entry.notes.expires
    if expires is not None and entry.notes.expired(found.today):
        yield Match(
            entry,
            f'"{entry.definition.name}" was declared until {expires.isoformat()}.',
            evidence={"expires": expires.isoformat()},
        )


RULE = Rule(
    name="expired",
    severity=Severity.WARNING,
    summary="A declaration whose expires= day has passed.",
    reason="It was meant for a time. Nothing drops it by itself, so somebody has to decide.",
    remedy="Take it out, or give it another day: `-- dbopt: expires=YYYY-MM-DD`.",
    fires="-- dbopt: expires=2020-01-31\nCREATE INDEX a ON t (x);",
    passes="-- dbopt: expires=2999-01-31\nCREATE INDEX a ON t (x);",
    check=each(_check),
)
