"""pg_prepared_xacts: transactions that were prepared and wait for a second phase."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="prepared_xacts",
    key=("datname",),
    gauges=("prepared", "oldest_us", "oldest_xid_age"),
    of_server=True,
)

READER = Reader(VIEW, "collect_prepared_xacts")
