"""pg_locks: how many locks of each mode are held and waited for."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="locks",
    key=("datname", "mode", "granted"),
    gauges=("locks", "longest_wait_us"),
    of_server=True,
)

READER = Reader(VIEW, "collect_locks")
