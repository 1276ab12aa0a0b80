"""Queries and verdicts as the tests of the guard need them."""

from __future__ import annotations

from dataclasses import replace

from dbopt.guard.subject import subject
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.query import Complexity, Kind, Query, Reason
from dbopt.store.quarantine import Quarantine

NUMBER = 0xF000_0000_0000_0001
ANALYZER = Analyzer()


def query(text: str) -> Query:
    """As the guard sees a text that is sent."""
    found = subject(text, fingerprint(text), ANALYZER.analyze)
    assert found is not None
    return found.query


def scored(score: int, grade: str = "simple", kind: Kind = Kind.READ) -> Query:
    """A read of that complexity."""
    reasons = (Reason("3 x cross join", score),) if score else ()
    return replace(
        query("SELECT 1"),
        fingerprint=NUMBER, kind=kind, complexity=Complexity(score, grade, reasons),
    )  # fmt: skip


def held(until: float = 100.0, reason: str = "", by: str = "") -> Quarantine:
    """In quarantine until then."""
    return Quarantine(NUMBER, until, reason=reason, by=by)
