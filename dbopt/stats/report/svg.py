"""Charts as SVG: areas stacked on each other, or lines. PURE; no library, no request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log2, log10

from dbopt.pg.shown import printable
from dbopt.stats.report.model import Chart, Series
from dbopt.stats.report.numbers import moment, shown

WIDTH, HEIGHT = 880, 250
LEFT, RIGHT, TOP, BOTTOM = 78, 872, 14, 220
PALETTE = 7
MARKS_SAID = 6
KINDS = {
    "CPU": 0, "IO": 1, "Lock": 2, "LWLock": 3, "Client": 4, "IPC": 5, "BufferPin": 6,
    "Timeout": 7, "Extension": 8, "other": 7,
}  # fmt: skip
"""A wait class has one colour everywhere: Okabe and Ito's, which the colour-blind tell apart."""
_ORDER = (1, 5, 0, 2, 3, 4, 6)
"""Colours of series that are of no wait class, in turn."""
_TICKS = (
    60, 300, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 604800, 2592000,
)  # fmt: skip


def colour(series: Series, place: int) -> str:
    """The class that gives a series its colour."""
    if series.kind:
        return f"k{KINDS.get(series.kind, 7)}"
    return f"k{_ORDER[place % PALETTE]}"


def figure(chart: Chart) -> str:
    """The chart as an HTML figure with a legend; "" without a value."""
    stacks = _stacked(chart) if chart.stacked else [list(s.values) for s in chart.series]
    known = [value for values in stacks for value in values if value is not None]
    if not known:
        return ""
    most = _top(chart, max(known))
    title = escape(printable(chart.title))
    legend = "".join(
        f'<li><i class="{colour(series, place)}"></i>{escape(printable(series.name))}</li>'
        for place, series in enumerate(chart.series)
    )
    body = "".join(_drawn(chart, stacks, most))
    return (
        f'<figure id="chart-{escape(chart.id)}" data-chart="{escape(_data(chart))}">'
        f"<figcaption>{title}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{body}</svg>'
        f'<ul class="legend">{legend}</ul>{_marked(chart)}</figure>'
    )


def _marked(chart: Chart) -> str:
    """What the lines down the chart stand for, in words."""
    if not chart.marks:
        return ""
    lines = "".join(
        f"<li><b>{moment(at)[11:]}</b> {escape(printable(words))}</li>"
        for at, words in chart.marks[:MARKS_SAID]
    )
    return f'<ul class="legend">{lines}</ul>'


def _top(chart: Chart, most: float) -> float:
    """The top of the scale: all values, and the limit where it is not far above them."""
    if chart.limit is not None and chart.limit[1] <= 4 * most:
        most = max(most, chart.limit[1] * 1.08)
    return min(most * 1.05, 1.0) if chart.unit == "share" else most * 1.05 or 1.0


def _stacked(chart: Chart) -> list[list[float | None]]:
    """Each series' upper edge; a hole where nothing is known."""
    edges: list[list[float | None]] = []
    below: list[float | None] = [0.0] * len(chart.times)
    for series in chart.series:
        below = [
            None if low is None or value is None else low + value
            for low, value in zip(below, series.values, strict=True)
        ]
        edges.append(below)
    return edges


def _drawn(chart: Chart, edges: Sequence[Sequence[float | None]], most: float) -> Iterator[str]:
    yield from _scale(chart, most)
    yield from _holes(edges, len(chart.times))
    for place in reversed(range(len(chart.series))):
        name = colour(chart.series[place], place)
        for start, end in _runs(edges[place]):
            points = [
                (_x(at, len(chart.times)), _y(edges[place][at] or 0.0, most))
                for at in range(start, end)
            ]
            if chart.stacked:
                # Each area goes down to the axis; the ones below are drawn over it.
                yield f'<path class="area {name}" d="{_area(points, len(chart.times))}"/>'
            else:
                yield f'<path class="ln {name}" d="{_line(points, len(chart.times))}"/>'
    yield from _across(chart, most)


def _x(at: float, count: int) -> float:
    return LEFT + (at + 0.5) / count * (RIGHT - LEFT)


