"""Frames and periods for tests of reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.stats.report.period import Period
from dbopt.store.frame import Frame, Key, Target, Values

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVER = Target("db1:5432")
SHOP = Target("db1:5432", "shop")


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def period(database: str = "") -> Period:
    return Period(START, START + HOUR, database)


def frame(
    view: str,
    minute: float,
    changed: Mapping[Key, Values],
    counters: tuple[str, ...] = (),
    gauges: tuple[str, ...] = (),
    *,
    target: Target = SHOP,
    seconds: float = 60.0,
    labels: Mapping[Key, Mapping[str, Any]] | None = None,
    base: Mapping[Key, Values] | None = None,
    gone: tuple[Key, ...] = (),
    reset: bool = False,
) -> Frame:
    return Frame(
        target, view, at(minute), seconds, counters, gauges, dict(changed), dict(base or {}), gone,
        labels or {}, reset,
    )  # fmt: skip


def statement(minute: float, number: int, calls: int, total_us: int, level: int = 1) -> Frame:
    """A frame of one statement."""
    key = (number, 10, level)
    labels = {key: {"role": "app", "fingerprint": number}}
    return frame(
        "statements", minute, {key: (calls, total_us)}, ("calls", "total_exec_us"), labels=labels
    )


def waits(minute: float, samples: Mapping[tuple[str, str, int], int], seconds: float = 60) -> Frame:
    """A frame of samples by wait class, event and fingerprint."""
    changed: dict[Key, Values] = {
        ("active", kind, event, number, "app", "web", "shop"): (count,)
        for (kind, event, number), count in samples.items()
    }
    return frame("waits", minute, changed, ("samples",), target=SERVER, seconds=seconds)


def pulse(minute: float) -> Frame:
    """A frame of pg_stat_database in which little happened."""
    names = ("xact_commit", "xact_rollback", "blks_hit", "blks_read", "temp_bytes")
    labels = {(5,): {"datname": "shop"}}
    return frame("database", minute, {(5,): (60, 0, 99, 1, 0)}, names, target=SERVER, labels=labels)
