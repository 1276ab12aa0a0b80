"""A report as text: sections of cells, drawn for a terminal or written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.pg.shown import printable
from dbopt.stats.report import DatabaseTotals, Report

UNKNOWN = "-"
"""Not measured, which is not zero."""
MARKDOWN_CELL = 120
TEXT_ROOM = 32
"""Cells that a text column has at least, with its padding."""
PADDING = 2
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_|<>\[\]~#])")


@dataclass(frozen=True, slots=True)
class Section:
    """A table. A heading that begins with > is of figures, aligned right.

    `optional`: headings that a narrow terminal goes without, the first of them first.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()

    def without(self, heading: str) -> Section:
        """The same table without one column."""
        at = self.headings.index(heading)
        headings, *rows = (line[:at] + line[at + 1 :] for line in (self.headings, *self.rows))
        return replace(self, headings=headings, rows=tuple(rows))


def terminal(report: Report, console: Console) -> None:
    """Print the report. Nothing in it is read as markup; figures are never cut."""
    console.print(Text(heading(report), style="bold"))
    for section in sections(report):
        console.print()
        console.print(_table(section, console.width), crop=False)
    for line in remarks(report):
        console.print(Text(line, style="yellow"))


def _table(section: Section, width: int) -> Table:
    fitted = _fitted(section, width)
    title = Text(section.title, style="bold")
    # Its own width, so that rich does not squeeze columns when the terminal is narrower.
    table = Table(title=title, title_justify="left", box=None, width=sum(_widths(fitted)))
    for name in fitted.headings:
        justify: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, no_wrap=True)
    for row in fitted.rows:
        table.add_row(*map(Text, row))
    return table


def _fitted(section: Section, width: int) -> Section:
    """The table without columns that there is no room for, its widest text shortened."""
    for name in section.optional:
        if sum(min(room, TEXT_ROOM) for room in _widths(section)) > width:
            section = section.without(name)
    rooms = _widths(section)
    texts = [at for at, name in enumerate(section.headings) if not name.startswith(">")]
    widest = max(texts, key=lambda at: rooms[at])
    room = max(TEXT_ROOM, rooms[widest] - max(0, sum(rooms) - width)) - PADDING
    rows = tuple(
        (*row[:widest], shortened(row[widest], room), *row[widest + 1 :]) for row in section.rows
    )
    return replace(section, rows=rows)


def _widths(section: Section) -> list[int]:
    columns = zip(section.headings, *section.rows, strict=True)
    return [PADDING + max(map(cell_len, column)) for column in columns]


def shortened(text: str, most: int) -> str:
    """The text, its end replaced by an ellipsis when it takes more than `most` cells."""
    return text if cell_len(text) <= most else set_cell_size(text, most - 1) + "…"


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
    return _escaped(shortened(text, MARKDOWN_CELL))


def _escaped(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def heading(report: Report) -> str:
    """One line: which database, from when, for how long."""
    period = report.period
    return printable(
        f"{period.database} on {period.server} (PostgreSQL {period.version}), "
        f"{period.start:%Y-%m-%d %H:%M:%S} to {period.end:%Y-%m-%d %H:%M:%S %Z}"
    )


def remarks(report: Report) -> list[str]:
    """What limits the report, a line each: notes, then what was not examined and its remedy."""
    unseen = [f"Not examined: {f.message} {f.remedy}".rstrip() for f in report.findings]
    return [printable(line) for line in (*report.notes, *unseen)]


def sections(report: Report) -> list[Section]:
    """The report's tables; those with nothing to show are left out."""
    found = [_statements(report), _tables(report), _indexes(report), _activity(report)]
    if report.database is not None:
        found.insert(0, _database(report.database, report.period.seconds))
    return [_cleaned(section) for section in found if section.rows]


def _cleaned(section: Section) -> Section:
    return replace(section, rows=tuple(tuple(map(printable, row)) for row in section.rows))


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
    return Section("Statements by total time", headings, rows, (">rows", ">hit", "fingerprint"))


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
    return Section("Tables by rows moved", headings, rows, (">live", ">size", ">idx scans"))


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