def _y(value: float, most: float) -> float:
    return BOTTOM - min(max(value / most, 0.0), 1.0) * (BOTTOM - TOP)


def _runs(values: Sequence[float | None]) -> Iterator[tuple[int, int]]:
    """From and to (not included) of what is known without a hole."""
    start = None
    for at, value in enumerate([*values, None]):
        if value is None:
            if start is not None:
                yield start, at
            start = None
        elif start is None:
            start = at


def _line(points: Sequence[tuple[float, float]], count: int) -> str:
    if len(points) == 1:  # one step by itself has a width, else nobody sees it
        (x, y), half = points[0], (RIGHT - LEFT) / count / 2
        points = [(x - half, y), (x + half, y)]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _area(points: Sequence[tuple[float, float]], count: int) -> str:
    half = (RIGHT - LEFT) / count / 2
    first, last = points[0], points[-1]
    wide = [(first[0] - half, first[1]), *points, (last[0] + half, last[1])]
    return f"{_line(wide, count)}L{wide[-1][0]:.1f} {BOTTOM}L{wide[0][0]:.1f} {BOTTOM}Z"


def _holes(edges: Sequence[Sequence[float | None]], count: int) -> Iterator[str]:
    width = (RIGHT - LEFT) / count
    known = [any(values[at] is not None for values in edges) for at in range(count)]
    for start, end in _runs([None if one else 1.0 for one in known]):
        if end - start > 1 or count < 20:
            yield (
                f'<rect class="hole" x="{LEFT + start * width:.1f}" y="{TOP}" '
                f'width="{(end - start) * width:.1f}" height="{BOTTOM - TOP}">'
                "<title>No history</title></rect>"
            )


def _scale(chart: Chart, most: float) -> Iterator[str]:
    step = _round_step(most / 4, chart.unit)
    value = 0.0
    while value <= most:
        y = _y(value, most)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        words = f"{value:g}" if chart.unit in ("number", "count") or not value else None
        words = escape(words or shown(value, chart.unit))
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
        value += step
    yield from _hours(chart)


def _round_step(step: float, unit: str) -> float:
    if unit == "bytes":
        return float(2 ** ceil(log2(step)))
    size = 10.0 ** floor(log10(step))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= step * 0.999)


def _hours(chart: Chart) -> Iterator[str]:
    """Words under the time axis, at round times (UTC)."""
    count, start = len(chart.times), chart.times[0] - chart.step
    length = count * chart.step
    tick = next((tick for tick in _TICKS if length / tick <= 9), _TICKS[-1])
    at = (start // tick + 1) * tick
    place = 0
    while at < start + length:
        x = LEFT + (at - start) / length * (RIGHT - LEFT)
        words = moment(at)[5:10] if tick >= 86400 or not at % 86400 else moment(at)[11:]
        thin = ' class="thin"' if place % 2 else ""
        yield f'<text{thin} x="{x:.1f}" y="{BOTTOM + 22}" text-anchor="middle">{words}</text>'
        at, place = at + tick, place + 1


def _across(chart: Chart, most: float) -> Iterator[str]:
    if chart.limit is not None and chart.limit[1] <= most:
        y = _y(chart.limit[1], most)
        yield f'<line class="limit" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        words = escape(printable(chart.limit[0]))
        yield (
            f'<text class="limit-word" x="{RIGHT - 4}" y="{y - 5:.1f}" '
            f'text-anchor="end">{words}</text>'
        )
    length = len(chart.times) * chart.step
    for at, words in chart.marks:
        x = LEFT + (at - chart.times[0] + chart.step) / length * (RIGHT - LEFT)
        yield (
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}">'
            f"<title>{escape(printable(words))}</title></line>"
        )


def _data(chart: Chart) -> str:
    """What the script needs to say the values under the pointer."""
    series = [
        {
            "n": printable(one.name),
            "k": colour(one, place),
            "v": ["" if v is None else shown(v, chart.unit) for v in one.values],
        }
        for place, one in enumerate(chart.series)
    ]
    return json.dumps(
        {
            "width": WIDTH, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM,
            "words": [f"{moment(at - chart.step)} to {moment(at)[11:]}" for at in chart.times],
            "series": series,
        },
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip
