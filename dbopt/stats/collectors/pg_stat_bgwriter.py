"""pg_stat_bgwriter: pages that the background writer cleaned."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="bgwriter",
    key=(),
    counters=(
        "buffers_clean",
        "maxwritten_clean",
        "buffers_alloc",
        "buffers_backend",
        "buffers_backend_fsync",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_bgwriter", resets=True)
