"""The server: databases, checkpoints, WAL, I/O by kind of backend, replication. PURE."""

from __future__ import annotations

from dbopt.stats.report.model import Chart, Column, Group, Section, Series, Value, top
from dbopt.stats.report.period import Period
from dbopt.stats.report.sums import hit_ratio, ratio
from dbopt.stats.report.timeline import Sums


def server_group(period: Period, limit: int) -> Group:
    """Charts of throughput, cache and WAL, and the tables of the whole server."""
    sections = (
        _databases(period, limit), _checkpoints(period), _wal(period), _io(period, limit),
        _slru(period, limit),
    )  # fmt: skip
    shown = tuple(section for section in sections if section.rows)
    return Group("server", "Server", _charts(period), shown)


def _charts(period: Period) -> tuple[Chart, ...]:
    timeline, sums = period.timeline, period.timeline.sums
    at = (timeline.step, timeline.times)
    seconds = sums["database_seconds"]
    blocks: Sums = Sums(float, sums["blks_hit"])
    for place, value in sums["blks_read"].items():
        blocks[place] += value
    charts = (
        Chart("transactions_per_second", "Transactions a second", "rate", *at, (
            Series("commits", timeline.values(sums["xact_commit"], seconds)),
            Series("rollbacks", timeline.values(sums["xact_rollback"], seconds)),
        )),
        Chart("statement_time", "Mean time of a statement, on the server", "us", *at, (
            Series("mean", timeline.values(sums["total_exec_us"], sums["calls"])),
        )),
        Chart("cache", "Buffer cache hit ratio", "share", *at, (
            Series("hit ratio", timeline.values(sums["blks_hit"], blocks)),
        )),
        Chart("wal_rate", "WAL a second", "bytes", *at, (
            Series("WAL", timeline.values(sums["wal_bytes"], sums["wal_seconds"])),
        )),
    )  # fmt: skip
    return tuple(c for c in charts if any(v for s in c.series for v in s.values if v is not None))


def _databases(period: Period, limit: int) -> Section:
    columns = (
        Column("database", "database", "text"),
        Column("transactions", "transactions", bar=True), Column("per_second", "a second", "rate"),
        Column("rollback_ratio", "rolled back", "share", least=2),
        Column("hit_ratio", "hit", "share"), Column("temp_bytes", "temp", "bytes", least=1),
        Column("deadlocks", "deadlocks", least=1), Column("conflicts", "conflicts", least=6),
        Column("sessions", "sessions", least=5), Column("size_bytes", "size", "bytes", least=3),
        Column("growth_bytes", "growth", "bytes", least=4),
        Column("xid_age", "xid age", least=7),
    )  # fmt: skip
    stored = {row.key: row for row in period.rows("database_storage")}
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("database"):
        storage = stored.get(row.key)
        done = row.n("xact_commit") + row.n("xact_rollback")
        lines.append(
            (
                str(row.labels.get("datname") or "(shared)"), done,
                ratio(done, period.covered("database")), ratio(row.get("xact_rollback"), done),
                hit_ratio(row.get("blks_hit"), row.get("blks_read")), row.get("temp_bytes"),
                row.get("deadlocks"), row.get("conflicts"), row.get("sessions"),
                storage.gauge("size_bytes") if storage else None,
                storage.growth("size_bytes") if storage else None,
                storage.gauge("xid_age") if storage else None,
            )
        )  # fmt: skip
    return top(Section("databases", "Databases", columns, ()), lines, "transactions", limit)


def _checkpoints(period: Period) -> Section:
    columns = (
        Column("num_timed", "by time"), Column("num_requested", "requested"),
        Column("interval_us", "one in", "us"), Column("buffers_written", "buffers"),
        Column("write_us", "writing", "us"), Column("sync_us", "syncing", "us"),
        Column("buffers_clean", "bgwriter", least=1),
        Column("maxwritten_clean", "its stops", least=3),
        Column("buffers_backend", "backends", least=2),
    )  # fmt: skip
    row, writer = period.one("checkpointer"), period.one("bgwriter")
    if row is None:
        return Section("checkpoints", "Checkpoints and buffers written", columns, ())
    count = row.n("num_timed") + row.n("num_requested")
    line: tuple[Value, ...] = (
        row.get("num_timed"), row.get("num_requested"),
        period.covered("checkpointer") * 1e6 / count if count else None,
        row.get("buffers_written"), row.get("write_us"), row.get("sync_us"),
        *(writer.get(name) if writer else None
          for name in ("buffers_clean", "maxwritten_clean", "buffers_backend")),
    )  # fmt: skip
    return Section("checkpoints", "Checkpoints and buffers written", columns, (line,))


def _wal(period: Period) -> Section:
    columns = (
        Column("wal_bytes", "WAL", "bytes"), Column("per_second", "a second", "bytes"),
        Column("wal_records", "records", least=1), Column("wal_fpi", "full pages"),
        Column("wal_buffers_full", "buffers full"),
        Column("wal_write_us", "writing", "us", least=2),
        Column("wal_sync_us", "syncing", "us", least=2),
        Column("archived", "archived", least=3), Column("failed", "archive failures", least=3),
    )  # fmt: skip
    row, archiver = period.one("wal"), period.one("archiver")
    if row is None:
        return Section("wal", "WAL", columns, ())
    line: tuple[Value, ...] = (
        row.get("wal_bytes"), ratio(row.get("wal_bytes"), period.covered("wal")),
        *(row.get(name) for name in
          ("wal_records", "wal_fpi", "wal_buffers_full", "wal_write_us", "wal_sync_us")),
        archiver.get("archived_count") if archiver else None,
        archiver.get("failed_count") if archiver else None,
    )  # fmt: skip
    return Section("wal", "WAL", columns, (line,))


def _io(period: Period, limit: int) -> Section:
    columns = (
        Column("backend_type", "backend", "text"), Column("object", "object", "text", least=3),
        Column("context", "context", "text"), Column("read_bytes", "read", "bytes", bar=True),
        Column("read_us", "reading", "us", least=1), Column("write_bytes", "written", "bytes"),
        Column("write_us", "writing", "us", least=2), Column("hits", "hits", least=4),
        Column("extends", "extends", least=6), Column("evictions", "evictions", least=5),
        Column("fsyncs", "fsyncs", least=7), Column("moved_bytes", "both", "bytes", least=8),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            *map(str, row.key), row.get("read_bytes"), row.get("read_us"), row.get("write_bytes"),
            row.get("write_us"), row.get("hits"), row.get("extends"), row.get("evictions"),
            row.get("fsyncs"), row.n("read_bytes") + row.n("write_bytes"),
        )
        for row in period.rows("io")
    ]  # fmt: skip
    section = Section("io", "I/O by kind of backend (pg_stat_io)", columns, ())
    return top(section, lines, "moved_bytes", limit)


def _slru(period: Period, limit: int) -> Section:
    columns = (
        Column("name", "cache", "text"), Column("blks_read", "blocks read", bar=True),
        Column("hit_ratio", "hit", "share"), Column("blks_written", "written"),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (str(row.key[0]), row.get("blks_read"),
         hit_ratio(row.get("blks_hit"), row.get("blks_read")), row.get("blks_written"))
        for row in period.rows("slru")
    ]  # fmt: skip
    return top(Section("slru", "SLRU caches", columns, ()), lines, "blks_read", limit)
