from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from dbopt.stats.report.model import Report
from dbopt.stats.report.text import heading, markdown, shortened, terminal

HOSTILE = "[red]x[/red] | <b>`\x1b[2J\nDROP"


def drawn(report: Report, width: int = 80) -> str:
    file = io.StringIO()
    terminal(report, Console(file=file, width=width))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits(day: Report, width: int) -> None:
    wide = [line for line in drawn(day, width).splitlines() if cell_len(line.rstrip()) > width]
    assert [] == wide


def test_it_tells_the_story(day: Report) -> None:
    shown = drawn(day, 200)
    for part in ("2 critical", "ALTER TABLE stock", "public.orders", "N+1", "What changed",
                 "No sidecar collected between 2026-03-02 05:10"):  # fmt: skip
        assert part in shown


def hostile(day: Report) -> Report:
    texts = dict.fromkeys(day.texts, HOSTILE)
    remarks = tuple(replace(remark, title=HOSTILE) for remark in day.remarks)
    return replace(
        day, texts=texts, server=HOSTILE, verdict=HOSTILE, notes=(HOSTILE,), remarks=remarks
    )


def test_no_name_commands_the_terminal(day: Report) -> None:
    shown = drawn(hostile(day), 300)
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown


def test_markdown_tables_hold_whatever_is_in_them(day: Report) -> None:
    lines = markdown(hostile(day)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows
    for line in rows:
        assert line.endswith(" |")
    assert not any("\x1b" in line for line in lines)
    assert not any("<b>" in line.replace("\\<", "") for line in lines)
    assert lines[0].startswith("# ")


def test_markdown_has_every_section(day: Report) -> None:
    text = markdown(day)
    assert len(day.sections) == text.count("\n### ")


def test_heading(day: Report) -> None:
    assert "db1.shop.example:5432, 2026-03-02 00:00 to 2026-03-03 00:00 UTC (1 d)" == heading(day)


def test_shortened() -> None:
    assert ["short", "shor…", "日…"] == [
        shortened(*args) for args in (("short", 5), ("shorter", 5), ("日本語", 4))
    ]
