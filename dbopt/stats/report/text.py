"""A report as text: drawn for a terminal, or written as Markdown. PURE but for the console."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.pg.shown import printable
from dbopt.sql.findings import Severity
from dbopt.stats.report.model import Chart, Report, Section
from dbopt.stats.report.numbers import moment, plain_seconds, shown

TEXT_ROOM = 30
"""Cells that the widest text column has at least, with its padding."""
PADDING = 2
MARKDOWN_CELL = 120
TERMINAL_ROWS = 10
SPARKS = "▁▂▃▄▅▆▇█"
_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_|<>\[\]~#])")


def terminal(report: Report, console: Console, *, everything: bool = True) -> None:
    """Print the report. Nothing in it is read as markup; figures are never cut."""
    console.print(Text(heading(report), style="bold"))
    console.print(Text(printable(report.verdict), style="bold"))
    _remarks(report, console)
    for name, value, note in report.tiles:
        console.print(Text(f"{name:>24}  {value:<12} {note}"))
    for chart in report.charts[:1]:
        _spark(chart, console)
    if everything:
        for section in report.sections:
            console.print()
            console.print(_table(section, report.texts, console.width), crop=False)
    for line in remarks(report):
        console.print(Text(line, style="yellow"))


def _remarks(report: Report, console: Console) -> None:
    for place, remark in enumerate(report.remarks, 1):
        line = Text(f"{place}. ")
        line.append(printable(remark.title), style=_COLOURS[remark.severity])
        console.print(line)
        for words in (remark.evidence, remark.remedy):
            if words:
                console.print(Text(f"   {printable(words)}", style="dim"))
    console.print()


def _spark(chart: Chart, console: Console) -> None:
    """The chart's total over time, in one line."""
    columns = zip(*(series.values for series in chart.series), strict=True)
    totals = [_total(values) for values in columns]
    known = [value for value in totals if value is not None]
    if not known:
        return
    width = max(10, min(len(totals), console.width - 4))
    most = max(known) or 1.0
    bars = "".join(_bar(totals, place, width, most) for place in range(width))
    console.print()
    console.print(Text(f"{chart.title}, at most {shown(max(known), chart.unit)}", style="bold"))
    console.print(Text(f"  {bars}"))
    ends = moment(chart.times[0] - chart.step), moment(chart.times[-1])
    console.print(Text(f"  {ends[0]}{ends[1].rjust(width - len(ends[0]))}", style="dim"))


