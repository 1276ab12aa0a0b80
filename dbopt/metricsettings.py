"""The settings of /metrics: how many series a scrape may have."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.setting import option

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Metrics:
    """What /metrics tells of the server, and how much of it. What is beyond a limit is "other"."""

    tables: int = option(
        300, "Tables with series of their own, the busiest. 0: none.", low=0, high=_MOST
    )
    indexes: int = option(
        300, "Indexes with series of their own, the busiest. 0: none.", low=0, high=_MOST
    )
    statements: int = option(
        100,
        "Statements of pg_stat_statements with series of their own (label queryid), those that "
        "took most time. 0: none.",
        low=0,
        high=_MOST,
    )
    pgbouncer: bool = option(
        True, "Pools under pgbouncer_exporter's names too, for dashboards that are there."
    )
