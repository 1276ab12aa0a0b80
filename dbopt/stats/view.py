"""What a collector is: it reads one pg_stat view into rows that earlier ones compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding, Severity


@dataclass(frozen=True, slots=True)
class View:
    """A view's columns by role, which is all that a difference needs to know.

    `key` tells rows apart, `labels` name them, `counters` only grow until they are reset,
    `gauges` are what is true now. Counters and gauges are whole numbers, see store.frame; a
    column that this server has not is None. `of_server`: the same from every database of it.
    `every`: seconds that pass at least between two looks at it, 0 for stats.interval.
    """

    name: str
    key: tuple[str, ...]
    labels: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    gauges: tuple[str, ...] = ()
    of_server: bool = False
    every: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of a row."""
        return self.key + self.labels + self.counters + self.gauges


@dataclass(frozen=True, slots=True)
class Collected:
    """What one look at a view gave: rows by `View.columns`, and what could not be seen.

    `truncated`: only the most active rows are here. `reset`: when the view's counters began,
    None where unknown. A row may have "stats_since", when its own began. `dealloc`: entries
    evicted since then. `texts`: redacted statements by fingerprint. `findings`: what was not
    examined, with the GRANT or setting that would mend it.
    """

    rows: list[Row] = field(default_factory=list)
    truncated: bool = False
    reset: datetime | None = None
    dealloc: int | None = None
    texts: dict[int, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class Collector(Protocol):
    """Reads one view."""

    @property
    def view(self) -> View:
        """Its columns."""
        ...

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """At most `limit` rows, the most active. May raise psycopg.Error."""
        ...


def not_examined(view: str, server: ServerInfo, message: str, remedy: str) -> Finding:
    """The finding that a view, or a part of it, could not be seen."""
    return Finding(
        rule=f"stats-{view}",
        severity=Severity.WARNING,
        object=server.database,
        message=message,
        remedy=remedy,
        examined=False,
    )
