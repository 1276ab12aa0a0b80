"""The workload that advice is for: statements with their frequency and mean time."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.pg.connect import Connection
from dbopt.pg.workload import top_statements
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.redact import redact

MOST_STATEMENTS = 200


@dataclass(frozen=True, slots=True)
class WorkloadQuery:
    """A statement: its redacted text, how often it ran, and its mean time in milliseconds."""

    fingerprint: int
    text: str
    calls: int
    mean_ms: float

    @property
    def total_ms(self) -> float:
        """The time that all its calls took."""
        return self.calls * self.mean_ms


def read(connection: Connection, limit: int = MOST_STATEMENTS) -> list[WorkloadQuery]:
    """The statements of pg_stat_statements that cost most time, one for each fingerprint.

    Raises UsageError where the extension is not installed or preloaded.
    """
    found: dict[int, WorkloadQuery] = {}
    for row in top_statements(connection, limit):
        text = redact(row["query"])
        key = fingerprint(text)
        query = WorkloadQuery(key, text, row["calls"], row["mean_ms"])
        found[key] = merged(found[key], query) if key in found else query
    return sorted(found.values(), key=lambda query: -query.total_ms)


def merged(one: WorkloadQuery, other: WorkloadQuery) -> WorkloadQuery:
    """Two entries of one statement (of two roles, say) as one."""
    calls = one.calls + other.calls
    mean = (one.total_ms + other.total_ms) / calls if calls else 0.0
    return WorkloadQuery(one.fingerprint, one.text, calls, mean)
