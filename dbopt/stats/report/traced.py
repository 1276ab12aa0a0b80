"""What the gateway saw: statements by route, user and application; transactions; N+1. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from dbopt.stats.report.model import Chart, Column, Group, Section, Series, Value, top
from dbopt.stats.report.period import Period, Row
from dbopt.stats.report.statements import CALLS, STATEMENT
from dbopt.stats.report.sums import Sum, hexed, ratio, summed

TRACED = ("fingerprint", "database", "user", "application", "route")
SCOPE = ("database", "user", "application", "route")
NONE = "(none)"
K = TypeVar("K", str, int)
_TIMES = (
    Column("total_us", "total", "us", bar=True), Column("share", "share", "share"), CALLS,
    Column("mean_us", "mean", "us"), Column("queue_us", "queued", "us", least=2),
    Column("transfer_us", "transfer", "us", least=4), Column("rows", "rows", least=3),
    Column("errors", "errors", least=1), Column("sent_bytes", "sent", "bytes", least=5),
)  # fmt: skip


def traced_group(period: Period, limit: int) -> Group:
    """Charts of latency and throughput, and the tables of what clients did."""
    rows = [row for row in period.rows("traced") if _wanted(period, row.key[1])]
    charts = _charts(period) if rows else ()
    sections = [
        _by(rows, limit, "route", "Routes", 4),
        _by(rows, limit, "user", "Users", 2),
        _by(rows, limit, "application", "Applications", 3),
        _statements(rows, limit),
        _transactions(period, limit),
        _repeated(period, limit),
        _pools(period, limit),
    ]
    found = tuple(section for section in sections if section.rows)
    return Group("clients", "Clients", charts, found)


def _wanted(period: Period, database: object) -> bool:
    return not period.database or database == period.database


def _charts(period: Period) -> tuple[Chart, ...]:
    timeline, sums = period.timeline, period.timeline.sums
    calls = sums["traced_calls"]
    latency = (
        Series("mean", timeline.values(sums["traced_total_us"], calls)),
        Series("95th percentile", timeline.values(sums["traced_p95_us"], calls)),
        Series("queued", timeline.values(sums["traced_queue_us"], calls)),
    )
    # A minute in which nothing came through has no frame: the server's tell how long it was.
    seconds = sums["database_seconds"] or sums["traced_seconds"]
    rates = (
        Series("statements", timeline.values(calls, seconds)),
        Series("errors", timeline.values(sums["traced_errors"], seconds)),
    )
    at = (timeline.step, timeline.times)
    shown = tuple(series for series in latency if any(series.values))
    return (
        Chart("latency", "Time of a statement, as clients see it", "us", *at, shown),
        Chart("throughput", "Statements a second through the gateway", "rate", *at, rates),
    )


def _by(rows: list[Row], limit: int, name: str, title: str, place: int) -> Section:
    found = summed(rows, lambda row: str(row.key[place]) or NONE)
    if set(found) <= {NONE}:
        found = {}
    section = Section(f"{name}s", title, (Column(name, name, "text"), *_TIMES), ())
    return top(section, _lines(found, str), "total_us", limit)


def _statements(rows: list[Row], limit: int) -> Section:
    found = summed(rows, lambda row: int(row.key[0]))
    section = Section("traced_statements", "Statements, as clients see them",
                      (STATEMENT, *_TIMES), ())  # fmt: skip
    return top(section, _lines(found, hexed), "total_us", limit)


def _lines(found: Mapping[K, Sum], name: Callable[[K], str]) -> list[tuple[Value, ...]]:
    whole = sum(sums.get("total_us", 0) for sums in found.values())
    return [
        (
            name(key), sums.get("total_us"), ratio(sums.get("total_us"), whole), sums.get("calls"),
            ratio(sums.get("total_us"), sums.get("calls")), sums.get("queue_us"),
            sums.get("transfer_us"), sums.get("rows"), sums.get("errors"), sums.get("sent_bytes"),
        )
        for key, sums in found.items()
    ]  # fmt: skip


def _transactions(period: Period, limit: int) -> Section:
    rows = [row for row in period.rows("transactions") if _wanted(period, row.key[0])]
    columns = (
        Column("route", "route", "text"), Column("user", "user", "text", least=2),
        Column("application", "application", "text", least=3),
        Column("total_us", "total", "us", bar=True), Column("transactions", "transactions"),
        Column("mean_us", "mean", "us"), Column("idle_share", "idle in it", "share"),
        Column("statements_per_transaction", "statements each", "number", least=1),
        Column("failed", "rolled back", least=1), Column("max_us", "longest", "us", least=2),
    )  # fmt: skip
    longest = {row.key: row.gauge("max_us") for row in rows}
    lines: list[tuple[Value, ...]] = []
    for key, sums in summed(rows, lambda row: row.key).items():
        count = sums.get("transactions")
        _, user, application, route = map(str, key)
        lines.append(
            (
                route or NONE, user, application or NONE, sums.get("total_us"), count,
                ratio(sums.get("total_us"), count),
                ratio(sums.get("idle_us"), sums.get("total_us")),
                ratio(sums.get("statements"), count), sums.get("failed"), longest.get(key),
            )
        )  # fmt: skip
    intro = "Explicit transactions alone. Longest: of the last minute that had any."
    section = Section("transactions", "Transactions", columns, (), intro)
    return top(section, lines, "total_us", limit)


def _repeated(period: Period, limit: int) -> Section:
    rows = [row for row in period.rows("repeated") if _wanted(period, row.key[1])]
    columns = (
        STATEMENT, Column("route", "route", "text"), Column("user", "user", "text", least=2),
        Column("transactions", "transactions"), Column("calls", "calls", bar=True),
        Column("per_transaction", "in each", "number"), Column("most", "most", least=1),
    )  # fmt: skip
    most: dict[tuple[int, str, str], int] = {}
    for row in rows:
        key = _repeated_key(row)
        most[key] = max(most.get(key, 0), row.gauge("most") or 0)
    lines: list[tuple[Value, ...]] = [
        (
            hexed(key[0]), key[1] or NONE, key[2], sums.get("transactions"), sums.get("calls"),
            ratio(sums.get("calls"), sums.get("transactions")), most[key] or None,
        )
        for key, sums in summed(rows, _repeated_key).items()
    ]  # fmt: skip
    intro = "The same statement again and again in one transaction: ask once, with a list."
    section = Section("n_plus_one", "N+1: statements that repeat", columns, (), intro)
    return top(section, lines, "calls", limit)


def _repeated_key(row: Row) -> tuple[int, str, str]:
    return int(row.key[0]), str(row.key[4]), str(row.key[2])


def _pools(period: Period, limit: int) -> Section:
    columns = (
        Column("database", "database", "text"), Column("user", "user", "text"),
        Column("transactions", "transactions", bar=True), Column("queries", "queries"),
        Column("wait_us", "waited in all", "us"), Column("maxwait_us", "waits now", "us", least=2),
        Column("sv_active", "sv_active", least=1), Column("sv_idle", "sv_idle", least=1),
        Column("cl_waiting", "cl_waiting", least=1),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            str(row.key[0]), str(row.key[1]),
            row.get("xact"), row.get("query"), row.get("wait_us"),
            row.gauge("maxwait_us"), row.gauge("sv_active"), row.gauge("sv_idle"),
            row.gauge("cl_waiting"),
        )
        for row in period.rows("pools")
        if _wanted(period, row.key[0])
    ]  # fmt: skip
    section = Section("pools", "Pools", columns, (), "Backends and waiting clients at the end.")
    return top(section, lines, "transactions", limit)
