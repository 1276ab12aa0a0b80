"""The report as text."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dbopt.stats.render import markdown, percent, shortened, size, terminal
from dbopt.stats.report import Report
from tests.unit.stats.test_report import example


def printed(report: Report, width: int) -> str:
    shown = io.StringIO()
    terminal(report, Console(file=shown, width=width))
    return shown.getvalue()


def cells(text: str) -> list[list[str]]:
    """Each line's words: the layout apart."""
    return [line.split() for line in text.splitlines()]


def test_a_wide_terminal_has_everything() -> None:
    lines = cells(printed(example(), 200))
    assert [
        *("70.0", "ms", "70.0%", "1", "70.0", "ms", "0", "-", "0000000000000002"),
        *("SELECT", "slow", "|", "[red]"),
    ] in lines
    assert ["public.a", "2", "2,000", "0", "0", "0", "0", "1,000", "0", "1.5", "MiB"] in lines
    assert ["public.a_pkey", "a", "3", "0", "10", "B"] in lines
    assert ["public.a_unused", "a", "0", "0", "-"] in [
        [word for word in line if word != "[new]"] for line in lines
    ]
    assert ["active", "Lock", "2", "3.2", "s"] in lines
    assert ["rollbacks", "10", "(10.0%)"] in lines
    assert ["Not", "examined:", "Hidden.", "GRANT", "x;"] in lines


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_a_narrow_one_never_cuts_figures(width: int) -> None:
    shown = printed(example(), width)
    for figure in ("70.0 ms", "70.0%", "2,000", "1.0"):
        assert figure in shown
    assert "SELECT slow" in shown


def test_it_fits_80_columns() -> None:
    assert max(map(len, printed(example(), 80).splitlines())) <= 80


def test_markdown() -> None:
    lines = markdown(example()).splitlines()
    assert lines[0] == (
        "# shop on 10.0.0.5:5432 (PostgreSQL 18.6), 2026-03-01 12:00:00 to 2026-03-01 12:01:40 UTC"
    )
    assert "| transactions per second | 1.0 |" in lines
    at = lines.index("## Statements by total time")
    assert lines[at + 2 : at + 5] == [
        "| total | share | calls | mean | rows | hit | fingerprint | statement |",
        "| --: | --: | --: | --: | --: | --: | :-- | :-- |",
        "| 70.0 ms | 70.0% | 1 | 70.0 ms | 0 | - | 0000000000000002 | SELECT slow \\| \\[red\\] |",
    ]
    assert "- Not examined: Hidden. GRANT x;" in lines


HOSTILE = "x\x1b]0;title\x07 | `y` <b> [link=x] \n\r# z \u202e \x9b31m"


@given(st.one_of(st.just(HOSTILE), st.text()), st.integers(20, 200))
def test_a_hostile_name_or_text_changes_no_layout(text: str, width: int) -> None:
    plain = example()
    statement, table = plain.statements[0], plain.tables[0]
    report = replace(
        plain,
        statements=(replace(statement, text=text),),
        tables=(replace(table, name=text),),
    )
    shown = printed(report, width)
    assert all(char.isprintable() or char == "\n" for char in shown)
    one = replace(plain, statements=plain.statements[:1])
    assert len(markdown(report).splitlines()) == len(markdown(one).splitlines())
    rows = [line for line in markdown(report).splitlines() if line.startswith("| 70.0 ms ")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", rows[0])) == 9


def test_an_empty_report_has_no_tables() -> None:
    report = replace(
        example(), database=None, statements=(), tables=(), indexes=(), activity=(), findings=()
    )
    assert "##" not in markdown(replace(report, notes=()))
    assert len(printed(replace(report, notes=()), 120).splitlines()) == 1


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, "-"), (0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (2**50, "1,024.0 TiB")],
)
def test_sizes(count: int | None, expected: str) -> None:
    assert expected == size(count)


def test_percent() -> None:
    assert (percent(None), percent(0.0), percent(0.999)) == ("-", "0.0%", "99.9%")


def test_shortened() -> None:
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "ab…")
