"""pg_stat_activity: how many sessions do what now. No query text."""

from __future__ import annotations

from dataclasses import replace

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View, not_examined

MAX_APPLICATIONS = 50
"""Users' applications told apart, those with the most sessions; the rest is OTHER."""
OTHER = "(other)"
MAX_NAME = 63

VIEW = View(
    name="activity",
    key=("datname", "usename", "application_name", "state", "wait_event_type"),
    gauges=(
        "sessions",
        "longest_transaction_us",
        "longest_query_us",
        "longest_state_us",
    ),
    of_server=True,
)


def bounded(rows: list[Row]) -> list[Row]:
    """The rows with few (user, application), whatever clients call themselves. PURE."""
    sessions: dict[tuple[str, str], int] = {}
    for row in rows:
        who = (row["usename"], row["application_name"])
        sessions[who] = sessions.get(who, 0) + row["sessions"]
    largest = sorted(sessions, key=lambda who: (-sessions[who], who))[:MAX_APPLICATIONS]
    kept = frozenset(largest)
    merged: dict[tuple[str, ...], Row] = {}
    for row in rows:
        if (row["usename"], row["application_name"]) not in kept:
            row = {**row, "usename": OTHER, "application_name": OTHER}
        key = tuple(row[name] for name in VIEW.key)
        merged[key] = _together(merged[key], row) if key in merged else row
    return list(merged.values())


def _together(one: Row, other: Row) -> Row:
    sum_ = {**one, "sessions": one["sessions"] + other["sessions"]}
    for name in VIEW.gauges[1:]:
        ages = [age for age in (one[name], other[name]) if age is not None]
        sum_[name] = max(ages, default=None)
    return sum_


def _gaps(server: ServerInfo) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if not server.reads_all_stats:
        message = "Other roles' sessions are counted, but their state and waits are hidden."
        remedy = f"GRANT pg_monitor TO {server.quoted_role};"
        found.append(not_examined("activity", server, message, remedy))
    if not server.track_activities:
        message = "track_activities is off: what sessions do is not known."
        remedy = "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();"
        found.append(not_examined("activity", server, message, remedy))
    return tuple(found)


class ActivityReader(Reader):
    """One row a database, user, application, state and kind of wait."""

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """Counts, and the longest of each, in microseconds."""
        found = await super().collect(conn, server, limit)
        return replace(found, rows=bounded(found.rows))


READER = ActivityReader(VIEW, "collect_activity", gaps=_gaps)
