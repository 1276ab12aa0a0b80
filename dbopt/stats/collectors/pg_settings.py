"""pg_settings: the settings that are not the default, so that a change is seen."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="settings",
    key=("name",),
    labels=("setting", "unit", "source"),
    gauges=("pending_restart",),
    of_server=True,
    every=300.0,
)

READER = Reader(VIEW, "collect_settings")
