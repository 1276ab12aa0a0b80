"""The report on a period: from a difference to what a person wants to know. PURE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dbopt.sql.findings import Finding
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.stats.diff import Change, Delta, Diff, ViewDiff

TOP = 20
MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Period:
    """What is reported on. `seconds` is what rates are of: since a reset, if there was one."""

    server: str
    database: str
    version: str
    start: datetime
    end: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class DatabaseTotals:
    """The whole database in the period. Ratios are 0 to 1, None where nothing was counted."""

    tps: float
    commits: int
    rollbacks: int
    rollback_ratio: float | None
    hit_ratio: float | None
    read_ms: float | None
    write_ms: float | None
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    backends: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One statement, whatever its role. `share` is of all top-level statements' time.

    `nested`: called by a function, so that its time is in its caller's too. `max_ms` is since
    the statement's counters began, not the period's.
    """

    fingerprint: str
    text: str
    calls: int
    total_ms: float
    mean_ms: float
    max_ms: float
    share: float | None
    rows: int
    hit_ratio: float | None
    nested: bool
    change: str


@dataclass(frozen=True, slots=True)
class TableLine:
    """One table. `seq_rows` were read by sequential scans; `live`, `dead` are of the end."""

    schema: str
    name: str
    seq_scans: int
    seq_rows: int
    idx_scans: int
    idx_rows: int
    inserted: int
    updated: int
    hot_updated: int
    deleted: int
    live: int
    dead: int
    bytes: int | None
    change: str


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One index: its scans in the period and its size at the end."""

    schema: str
    table: str
    name: str
    scans: int
    rows: int
    bytes: int | None
    change: str


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """Sessions at the end of the period, by state and what they wait for."""

    state: str
    wait: str
    sessions: int
    longest_transaction_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A period's report. `notes` say what limits it; `findings` what could not be examined."""

    period: Period
    database: DatabaseTotals | None
    statements: tuple[StatementLine, ...]
    tables: tuple[TableLine, ...]
    indexes: tuple[IndexLine, ...]
    activity: tuple[ActivityLine, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready types; times are ISO 8601."""
        document = asdict(self)
        for name in ("start", "end"):
            document["period"][name] = document["period"][name].isoformat()
        document["findings"] = [finding.to_dict() for finding in self.findings]
        return document


def build(change: Diff, top: int = TOP) -> Report:
    """The report on a difference; at most `top` lines of statements, tables and indexes."""
    views, period = change.views, _period(change)
    return Report(
        period=period,
        database=_database(_known(views, "database"), period.seconds),
        statements=_statements(_known(views, "statements"), change.texts)[:top],
        tables=_tables(_known(views, "tables"))[:top],
        indexes=_indexes(_known(views, "indexes"))[:top],
        activity=_activity(_known(views, "activity")),
        notes=_notes(change),
        findings=change.after.findings,
    )


def _known(views: Mapping[str, ViewDiff], name: str) -> tuple[Delta, ...]:
    return views[name].known if name in views else ()


def _period(change: Diff) -> Period:
    old, new = change.before, change.after
    seconds, reset = change.seconds, new.stats_reset
    database = change.views.get("database")
    if database and database.reset and reset and old.taken_at < reset < new.taken_at:
        seconds = (new.taken_at - reset).total_seconds()
    version = f"{new.version_num // 10000}.{new.version_num % 10000}"
    return Period(new.server, new.database, version, old.taken_at, new.taken_at, seconds)


def _database(deltas: tuple[Delta, ...], seconds: float) -> DatabaseTotals | None:
    if not deltas:
        return None
    grown = deltas[0].grown
    commits, rollbacks = _int(grown, "xact_commit"), _int(grown, "xact_rollback")
    return DatabaseTotals(
        tps=(commits + rollbacks) / seconds,
        commits=commits,
        rollbacks=rollbacks,
        rollback_ratio=_ratio(rollbacks, commits),
        hit_ratio=_ratio(grown["blks_hit"], grown["blks_read"]),
        read_ms=grown["blk_read_ms"],
        write_ms=grown["blk_write_ms"],
        rows_inserted=_int(grown, "tup_inserted"),
        rows_updated=_int(grown, "tup_updated"),
        rows_deleted=_int(grown, "tup_deleted"),
        temp_files=_int(grown, "temp_files"),
        temp_bytes=_int(grown, "temp_bytes"),
        deadlocks=_int(grown, "deadlocks"),
        backends=deltas[0].gauges["numbackends"] or 0,
    )


def _statements(deltas: Iterable[Delta], texts: Mapping[int, str]) -> tuple[StatementLine, ...]:
    groups: defaultdict[tuple[int, bool], list[Delta]] = defaultdict(list)
    for delta in deltas:
        if delta.grown["calls"]:
            key = (delta.labels["fingerprint"], not delta.labels["toplevel"])
            groups[key].append(delta)
    whole = sum(_sum(group, "total_ms") for (_, nested), group in groups.items() if not nested)
    lines = [
        _statement(number, nested, group, texts.get(number, ""), whole)
        for (number, nested), group in groups.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.total_ms, line.fingerprint)))


def _statement(
    number: int, nested: bool, group: list[Delta], text: str, whole: float
) -> StatementLine:
    calls, total = int(_sum(group, "calls")), _sum(group, "total_ms")
    return StatementLine(
        fingerprint=fingerprint_hex(number),
        text=one_line(text),
        calls=calls,
        total_ms=total,
        mean_ms=total / calls,
        max_ms=max(delta.gauges["max_ms"] or 0.0 for delta in group),
        share=None if nested or not whole else total / whole,
        rows=int(_sum(group, "rows")),
        hit_ratio=_ratio(_sum(group, "shared_blks_hit"), _sum(group, "shared_blks_read")),
        nested=nested,
        change=_worst(group),
    )


def _tables(deltas: Iterable[Delta]) -> tuple[TableLine, ...]:
    lines = [
        TableLine(
            schema=delta.labels["schema"],
            name=delta.labels["name"],
            seq_scans=_int(delta.grown, "seq_scan"),
            seq_rows=_int(delta.grown, "seq_tup_read"),
            idx_scans=_int(delta.grown, "idx_scan"),
            idx_rows=_int(delta.grown, "idx_tup_fetch"),
            inserted=_int(delta.grown, "n_tup_ins"),
            updated=_int(delta.grown, "n_tup_upd"),
            hot_updated=_int(delta.grown, "n_tup_hot_upd"),
            deleted=_int(delta.grown, "n_tup_del"),
            live=delta.gauges["n_live_tup"] or 0,
            dead=delta.gauges["n_dead_tup"] or 0,
            bytes=delta.gauges["bytes"],
            change=delta.change.value,
        )
        for delta in deltas
        if any(delta.grown.values())
    ]
    return tuple(sorted(lines, key=lambda t: (-_moved_rows(t), t.schema, t.name)))


def _moved_rows(table: TableLine) -> int:
    written = table.inserted + table.updated + table.deleted
    return table.seq_rows + table.idx_rows + written


def _indexes(deltas: Iterable[Delta]) -> tuple[IndexLine, ...]:
    lines = [
        IndexLine(
            schema=delta.labels["schema"],
            table=delta.labels["table"],
            name=delta.labels["name"],
            scans=_int(delta.grown, "idx_scan"),
            rows=_int(delta.grown, "idx_tup_read"),
            bytes=delta.gauges["bytes"],
            change=delta.change.value,
        )
        for delta in deltas
    ]
    return tuple(sorted(lines, key=lambda i: (-i.scans, -(i.bytes or 0), i.schema, i.name)))


def _activity(deltas: Iterable[Delta]) -> tuple[ActivityLine, ...]:
    lines = [
        ActivityLine(
            delta.labels["state"],
            delta.labels["wait_event_type"],
            delta.gauges["sessions"],
            delta.gauges["longest_transaction_s"],
        )
        for delta in deltas
    ]
    return tuple(sorted(lines, key=lambda a: (-a.sessions, a.state, a.wait)))


def _notes(change: Diff) -> tuple[str, ...]:
    notes = []
    for name, view in change.views.items():
        if view.reset:
            notes.append(f"The counters of {name} were reset in this period: figures since then.")
        unknown = len(view.deltas) - len(view.known)
        if unknown:
            notes.append(f"{unknown} of {name} are left out: the first snapshot had not seen them.")
    old, new = change.before.statements_dealloc, change.after.statements_dealloc
    if old is not None and new is not None and new > old:
        notes.append(
            f"pg_stat_statements evicted entries {new - old} times: some statements are missing. "
            "Raise pg_stat_statements.max."
        )
    return tuple(notes)


def one_line(text: str) -> str:
    """The text on one line of at most MAX_TEXT characters."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"


def _worst(group: Iterable[Delta]) -> str:
    changes = {delta.change for delta in group}
    order = (Change.RESET, Change.NEW, Change.SAME)
    return next(change for change in order if change in changes).value


def _sum(group: Iterable[Delta], name: str) -> float:
    return sum(delta.grown[name] or 0 for delta in group)


def _int(grown: Mapping[str, int | float | None], name: str) -> int:
    return int(grown[name] or 0)


def _ratio(part: float | None, rest: float | None) -> float | None:
    if part is None or rest is None or not part + rest:
        return None
    return part / (part + rest)
