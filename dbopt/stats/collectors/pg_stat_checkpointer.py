"""pg_stat_checkpointer, which before 17 was in pg_stat_bgwriter: checkpoints and restartpoints."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="checkpointer",
    key=(),
    counters=(
        "num_timed",
        "num_requested",
        "num_done",
        "restartpoints_timed",
        "restartpoints_req",
        "restartpoints_done",
        "write_us",
        "sync_us",
        "buffers_written",
        "slru_written",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_checkpointer", resets=True)
