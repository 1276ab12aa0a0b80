"""pg_stat_io: reads, writes, extends and hits by kind of process, object and context."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="io",
    key=("backend_type", "object", "context"),
    counters=(
        "reads",
        "read_bytes",
        "read_us",
        "writes",
        "write_bytes",
        "write_us",
        "writebacks",
        "writeback_us",
        "extends",
        "extend_bytes",
        "extend_us",
        "hits",
        "evictions",
        "reuses",
        "fsyncs",
        "fsync_us",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_io", since=16, resets=True)
