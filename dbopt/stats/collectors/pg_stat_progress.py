"""pg_stat_progress_*: vacuums, index builds, rewrites, copies and backups that run now."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="progress",
    key=("pid", "command"),
    labels=("datname", "schemaname", "relname", "relid", "phase", "unit"),
    gauges=("done", "total", "delay_us", "running_us"),
    of_server=True,
)

READER = Reader(
    VIEW,
    "collect_progress",
    hides_in_rows=True,
    gaps=hidden("progress", "How far other roles' commands are is hidden."),
)
