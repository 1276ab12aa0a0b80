"""Builds a report of a period, and of earlier ones that it is compared with. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dbopt.sql.fingerprint import fingerprint_int
from dbopt.stats.report.compare import Comparison, new_section, slower_section
from dbopt.stats.report.coverage import changes_group, notes, unseen
from dbopt.stats.report.load import Load, load_group
from dbopt.stats.report.model import Group, Report
from dbopt.stats.report.numbers import count, duration, number, share, size
from dbopt.stats.report.period import Period
from dbopt.stats.report.relations import relations_group
from dbopt.stats.report.server import server_group
from dbopt.stats.report.sessions import sessions_group
from dbopt.stats.report.statements import Statements, statement_sections
from dbopt.stats.report.summary import Known, summary, verdict
from dbopt.stats.report.sums import hit_ratio
from dbopt.stats.report.traced import traced_group

TOP = 15
MAX_TEXT = 2000
"""Characters of a statement that a report shows."""
NAME = 46
"""Characters of a statement's name in a chart or a sentence."""
Tile = tuple[str, str, str]


def fingerprints(periods: Iterable[Period]) -> set[int]:
    """Statements that a report of these periods may name: their texts are wanted."""
    found: set[int] = set()
    for period in periods:
        for source in ("statements", "traced"):
            found.update(period.moments.of(source))
        found.update(int(row.key[3]) for row in period.rows("waits"))
        for row in period.rows("blocking"):
            found.update((int(row.key[0]), int(row.key[1])))
        found.update(int(row.key[0]) for row in period.rows("repeated"))
    return found - {0}


def build(
    period: Period,
    server: str,
    comparisons: Sequence[Comparison] = (),
    texts: Mapping[int, str] | None = None,
    *,
    top: int = TOP,
    cpus: int = 0,
) -> Report:
    """The report of `period`; `texts` are redacted statements by fingerprint.

    At most `top` lines of each table. `cpus` of the server, 0: unknown.
    """
    texts = texts or {}
    names = {number: short(text) for number, text in texts.items() if text}
    load, statements = Load(period), Statements(period)
    known = Known(period, load, statements, comparisons, names, cpus)
    remarks = summary(known)
    groups = (
        load_group(period, load, top, cpus, names),
        _statement_group(statements, comparisons, top),
        traced_group(period, top),
        relations_group(period, top),
        server_group(period, top),
        sessions_group(period, top),
        changes_group(period, top * 4),
    )
    shown = tuple(group for group in groups if group.charts or group.sections)
    return Report(
        server, period.database, period.since, period.until, verdict(remarks, known), remarks,
        tuple(_tiles(period, load, statements)), shown, notes(period), unseen(period),
        _texts(shown, texts), period.timeline.step,
    )  # fmt: skip


def _statement_group(
    statements: Statements, comparisons: Sequence[Comparison], limit: int
) -> Group:
    changed = [slower_section(comparison, limit) for comparison in comparisons]
    changed += [new_section(comparison, limit) for comparison in comparisons[:1]]
    sections = [section for section in changed if section.rows]
    sections += statement_sections(statements, limit)
    return Group("statements", "Statements", (), tuple(sections))


def _texts(groups: Iterable[Group], texts: Mapping[int, str]) -> dict[str, str]:
    """The texts of the statements that the report names."""
    named = {
        str(row[at])
        for group in groups
        for section in group.sections
        for at, column in enumerate(section.columns)
        if column.unit == "statement"
        for row in section.rows
        if row[at]
    }
    found = {digits: texts.get(fingerprint_int(digits), "") for digits in sorted(named)}
    return {digits: _cut(text) for digits, text in found.items() if text}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def short(text: str) -> str:
    """A statement in few words: its beginning, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= NAME else line[: NAME - 1].rstrip() + "…"


def _tiles(period: Period, load: Load, statements: Statements) -> Iterator[Tile]:
    if load.samples:
        largest = next(iter(load.classes().items()), None)
        note = f"most of it {largest[0]}" if largest else "nothing ran"
        yield ("average active sessions", number(load.total), note)
    yield from _throughput(period, statements)
    rows = period.rows("database")
    hit = hit_ratio(sum(r.n("blks_hit") for r in rows), sum(r.n("blks_read") for r in rows))
    if hit is not None:
        temp = sum(row.n("temp_bytes") for row in rows)
        yield ("cache hit", share(hit), f"{size(temp)} of temporary files")
    wal = period.one("wal")
    if wal is not None and wal.get("wal_bytes") is not None:
        yield ("WAL", size(wal.n("wal_bytes")), f"{count(wal.n('wal_fpi'))} full pages")


def _throughput(period: Period, statements: Statements) -> Iterator[Tile]:
    seconds = period.covered("database")
    if seconds:
        rows = period.rows("database")
        done = sum(row.n("xact_commit") + row.n("xact_rollback") for row in rows)
        undone = sum(row.n("xact_rollback") for row in rows)
        yield ("transactions", f"{number(done / seconds)}/s", f"{share(undone / done)} rolled back"
               if done else "none")  # fmt: skip
    calls = sum(sums.get("calls", 0) for sums in statements.of.values())
    if calls:
        yield ("mean statement", duration(statements.total_us / calls), f"{count(calls)} calls")
    traced = period.rows("traced")
    errors = sum(row.n("errors") for row in traced)
    through = sum(row.n("calls") for row in traced)
    if through:
        mean = sum(row.n("total_us") for row in traced) / through
        yield ("as clients see it", duration(mean), f"{count(errors)} errors")
