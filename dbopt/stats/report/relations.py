"""Tables, indexes, functions and sequences: how they were used, what they cost. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from dbopt.stats.report.model import Column, Group, Section, Value, top
from dbopt.stats.report.period import Period, Row
from dbopt.stats.report.statements import BLOCK
from dbopt.stats.report.sums import hit_ratio, ratio

TABLE = Column("table", "table", "text")
INDEX = Column("index", "index", "text")
_MILLION = 1e6
MIN_DEAD = 1000


def relations_group(period: Period, limit: int) -> Group:
    """The tables of tables and indexes."""
    sections = (
        _scans(period, limit), _writes(period, limit), _vacuum(period, limit),
        _sizes(period, limit), _table_cache(period, limit), _indexes(period, limit),
        _unused(period, limit), _index_sizes(period, limit), _functions(period, limit),
        _sequences(period, limit),
    )  # fmt: skip
    return Group(
        "relations",
        "Tables and indexes",
        (),
        tuple(section for section in sections if section.rows),
    )


def name_of(row: Row, name: str = "relname") -> str:
    """schema.name, of a table, or of an index or function by the label `name`."""
    labels = row.labels
    if name not in labels:
        return f"oid {row.key[0]}"
    return f"{labels.get('schemaname', '?')}.{labels[name]}"


def by_key(rows: Iterable[Row]) -> dict[tuple[str, object], Row]:
    """The rows of a view by database and oid, to be joined with another view's."""
    return {(row.database, row.key[0]): row for row in rows}


def _scans(period: Period, limit: int) -> Section:
    columns = (
        TABLE, Column("seq_scan", "seq scans"), Column("seq_tup_read", "rows read so", bar=True),
        Column("rows_per_scan", "rows/scan", "number", least=1), Column("idx_scan", "index scans"),
        Column("idx_share", "by index", "share", least=1),
        Column("n_live_tup", "rows", least=2),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            name_of(row), row.get("seq_scan"), row.get("seq_tup_read"),
            ratio(row.get("seq_tup_read"), row.get("seq_scan")), row.get("idx_scan"),
            ratio(row.get("idx_scan"), row.n("idx_scan") + row.n("seq_scan")),
            row.gauge("n_live_tup"),
        )
        for row in period.rows("tables")
    ]  # fmt: skip
    section = Section("table_scans", "Tables by rows read in sequential scans", columns, ())
    return top(section, lines, "seq_tup_read", limit)


def _writes(period: Period, limit: int) -> Section:
    columns = (
        TABLE, Column("written", "rows written", bar=True), Column("n_tup_ins", "inserted"),
        Column("n_tup_upd", "updated"), Column("n_tup_del", "deleted"),
        Column("hot_ratio", "HOT", "share"), Column("newpage_ratio", "new page", "share", least=2),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            name_of(row), row.n("n_tup_ins") + row.n("n_tup_upd") + row.n("n_tup_del"),
            row.get("n_tup_ins"), row.get("n_tup_upd"), row.get("n_tup_del"),
            ratio(row.get("n_tup_hot_upd"), row.get("n_tup_upd")),
            ratio(row.get("n_tup_newpage_upd"), row.get("n_tup_upd")),
        )
        for row in period.rows("tables")
    ]  # fmt: skip
    intro = "HOT: updates that touched no index. New page: those whose row moved to another one."
    section = Section("table_writes", "Tables by rows written", columns, (), intro)
    return top(section, lines, "written", limit)


def _vacuum(period: Period, limit: int) -> Section:
    columns = (
        TABLE, Column("n_dead_tup", "dead rows", bar=True), Column("dead_ratio", "dead", "share"),
        Column("vacuums", "vacuums"), Column("analyzes", "analyzes", least=1),
        Column("last_vacuum_at", "last vacuum", "at"),
        Column("last_analyze_at", "last analyze", "at", least=2),
        Column("n_mod_since_analyze", "changed since analyze", least=3),
        Column("xid_age", "xid age", least=4),
    )  # fmt: skip
    storage = by_key(period.rows("table_storage"))
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("tables"):
        stored = storage.get((row.database, row.key[0]))
        live, dead = row.gauge("n_live_tup"), row.gauge("n_dead_tup")
        lines.append(
            (
                name_of(row), dead, ratio(dead, (live or 0) + (dead or 0)),
                row.n("vacuum_count") + row.n("autovacuum_count"),
                row.n("analyze_count") + row.n("autoanalyze_count"),
                latest(row, "last_vacuum_at", "last_autovacuum_at"),
                latest(row, "last_analyze_at", "last_autoanalyze_at"),
                row.gauge("n_mod_since_analyze"), stored.gauge("xid_age") if stored else None,
            )
        )  # fmt: skip
    section = Section("table_vacuum", "Tables by dead rows; vacuum and analyze", columns, ())
    return top(section, lines, "n_dead_tup", limit)


def latest(row: Row, *names: str) -> int | None:
    """The latest of some moments; None where none of them is known."""
    return max((at for name in names if (at := row.gauge(name)) is not None), default=None)


