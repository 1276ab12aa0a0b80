from __future__ import annotations

import xml.etree.ElementTree as ET

from dbopt.stats.report.model import Chart, Series
from dbopt.stats.report.svg import BOTTOM, LEFT, RIGHT, TOP, colour, figure


def chart(*series: tuple[float | None, ...], stacked: bool = False, unit: str = "number") -> Chart:
    named = tuple(Series(f"s{place}", values) for place, values in enumerate(series))
    count = len(series[0])
    times = tuple(60.0 * (place + 1) for place in range(count))
    return Chart("c", "C", unit, 60.0, times, named, stacked)


def paths(drawn: str) -> list[list[tuple[float, float]]]:
    root = ET.fromstring(drawn[drawn.index("<svg") : drawn.index("</svg>") + 6])  # noqa: S314
    found = [element.get("d", "") for element in root.iter("path")]
    return [
        [(float(x), float(y)) for x, y in (p.split() for p in d.strip("MZ").split("L"))]
        for d in found
    ]


def test_nothing_known_draws_nothing() -> None:
    assert "" == figure(chart((None, None)))


def test_a_hole_parts_a_line() -> None:
    assert [2, 2] == [len(line) for line in paths(figure(chart((1.0, 2.0, None, 3.0, 1.0))))]


def test_a_step_by_itself_is_seen() -> None:
    ((first, last),) = paths(figure(chart((None, 1.0, None))))
    assert first[0] < last[0]


def test_areas_are_stacked_and_stay_inside() -> None:
    upper, lower = paths(figure(chart((1.0, 2.0), (3.0, 4.0), stacked=True)))
    assert min(y for _, y in upper) < min(y for _, y in lower)
    for x, y in (*upper, *lower):
        assert LEFT <= x <= RIGHT
        assert TOP <= y <= BOTTOM


def test_all_zero_and_one_value_alone() -> None:
    for values in ((0.0, 0.0), (5.0,), (1e-9, 2e-9), (1e15, 0.0)):
        assert paths(figure(chart(values)))


def test_a_limit_far_above_is_not_drawn() -> None:
    from dataclasses import replace

    low = replace(chart((1.0, 2.0)), limit=("8 CPUs", 8.0))
    high = replace(chart((1.0, 2.0)), limit=("64 CPUs", 64.0))
    assert "8 CPUs" in figure(low)
    assert "64 CPUs" not in figure(high)


def test_a_wait_class_keeps_its_colour() -> None:
    assert {colour(Series("x", (), "Lock"), place) for place in range(5)} == {"k2"}
    assert 7 == len({colour(Series("x", ()), place) for place in range(14)})
