"""Rows as collectors give them, and a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dbopt.metricsettings import Metrics
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors import VIEWS
from dbopt.stats.exposition.source import Exposition
from dbopt.stats.view import Collected

VIEW = {view.name: view for view in VIEWS}
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
SERVER = ServerInfo(
    version_num=180001, in_recovery=False, database="app", address="db:5432", now=STARTED,
    started_at=STARTED, role="dbopt", is_monitor=True, reads_all_stats=True, track_io_timing=True,
    track_counts=True, statements_loaded=True, statements_version="1.12",
    statements_schema="public", stats_reset=None,
)  # fmt: skip


def row(view: str, **values: Any) -> dict[str, Any]:
    """A row whose other columns are unknown (None), or words for labels."""
    of = VIEW[view]
    empty: dict[str, Any] = dict.fromkeys(of.columns)
    words = {name: name for name in of.labels + of.key}
    return empty | words | values


def full(view: str, number: int = 1) -> dict[str, Any]:
    """A row in which everything was measured."""
    of = VIEW[view]
    return row(view, **dict.fromkeys(of.counters + of.gauges, number))


def exposition(latest: dict[str, Collected], **settings: Any) -> Exposition:
    """One that leads, of a server that answers."""
    return Exposition(
        Metrics(**settings), lambda: latest, lambda: SERVER, lambda: True, lambda: True,
        clock=lambda: 2000.0,
    )  # fmt: skip


def values(of: Exposition) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and labels; each may be there once."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for sample in of.samples():
        key = (sample.name, sample.labels)
        assert key not in found, key
        assert isinstance(sample.value, int | float)
        found[key] = sample.value
    return found