def _sizes(period: Period, limit: int) -> Section:
    columns = (
        TABLE, Column("total_bytes", "size", "bytes", bar=True),
        Column("growth_bytes", "growth", "bytes"), Column("table_bytes", "table", "bytes", least=2),
        Column("indexes_bytes", "indexes", "bytes", least=1),
        Column("toast_bytes", "TOAST", "bytes", least=3),
        Column("bloat_bytes", "bloat, about", "bytes"), Column("bloat", "bloat", "share", least=2),
    )  # fmt: skip
    bloat = by_key(period.rows("table_bloat"))
    parts = ("table_bytes", "indexes_bytes", "toast_bytes")
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("table_storage"):
        found = bloat.get((row.database, row.key[0]))
        ppm = found.gauge("bloat_ppm") if found else None
        grown = [row.growth(part) for part in parts]
        lines.append(
            (
                name_of(row), sum(row.gauge(part) or 0 for part in parts),
                None if grown[0] is None else sum(growth or 0 for growth in grown),
                *(row.gauge(part) for part in parts),
                found.gauge("bloat_bytes") if found else None,
                None if ppm is None else ppm / _MILLION,
            )
        )  # fmt: skip
    intro = "Bloat is estimated from pg_stats; pgstattuple_approx() measures it."
    section = Section("table_sizes", "Tables by size", columns, (), intro)
    return top(section, lines, "total_bytes", limit)


def _table_cache(period: Period, limit: int) -> Section:
    columns = (
        TABLE, Column("read_bytes", "read", "bytes", bar=True), Column("hit_ratio", "hit", "share"),
        Column("idx_read_bytes", "indexes read", "bytes"),
        Column("idx_hit_ratio", "indexes hit", "share", least=1),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (
            name_of(row), _blocks(row, "heap_blks_read"),
            hit_ratio(row.get("heap_blks_hit"), row.get("heap_blks_read")),
            _blocks(row, "idx_blks_read"),
            hit_ratio(row.get("idx_blks_hit"), row.get("idx_blks_read")),
        )
        for row in period.rows("tables")
    ]  # fmt: skip
    section = Section("table_cache", "Tables by blocks read into the cache", columns, ())
    return top(section, lines, "read_bytes", limit)


def _blocks(row: Row, name: str) -> int | None:
    found = row.get(name)
    return None if found is None else found * BLOCK


def _indexes(period: Period, limit: int) -> Section:
    columns = (
        INDEX, Column("table", "table", "text", least=1), Column("idx_scan", "scans", bar=True),
        Column("idx_tup_read", "entries"), Column("idx_tup_fetch", "rows", least=2),
        Column("hit_ratio", "hit", "share", least=3), Column("index_bytes", "size", "bytes"),
    )  # fmt: skip
    storage = by_key(period.rows("index_storage"))
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("indexes"):
        stored = storage.get((row.database, row.key[0]))
        lines.append(
            (
                name_of(row, "indexrelname"), str(row.labels.get("relname", "")),
                row.get("idx_scan"), row.get("idx_tup_read"), row.get("idx_tup_fetch"),
                hit_ratio(row.get("idx_blks_hit"), row.get("idx_blks_read")),
                stored.gauge("index_bytes") if stored else None,
            )
        )  # fmt: skip
    return top(Section("index_scans", "Indexes by scans", columns, ()), lines, "idx_scan", limit)


def _unused(period: Period, limit: int) -> Section:
    columns = (
        INDEX, Column("table", "table", "text"), Column("index_bytes", "size", "bytes", bar=True),
        Column("last_idx_scan_at", "last scan", "at", least=1),
    )  # fmt: skip
    storage = by_key(period.rows("index_storage"))
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("indexes"):
        stored = storage.get((row.database, row.key[0]))
        if row.get("idx_scan") == 0 and stored is not None:
            name, table = name_of(row, "indexrelname"), str(row.labels.get("relname", ""))
            size = stored.gauge("index_bytes")
            lines.append((name, table, size, row.gauge("last_idx_scan_at")))
    intro = (
        "Not one scan in this period, on this server. Constraints need theirs all the same, and a "
        "replica may use it: `dbopt index audit` looks at that."
    )
    section = Section("indexes_unused", "Indexes that nothing scanned", columns, (), intro)
    return top(section, lines, "index_bytes", limit)


def _index_sizes(period: Period, limit: int) -> Section:
    columns = (
        INDEX, Column("table", "table", "text", least=1),
        Column("index_bytes", "size", "bytes"), Column("growth_bytes", "growth", "bytes", bar=True),
        Column("bloat_bytes", "bloat, about", "bytes", least=2),
    )  # fmt: skip
    bloat = by_key(period.rows("index_bloat"))
    lines: list[tuple[Value, ...]] = []
    for row in period.rows("index_storage"):
        found = bloat.get((row.database, row.key[0]))
        lines.append(
            (
                name_of(row, "indexrelname"), str(row.labels.get("relname", "")),
                row.gauge("index_bytes"), row.growth("index_bytes"),
                found.gauge("bloat_bytes") if found else None,
            )
        )  # fmt: skip
    section = Section("index_growth", "Indexes by growth", columns, ())
    return top(section, lines, "growth_bytes", limit)


def _functions(period: Period, limit: int) -> Section:
    columns = (
        Column("function", "function", "text"), Column("total_us", "total", "us", bar=True),
        Column("self_us", "in itself", "us"), Column("calls", "calls"),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (name_of(row, "funcname"), row.get("total_us"), row.get("self_us"), row.get("calls"))
        for row in period.rows("functions")
    ]
    return top(Section("functions", "Functions", columns, ()), lines, "total_us", limit)


def _sequences(period: Period, limit: int) -> Section:
    columns = (
        Column("sequence", "sequence", "text"), Column("used", "used", "share", bar=True),
        Column("last_value", "last value"), Column("growth", "in this period", least=1),
    )  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (name_of(row), None if (ppm := row.gauge("used_ppm")) is None else ppm / _MILLION,
         row.gauge("last_value"), row.growth("last_value"))
        for row in period.rows("sequences")
    ]  # fmt: skip
    section = Section("sequences", "Sequences by how much of them is used", columns, ())
    return top(section, lines, "used", limit, 0.01)
