"""An index whose day comes soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

SOON = timedelta(days=30)


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    expires = entry.notes.expires
    if expires is not None and found.today <= expires <= found.today + SOON:
        left = (expires - found.today).days
        yield Match(
            entry,
            f'"{entry.definition.name}" is declared until {expires.isoformat()}, '
            f"{left} {'day' if left == 1 else 'days'} from now.",
            evidence={"expires": expires.isoformat(), "days": left},
        )


RULE = Rule(
    name="expires-soon",
    severity=Severity.INFO,
    summary="A declaration whose expires= day is less than 30 days away.",
    reason="A lint that fails on the day itself stops whoever happens to deploy then.",
    remedy="Decide now whether it goes or stays.",
    fires="-- dbopt: expires=2026-02-10\nCREATE INDEX a ON t (x);",
    passes="-- dbopt: expires=2026-12-31\nCREATE INDEX a ON t (x);",
    check=each(_check),
)
