"""What limits a report: times without history, counters that began again, what nobody could see.

PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from statistics import median

from dbopt.sql.findings import Finding
from dbopt.stats.report.model import Column, Group, Section, Value
from dbopt.stats.report.numbers import moment, plain_seconds
from dbopt.stats.report.period import Period
from dbopt.store.frame import Event, Target

PULSE = ("database", "statements", "tables", "waits")
"""Views by which one sees whether anybody collected, the first that there is."""
LATE = 2.5
"""Usual steps without a frame that make a gap."""
NOT_EXAMINED = "not-examined"
Gap = tuple[float, float]
"""From, to: epoch seconds."""

UNTIMED = (
    ("statements", "shared_blk_read_us", "shared_blks_read",
     "How long reading and writing blocks took.", "ALTER SYSTEM SET track_io_timing = on;"),
)  # fmt: skip
MISSING = (
    ("statements", "Single statements, on the server: there is no history of pg_stat_statements.",
     "`dbopt check` tells whether the extension is there; else the time is too short."),
    ("waits", "What sessions waited for: there are no samples of sessions.",
     "Set stats.sample_interval, and run `dbopt serve`."),
    ("traced", "Latency as clients see it, routes, applications: nothing came through the gateway.",
     "Let applications connect to the gateway that `dbopt serve` opens."),
    ("table_bloat", "Bloat.", "GRANT SELECT on the tables, since pg_stats shows nothing without; "
     "it is estimated once an hour."),
)  # fmt: skip


def gaps(period: Period) -> list[Gap]:
    """The times of a period that nobody collected in, of a minute at least."""
    name = next((name for name in PULSE if period.has(name)), None)
    start, end = period.since.timestamp(), period.until.timestamp()
    if name is None:
        return [(start, end)]
    ends = sorted(at for at, _ in period.views[name].ends)
    steps = [b - a for a, b in pairwise(ends) if b > a]
    usual = median(steps) if steps else 60.0
    late = max(60.0, LATE * usual)
    bounds = [start, *ends, end]
    return [(a, b) for a, b in pairwise(bounds) if b - a > late]


def notes(period: Period) -> tuple[str, ...]:
    """What one must know to read the figures, a line each."""
    return (*_gap_notes(period), *_reset_notes(period), *_restart_notes(period))


def _gap_notes(period: Period) -> Iterator[str]:
    for since, until in gaps(period):
        yield (
            f"No sidecar collected between {moment(since)} and {moment(until)} UTC "
            f"({plain_seconds(until - since)}). Counters that grew meanwhile are in the figures "
            "if PostgreSQL kept them; the charts have a hole there."
        )


def _reset_notes(period: Period) -> Iterator[str]:
    by_moment: dict[str, list[str]] = {}
    for name, view in period.views.items():
        for at in view.resets:
            by_moment.setdefault(moment(at.timestamp()), []).append(name)
    for when, names in sorted(by_moment.items()):
        yield (
            f"Counters began again at {when} UTC: {', '.join(sorted(names))}. What had been "
            "counted since the snapshot before is lost."
        )


def _restart_notes(period: Period) -> Iterator[str]:
    for event in period.events:
        if event.kind in ("server-restart", "collector-pace"):
            yield f"{moment(event.at.timestamp())} UTC: {event.message}"


def unseen(period: Period) -> tuple[tuple[str, str], ...]:
    """What was not examined, each with its remedy."""
    found: dict[str, str] = {}
    for event in period.events:
        if event.kind == NOT_EXAMINED:
            found[event.message] = str(event.data.get("remedy", ""))
    for view, words, remedy in MISSING:
        if not period.has(view):
            found[words] = remedy
    for view, timed, counted, words, remedy in UNTIMED:
        rows = period.rows(view)
        counts = any(row.n(counted) for row in rows)
        if counts and all(row.get(timed) is None for row in rows):
            found[words] = remedy
    return tuple(found.items())


def unseen_events(findings: Iterable[Finding], target: Target, at: datetime) -> list[Event]:
    """What was not examined, as events that a report finds. Tell each once a day: see `unseen`."""
    return [
        Event(at, target, NOT_EXAMINED, one.rule, one.message, {"remedy": one.remedy})
        for one in findings
        if not one.examined
    ]


def changes_group(period: Period, limit: int) -> Group:
    """What happened: plan changes, settings, restarts, resets."""
    columns = (
        Column("at", "when (UTC)", "at"), Column("kind", "what", "text"),
        Column("object", "of", "text"), Column("message", "in words", "text"),
    )  # fmt: skip
    wanted = [event for event in period.events if event.kind not in (NOT_EXAMINED,)]
    wanted.sort(key=lambda event: event.at)
    section = Section(
        "events", "What changed", columns, tuple(map(_line, wanted[:limit])), "",
        max(0, len(wanted) - limit),
    )  # fmt: skip
    return Group("changes", "Changes", (), (section,) if wanted else ())


def _line(event: Event) -> tuple[Value, ...]:
    return (event.at.timestamp(), event.kind, event.object, event.message)
