"""Sessions: who blocked whom, locks, connections, replication, what holds vacuum back. PURE."""

from __future__ import annotations

from collections import defaultdict

from dbopt.stats.report.model import Chart, Column, Group, Section, Series, Value, top
from dbopt.stats.report.period import Period
from dbopt.stats.report.sums import hexed, ratio


def sessions_group(period: Period, limit: int) -> Group:
    """Locks, connections and replication."""
    sections = (
        _blocking(period, limit), _locks(period, limit), _connections(period),
        _activity(period, limit),
        _horizon(period, limit), _replication(period, limit), _slots(period, limit),
        _subscriptions(period, limit),
    )  # fmt: skip
    shown = tuple(section for section in sections if section.rows)
    return Group("sessions", "Locks and sessions", _charts(period), shown)


def _charts(period: Period) -> tuple[Chart, ...]:
    timeline = period.timeline
    sessions = timeline.gauges("sessions")
    if not any(sessions):
        return ()
    most = max((value or 0 for value in timeline.gauges("max_connections")), default=0)
    limit = (f"max_connections {most:.0f}", most) if most else None
    chart = Chart("connections", "Connections", "count", timeline.step, timeline.times,
                  (Series("connections", sessions),), limit=limit)  # fmt: skip
    return (chart,)


def _blocking(period: Period, limit: int) -> Section:
    columns = (
        Column("blocked", "waited", "statement"), Column("blocking", "was in its way", "statement"),
        Column("mode", "lock", "text"), Column("relation", "on", "text"),
        Column("waited_us", "sessions x time", "us", bar=True),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("blocking"):
        blocked, blocking, mode, relation = row.key
        waited = row.n("samples") * period.sample_interval * 1e6
        lines.append((hexed(int(blocked)), hexed(int(blocking)), str(mode), str(relation), waited))
    intro = (
        "From samples of sessions that waited for a lock, and of who held it. A blocker without "
        "a statement was idle in its transaction, or unknown."
    )
    section = Section("blocking", "Locks: who blocked whom", columns, (), intro)
    return top(section, lines, "waited_us", limit)


def _locks(period: Period, limit: int) -> Section:
    columns = (
        Column("database", "database", "text"), Column("mode", "mode", "text"),
        Column("locks", "locks", bar=True),
        Column("longest_wait_us", "longest wait", "us"),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            str(row.key[0]), str(row.key[1]), row.gauge("locks"), row.gauge("longest_wait_us"),
        )
        for row in period.rows("locks")
        if not row.key[2]
    ]  # fmt: skip
    section = Section("locks_waiting", "Locks waited for at the end", columns, ())
    return top(section, lines, "locks", limit)


def _connections(period: Period) -> Section:
    columns = (
        Column("sessions", "sessions"), Column("max_connections", "max_connections"),
        Column("used", "used", "share"), Column("ssl", "with TLS", least=1),
        Column("autovacuum_workers", "autovacuum", least=2),
        Column("parallel_workers", "parallel", least=2),
        Column("walsenders", "walsenders", least=2),
    )  # fmt: skip
    row = period.one("connections")
    if row is None:
        return Section("connections_now", "Connections at the end", columns, ())
    sessions, most = row.gauge("sessions"), row.gauge("max_connections")
    others = ("ssl", "autovacuum_workers", "parallel_workers", "walsenders")
    line: tuple[Value, ...] = (
        sessions, most, ratio(sessions, most), *(row.gauge(name) for name in others)
    )  # fmt: skip
    return Section("connections_now", "Connections at the end", columns, (line,))


def _activity(period: Period, limit: int) -> Section:
    columns = (
        Column("user", "user", "text"), Column("application", "application", "text"),
        Column("state", "state", "text"), Column("sessions", "sessions", bar=True),
        Column("longest_transaction_us", "oldest transaction", "us"),
    )  # fmt: skip
    sessions: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    oldest: dict[tuple[str, str, str], int] = {}
    for row in period.rows("activity"):
        database, user, application, state, _ = map(str, row.key)
        if period.database and database != period.database:
            continue
        key = (user, application, state)
        sessions[key] += row.gauge("sessions") or 0
        oldest[key] = max(oldest.get(key, 0), row.gauge("longest_transaction_us") or 0)
    lines: list[tuple[Value, ...]] = [
        (*key, count, oldest[key] or None) for key, count in sessions.items()
    ]
    section = Section("activity", "Sessions at the end", columns, ())
    return top(section, lines, "sessions", limit)


def _horizon(period: Period, limit: int) -> Section:
    columns = (
        Column("holder", "held by", "text"), Column("name", "which", "text"),
        Column("xid_age", "transactions ago", bar=True), Column("held_us", "for", "us"),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (str(row.key[0]), str(row.labels.get("name") or ""), row.gauge("xid_age"),
         row.gauge("held_us"))
        for row in period.rows("xmin_horizon")
    ]  # fmt: skip
    intro = "Dead rows that are younger than the oldest of these cannot be removed."
    section = Section("xmin_horizon", "What holds vacuum back, at the end", columns, (), intro)
    return top(section, lines, "xid_age", limit)


def _replication(period: Period, limit: int) -> Section:
    columns = (
        Column("name", "standby", "text"), Column("state", "state", "text"),
        Column("sync_state", "sync", "text", least=1),
        Column("replay_lag_bytes", "behind", "bytes", bar=True),
        Column("replay_lag_us", "behind", "us"), Column("flush_lag_us", "flush", "us", least=2),
        Column("slot", "slot", "text", least=3),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            str(row.labels.get("application_name") or row.key[0]), str(row.labels.get("state")),
            str(row.labels.get("sync_state")), row.gauge("replay_lag_bytes"),
            row.gauge("replay_lag_us"), row.gauge("flush_lag_us"),
            str(row.labels.get("slot_name") or ""),
        )
        for row in period.rows("replication")
    ]  # fmt: skip
    section = Section("replication", "Standbys at the end", columns, ())
    return top(section, lines, "replay_lag_bytes", limit, -1)


def _slots(period: Period, limit: int) -> Section:
    columns = (
        Column("slot", "slot", "text"), Column("type", "type", "text", least=1),
        Column("active", "active", "text"), Column("wal_status", "WAL", "text"),
        Column("retained_bytes", "retains", "bytes", bar=True),
        Column("growth_bytes", "growth", "bytes"),
        Column("inactive_since_at", "inactive since", "at", least=2),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            str(row.key[0]), str(row.labels.get("slot_type") or ""),
            "yes" if row.gauge("active") else "no", str(row.labels.get("wal_status") or ""),
            row.gauge("retained_bytes"), row.growth("retained_bytes"),
            row.gauge("inactive_since_at"),
        )
        for row in period.rows("replication_slots")
    ]  # fmt: skip
    section = Section("replication_slots", "Replication slots at the end", columns, ())
    return top(section, lines, "retained_bytes", limit, -1)


def _subscriptions(period: Period, limit: int) -> Section:
    columns = (
        Column("subscription", "subscription", "text"), Column("errors", "errors", bar=True),
        Column("workers", "workers"), Column("lag_bytes", "behind", "bytes"),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (str(row.labels.get("subname") or row.key[0]),
         row.n("apply_error_count") + row.n("sync_error_count"), row.gauge("workers"),
         row.gauge("lag_bytes"))
        for row in period.rows("subscriptions")
    ]  # fmt: skip
    return top(Section("subscriptions", "Subscriptions", columns, ()), lines, "errors", limit, -1)
