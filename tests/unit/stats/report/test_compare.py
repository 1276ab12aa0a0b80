from __future__ import annotations

from datetime import timedelta

from dbopt.stats.report.compare import Comparison, new_section, slower_section
from dbopt.stats.report.period import Period
from tests.unit.stats.report.made import HOUR, START, at, frame, statement


def made(*, before: int = 60, cost: int = 1000) -> Comparison:
    """Statement 1 at a steady cost, then at `cost`; 2 is new; 3 is gone; 4 had three calls."""
    earlier = Period(START - HOUR, START)
    for minute in range(-before + 1, 1):
        earlier.add(statement(minute, 1, 100, 100_000 + minute))
        earlier.add(statement(minute, 3, 5, 500))
    now = Period(START, START + HOUR)
    for minute in range(1, 61):
        now.add(statement(minute, 1, 100, cost * 100 + minute))
        now.add(statement(minute, 2, 7, 7000))
    now.add(statement(60, 4, 3, 9_000_000))
    return Comparison("the hour before", "before", now, earlier)


def test_slower_says_by_how_much_and_what_it_costs() -> None:
    (change,) = made(cost=3000).slower()
    assert (1, 6000) == (change.fingerprint, change.calls)
    assert 2.99 < change.factor < 3.01
    assert 11.9e6 < change.added_us < 12.1e6
    assert change.z > 100


def test_the_same_cost_is_no_news() -> None:
    assert [] == made().slower()
    assert () == slower_section(made(), 10).rows


def test_new_statements_need_a_period_before() -> None:
    assert [2, 4] == sorted(number for number, _ in made().new())
    assert [] == list(made(before=20).new())
    section = new_section(made(), 1)
    assert 1 == section.left_out
    assert "0000000000000004" == section.rows[0][0]


def test_without_the_server_s_figures_the_gateway_s_are_compared() -> None:
    names = ("calls", "total_us", "queue_us", "errors")
    earlier, now = Period(START - HOUR, START), Period(START, START + HOUR)
    for minute in range(60):
        for each, cost, shift in ((earlier, 1000, -60), (now, 5000, 0)):
            rows = {(9, "shop", "app", "web", "/"): (40, cost * 40 + minute, 0, 0)}
            each.add(frame("traced", minute + 1 + shift, rows, names))
    comparison = Comparison("before", "before", now, earlier)
    assert "traced" == comparison.source
    assert [9] == [change.fingerprint for change in comparison.slower()]
    assert at(60) - timedelta(hours=1) == START
