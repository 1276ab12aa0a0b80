"""pg_stat_user_functions: calls and time of functions, while track_functions is on."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="functions",
    key=("funcid",),
    labels=("schemaname", "funcname"),
    counters=("calls", "total_us", "self_us"),
)

READER = Reader(VIEW, "collect_functions")
