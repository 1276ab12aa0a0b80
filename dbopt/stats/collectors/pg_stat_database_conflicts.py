"""pg_stat_database_conflicts: statements that recovery cancelled, by cause. Standbys only."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="database_conflicts",
    key=("datid",),
    labels=("datname",),
    counters=(
        "confl_tablespace",
        "confl_lock",
        "confl_snapshot",
        "confl_bufferpin",
        "confl_deadlock",
        "confl_active_logicalslot",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_database_conflicts", standby=True)
