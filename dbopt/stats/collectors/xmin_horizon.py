"""What keeps dead rows from being removed: the oldest snapshot of each kind of holder."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="xmin_horizon",
    key=("holder",),
    labels=("name",),
    gauges=("xid_age", "held_us"),
    of_server=True,
)

READER = Reader(
    VIEW,
    "collect_xmin_horizon",
    gaps=hidden(
        "xmin_horizon", "Other roles' sessions and standbys that hold back VACUUM are hidden."
    ),
)
