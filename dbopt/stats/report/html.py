"""A report as one HTML file: no request, no framework; readable without a script too. PURE.

Names and statements are hostile: each goes through `_text`. A Content-Security-Policy allows
the file's own style and script by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files

from dbopt import __version__
from dbopt.pg.shown import printable
from dbopt.sql.findings import Severity
from dbopt.stats.report.model import Column, Group, Remark, Report, Section, Value
from dbopt.stats.report.numbers import moment, plain_seconds, shown
from dbopt.stats.report.svg import figure
from dbopt.stats.report.text import statement_words

SUMMARY = 110
"""Characters of a statement in a table; the whole text is at the end."""
TEXTS = 150_000
"""Characters of all statements' texts together, about."""
WIDE = frozenset(("load",))


@cache
def _asset(name: str) -> str:
    return (files("dbopt.stats.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def policy() -> str:
    """The Content-Security-Policy."""
    return (
        f"default-src 'none'; style-src {_hash(_asset('report.css'))}; "
        f"script-src {_hash(_asset('report.js'))}; base-uri 'none'; form-action 'none'"
    )


def html(report: Report) -> str:
    """The file's text; encode it as UTF-8."""
    return "".join(_document(report))


def _text(words: str) -> str:
    return escape(printable(words))


def _document(report: Report) -> Iterator[str]:
    what = f"{report.database} on {report.server}" if report.database else report.server
    title = _text(f"{what}: {moment(report.since.timestamp())} UTC")
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(policy())}"/>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    yield '<meta name="referrer" content="no-referrer"/>'
    yield f"<title>{title}</title><style>{_asset('report.css')}</style></head><body>"
    yield from _header(report, what)
    yield '<nav aria-label="Sections"><ul><li><a href="#summary">Summary</a></li>'
    yield from (f'<li><a href="#{g.id}">{_text(g.title)}</a></li>' for g in report.groups)
    yield '<li><a href="#texts">Texts</a></li><li><a href="#notes">Notes</a></li></ul></nav><main>'
    yield from _summary(report)
    for group in report.groups:
        yield from _group(group, report)
    yield from _texts(report)
    yield from _notes(report)
    yield f"</main><footer>Made by dbopt {_text(__version__)}. All times are UTC.</footer>"
    yield f"<script>{_asset('report.js')}</script></body></html>\n"


def _header(report: Report, what: str) -> Iterator[str]:
    worst = max((remark.severity for remark in report.remarks), default=Severity.INFO)
    ends = f"{moment(report.since.timestamp())} to {moment(report.until.timestamp())} UTC"
    yield f"<header><div><h1>PostgreSQL report: {_text(what)}</h1>"
    yield f'<p class="dim">{ends} ({plain_seconds(report.seconds)})</p>'
    yield f'<p class="verdict {worst.name.lower()}">{_text(report.verdict)}</p></div></header>'


def _summary(report: Report) -> Iterator[str]:
    yield '<section id="summary"><div class="tiles">'
    for name, value, note in report.tiles:
        yield f'<div class="tile"><span>{_text(name)}</span><b>{_text(value)}</b>'
        yield f"<span>{_text(note)}</span></div>"
    yield "</div>"
    if report.remarks:
        yield '<h3>What a DBA would say first</h3><ol class="said">'
        known = {section.id for section in report.sections}
        yield from (_remark(remark, known) for remark in report.remarks)
        yield "</ol>"
    yield "</section>"


def _remark(remark: Remark, known: set[str]) -> str:
    severity = remark.severity.name.lower()
    words = f'<li class="{severity}"><span class="sev">{severity}</span>'
    words += f"<strong>{_text(remark.title)}</strong><p>{_text(remark.evidence)}</p>"
    if remark.remedy:
        command = remark.remedy.startswith("dbopt ")
        said = f"<code>{_text(remark.remedy)}</code>" if command else _text(remark.remedy)
        words += f'<p class="dim">{said}</p>'
    if remark.section in known:
        words += f'<p><a href="#{escape(remark.section)}">Where to look</a></p>'
    return words + "</li>"


def _group(group: Group, report: Report) -> Iterator[str]:
    yield f'<section id="{escape(group.id)}"><h2>{_text(group.title)}</h2>'
    drawn = [figure(chart) for chart in group.charts]
    if any(drawn):
        wide = " wide" if group.id in WIDE or len(drawn) == 1 else ""
        yield f'<div class="charts{wide}">{"".join(drawn)}</div>'
    for section in group.sections:
        yield from _section(section, report)
    yield "</section>"


def _section(section: Section, report: Report) -> Iterator[str]:
    yield f'<h3 id="{escape(section.id)}">{_text(section.title)}</h3>'
    if section.intro:
        yield f'<p class="dim">{_text(section.intro)}</p>'
    yield '<div class="scroll"><table><thead><tr>'
    for column in section.columns:
        numeric = ' class="n"' if column.numeric else ""
        yield f'<th scope="col"{numeric}>{_text(column.title)}</th>'
    yield "</tr></thead><tbody>"
    largest = [_largest(section, place) for place in range(len(section.columns))]
    for row in section.rows:
        cells = (
            _cell(value, column, most, report)
            for value, column, most in zip(row, section.columns, largest, strict=True)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    if section.left_out:
        yield f'<p class="dim">and {section.left_out:,} more</p>'


def _largest(section: Section, place: int) -> float:
    found = [row[place] for row in section.rows]
    return max((float(v) for v in found if isinstance(v, int | float)), default=0.0)


def _cell(value: Value, column: Column, most: float, report: Report) -> str:
    if column.unit == "statement":
        return f'<td class="q">{_statement(str(value or ""), report)}</td>'
    words = _text(shown(value, column.unit))
    if not column.numeric:
        return f'<td class="t">{words}</td>'
    sortable = f"{value:.10g}" if isinstance(value, int | float) else ""
    bar = _bar(value, most) if column.bar and isinstance(value, int | float) else ""
    return f'<td class="n" data-v="{sortable}">{words}{bar}</td>'


def _bar(value: float, most: float) -> str:
    width = max(0.0, min(100.0, 100 * value / most)) if most > 0 else 0.0
    return (
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="100" height="4"/><rect class="on" width="{width:.1f}" height="4"/></svg>'
    )


def _statement(digits: str, report: Report) -> str:
    words = statement_words(digits, report.texts)
    short = words if len(words) <= SUMMARY else words[: SUMMARY - 1] + "…"
    if digits not in report.texts:
        return f"<code>{_text(short)}</code>"
    return f'<a href="#s-{escape(digits)}"><code>{_text(short)}</code></a>'


def _texts(report: Report) -> Iterator[str]:
    if not report.texts:
        return
    room = max(200, TEXTS // len(report.texts))
    yield '<section id="texts"><h2>Texts of statements</h2>'
    yield '<p class="dim">Literals are redacted.</p>'
    for digits, text in report.texts.items():
        short = " ".join(text.split())
        short = short if len(short) <= SUMMARY else short[: SUMMARY - 1] + "…"
        whole = text if len(text) <= room else text[: room - 1] + "…"
        # A text's own lines are kept; any other control character is not.
        lines = "\n".join(_text(line) for line in whole.split("\n"))
        yield f'<details id="s-{escape(digits)}"><summary><code>{_text(short)}</code></summary>'
        yield f'<pre>{lines}</pre><p class="dim">fingerprint <code>{escape(digits)}</code>: '
        yield f"<code>dbopt trace {escape(digits)}</code></p></details>"
    yield "</section>"


def _notes(report: Report) -> Iterator[str]:
    yield '<section id="notes"><h2>Notes</h2>'
    if not report.notes and not report.unseen:
        yield "<p>The history of this period is whole.</p>"
    if report.notes:
        yield '<ul class="notes">'
        yield from (f"<li>{_text(note)}</li>" for note in report.notes)
        yield "</ul>"
    if report.unseen:
        yield '<h3 id="not_examined">Not examined</h3><ul class="notes">'
        yield from (
            f"<li>{_text(words)} <code>{_text(remedy)}</code></li>"
            for words, remedy in report.unseen
        )
        yield "</ul>"
    yield "</section>"
