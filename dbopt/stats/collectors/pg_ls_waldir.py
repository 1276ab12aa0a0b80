"""pg_ls_waldir: what the WAL directory holds."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="wal_directory",
    key=(),
    gauges=("files", "size_bytes"),
    of_server=True,
    every=300.0,
)

READER = Reader(VIEW, "collect_wal_directory")