def _total(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def _bar(totals: list[float | None], place: int, width: int, most: float) -> str:
    part = totals[place * len(totals) // width : max((place + 1) * len(totals) // width, 1)]
    found = [value for value in part if value is not None]
    return SPARKS[min(7, int(max(found) / most * 7.999))] if found else " "


def _table(section: Section, texts: Mapping[str, str], width: int) -> Table:
    cells = [[printable(column.title) for column in section.columns]]
    cells += [_cells(section, row, texts) for row in section.rows[:TERMINAL_ROWS]]
    fitted, cells = _fitted(section, cells, width)
    rooms = [PADDING + max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    # Its own width, so that rich does not squeeze columns when the terminal is narrower.
    table = Table(title=Text(section.title, style="bold"), title_justify="left", box=None,
                  width=max(sum(rooms), cell_len(section.title) + PADDING))  # fmt: skip
    for column, title in zip(fitted.columns, cells[0], strict=True):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        table.add_column(Text(title), justify=justify, no_wrap=True)
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    return table


def _cells(section: Section, row: Iterable[object], texts: Mapping[str, str]) -> list[str]:
    return [
        printable(_cell(value, column.unit, texts))
        for value, column in zip(row, section.columns, strict=True)
    ]


def _cell(value: object, unit: str, texts: Mapping[str, str]) -> str:
    if unit == "statement":
        return statement_words(str(value or ""), texts)
    return shown(value if isinstance(value, int | float | str) else None, unit)


def statement_words(digits: str, texts: Mapping[str, str]) -> str:
    """A statement in a table: its text on one line, or its fingerprint where that is unknown."""
    if not digits:
        return "(not known)"
    text = texts.get(digits, "")
    return " ".join(text.split()) if text else digits


def _fitted(
    section: Section, cells: list[list[str]], width: int
) -> tuple[Section, list[list[str]]]:
    """Without columns that there is no room for, the widest text shortened."""
    rooms = [PADDING + max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    order = sorted(range(len(rooms)), key=lambda at: -section.columns[at].least)
    for at in order:
        needed = sum(min(room, TEXT_ROOM) for room in rooms)
        if needed > width and section.columns[at].least:
            columns = section.columns[:at] + section.columns[at + 1 :]
            rest = [[*row[:at], *row[at + 1 :]] for row in cells]
            return _fitted(replace(section, columns=columns), rest, width)
    return section, _shortened(section, cells, rooms, width)


def _shortened(
    section: Section, cells: list[list[str]], rooms: list[int], width: int
) -> list[list[str]]:
    texts = [at for at, column in enumerate(section.columns) if not column.numeric]
    while texts and sum(rooms) > width:
        widest = max(texts, key=lambda at: rooms[at])
        # Down to the second widest first, so that two long columns share what is missing.
        next_widest = max((rooms[at] for at in texts if at != widest), default=0)
        room = max(sum(rooms) - width, 1)
        target = max(rooms[widest] - room, min(next_widest, rooms[widest] - 1), 8)
        if target >= rooms[widest]:
            break
        rooms[widest] = target
        for row in cells[1:]:
            row[widest] = shortened(row[widest], target - PADDING)
        rooms[widest] = max(PADDING + max(cell_len(row[widest]) for row in cells), target)
        if rooms[widest] > target:
            break  # its heading is as wide
    return cells


def shortened(text: str, most: int) -> str:
    """The text, its end replaced by an ellipsis when it takes more than `most` cells."""
    return text if cell_len(text) <= most else set_cell_size(text, most - 1).rstrip() + "…"


def heading(report: Report) -> str:
    """One line: which server, from when, for how long. Times are UTC."""
    what = f"{report.database} on {report.server}" if report.database else report.server
    ends = (moment(report.since.timestamp()), moment(report.until.timestamp()))
    return printable(f"{what}, {ends[0]} to {ends[1]} UTC ({plain_seconds(report.seconds)})")


def remarks(report: Report) -> list[str]:
    """What limits the report, a line each: notes, then what was not examined and its remedy."""
    unseen = [f"Not examined: {words} {remedy}".rstrip() for words, remedy in report.unseen]
    return [printable(line) for line in (*report.notes, *unseen)]


def markdown(report: Report) -> str:
    """The report as Markdown, with GitHub's tables."""
    lines = [f"# {_escaped(heading(report))}", "", f"**{_escaped(printable(report.verdict))}**", ""]
    lines += _markdown_remarks(report)
    if report.tiles:
        lines += ["", "| figure | value | |", "| :-- | --: | :-- |"]
        lines += [_line(map(_escaped, tile)) for tile in report.tiles]
    for group in report.groups:
        if group.sections:
            lines += ["", f"## {_escaped(group.title)}"]
        for section in group.sections:
            lines += _markdown_section(section, report.texts)
    limits = remarks(report)
    if limits:
        lines += ["", "## Notes", "", *(f"- {_escaped(line)}" for line in limits)]
    return "\n".join(lines) + "\n"


def _markdown_remarks(report: Report) -> list[str]:
    lines = []
    for place, remark in enumerate(report.remarks, 1):
        words = f"{printable(remark.evidence)} {printable(remark.remedy)}".strip()
        title = _escaped(printable(remark.title))
        lines.append(f"{place}. **{title}** ({remark.severity.name.lower()}): {_escaped(words)}")
    return lines


def _markdown_section(section: Section, texts: Mapping[str, str]) -> list[str]:
    lines = ["", f"### {_escaped(section.title)}", ""]
    if section.intro:
        lines += [_escaped(section.intro), ""]
    lines.append(_line(_escaped(column.title) for column in section.columns))
    lines.append(_line("--:" if column.numeric else ":--" for column in section.columns))
    for row in section.rows:
        cells = _cells(section, row, texts)
        lines.append(_line(_escaped(shortened(cell, MARKDOWN_CELL)) for cell in cells))
    if section.left_out:
        lines += ["", f"and {section.left_out} more."]
    return lines


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)
