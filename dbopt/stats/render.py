"""A report as text: sections of cells, drawn for a terminal or written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.stats.report import DatabaseTotals, Report

UNKNOWN = "-"
"""Not measured, which is not zero."""
MARKDOWN_CELL = 120
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_|<>\[\]~#])")


@dataclass(frozen=True, slots=True)
class Section:
    """A table. A heading that begins with > is of figures, aligned right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def terminal(report: Report, console: Console) -> None:
    """Print the report. Nothing in it is read as markup."""
    console.print(Text(heading(report), style="bold"))
    for section in sections(report):
        console.print()
        console.print(_table(section))
    for line in remarks(report):
        console.print(Text(line, style="yellow"))


def _table(section: Section) -> Table:
    table = Table(title=Text(section.title, style="bold"), title_justify="left", box=None)
    for name in section.headings:
        # Figures are never cut: text gives way to them.
        if name.startswith(">"):
            table.add_column(name[1:], justify="right", no_wrap=True, min_width=len(name) - 1)
        else:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in section.rows:
        table.add_row(*map(Text, row))
    return table


def markdown(report: Report) -> str:
    """The report as Markdown, with GitHub's tables."""
    lines = [f"# {_escaped(heading(report))}"]
    for section in sections(report):
        lines += ["", f"## {section.title}", ""]
        lines.append(_line(name.removeprefix(">") for name in section.headings))
        lines.append(_line("--:" if name.startswith(">") else ":--" for name in section.headings))
        lines += [_line(map(_cell, row)) for row in section.rows]
    notes = remarks(report)
    if notes:
        lines += ["", "## Notes", "", *(f"- {_escaped(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return _escaped(text if len(text) <= MARKDOWN_CELL else text[: MARKDOWN_CELL - 1] + "…")


def _escaped(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def heading(report: Report) -> str:
    """One line: which database, from when, for how long."""
    period = report.period
    return (
        f"{period.database} on {period.server} (PostgreSQL {period.version}), "
        f"{period.start:%Y-%m-%d %H:%M:%S} to {period.end:%Y-%m-%d %H:%M:%S %Z}"
    )


def remarks(report: Report) -> list[str]:
    """What limits the report, a line each: notes, then what was not examined and its remedy."""
    unseen = [f"Not examined: {f.message} {f.remedy}".rstrip() for f in report.findings]
    return [*report.notes, *unseen]


def sections(report: Report) -> list[Section]:
    """The report's tables; those with nothing to show are left out."""
    found = [_statements(report), _tables(report), _indexes(report), _activity(report)]
    if report.database is not None:
        found.insert(0, _database(report.database, report.period.seconds))
    return [section for section in found if section.rows]


def _database(total: DatabaseTotals, seconds: float) -> Section:
    rows = (
        ("period", f"{seconds:,.1f} s"),
        ("transactions per second", f"{total.tps:,.1f}"),
        ("commits", f"{total.commits:,}"),
        ("rollbacks", f"{total.rollbacks:,} ({percent(total.rollback_ratio)})"),
        ("buffer hit ratio", percent(total.hit_ratio)),
        ("time reading blocks", _ms(total.read_ms)),
        ("time writing blocks", _ms(total.write_ms)),
        ("rows inserted", f"{total.rows_inserted:,}"),
        ("rows updated", f"{total.rows_updated:,}"),
        ("rows deleted", f"{total.rows_deleted:,}"),
        ("temporary files", f"{total.temp_files:,} ({size(total.temp_bytes)})"),
        ("deadlocks", f"{total.deadlocks:,}"),
        ("sessions", f"{total.backends:,}"),
    )
    return Section("Database", ("", ">value"), rows)


def _statements(report: Report) -> Section:
    headings = (">total", ">share", ">calls", ">mean", ">rows", ">hit", "fingerprint", "statement")
    rows = tuple(
        (
            _ms(line.total_ms),
            "nested" if line.nested else percent(line.share),
            f"{line.calls:,}",
            _ms(line.mean_ms),
            f"{line.rows:,}",
            percent(line.hit_ratio),
            line.fingerprint,
            _marked(line.text, line.change),
        )
        for line in report.statements
    )
    return Section("Statements by total time", headings, rows)


def _tables(report: Report) -> Section:
    headings = (
        "table",
        ">seq scans",
        ">rows read so",
        ">idx scans",
        ">ins",
        ">upd",
        ">del",
        ">live",
        ">dead",
        ">size",
    )
    rows = tuple(
        (
            _marked(f"{line.schema}.{line.name}", line.change),
            *(f"{n:,}" for n in (line.seq_scans, line.seq_rows, line.idx_scans)),
            *(f"{n:,}" for n in (line.inserted, line.updated, line.deleted)),
            *(f"{n:,}" for n in (line.live, line.dead)),
            size(line.bytes),
        )
        for line in report.tables
    )
    return Section("Tables by rows moved", headings, rows)


def _indexes(report: Report) -> Section:
    rows = tuple(
        (
            _marked(f"{line.schema}.{line.name}", line.change),
            line.table,
            f"{line.scans:,}",
            f"{line.rows:,}",
            size(line.bytes),
        )
        for line in report.indexes
    )
    return Section("Indexes by scans", ("index", "table", ">scans", ">rows", ">size"), rows)


def _activity(report: Report) -> Section:
    rows = tuple(
        (
            line.state,
            line.wait or "none",
            f"{line.sessions:,}",
            UNKNOWN
            if line.longest_transaction_s is None
            else f"{line.longest_transaction_s:,.1f} s",
        )
        for line in report.activity
    )
    headings = ("state", "waits for", ">sessions", ">longest transaction")
    return Section("Sessions at the end", headings, rows)


def _marked(text: str, change: str) -> str:
    return text if change == "same" else f"[{change}] {text}"


def percent(ratio: float | None) -> str:
    """A ratio of 0 to 1 in percent."""
    return UNKNOWN if ratio is None else f"{ratio:.1%}"


def size(count: int | None) -> str:
    """Bytes in the largest fitting unit of 1024."""
    if count is None:
        return UNKNOWN
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def _ms(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.3f} ms" if value < 1 else f"{value:,.1f} ms"
