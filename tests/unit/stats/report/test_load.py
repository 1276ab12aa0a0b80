from __future__ import annotations

from dbopt.stats.report.load import Load, load_group
from tests.unit.stats.report.made import SERVER, frame, period, waits


def test_active_sessions_by_class_and_statement() -> None:
    made = period().add_all([waits(1, {("", "", 5): 60, ("IO", "DataFileRead", 5): 30,
                                       ("Lock", "tuple", 6): 6})])  # fmt: skip
    load = Load(made)
    assert 1.6 == load.total
    assert {"CPU": 1.0, "IO": 0.5, "Lock": 0.1} == load.classes()
    assert {(5,): 1.5, (6,): 0.1} == load.by(2)


def test_idle_in_transaction_is_no_load() -> None:
    key = ("idle in transaction", "Client", "ClientRead", 5, "app", "web", "shop")
    made = period().add_all([frame("waits", 1, {key: (60,)}, ("samples",), target=SERVER)])
    assert (0.0, 60.0) == (Load(made).total, Load(made).idle)


def test_without_samples_there_is_nothing_to_draw() -> None:
    group = load_group(period(), Load(period()), 10, 8, {})
    assert ((), ()) == (group.charts, group.sections)


def test_what_is_beyond_the_first_statements_is_all_others() -> None:
    made = period().add_all([waits(1, {("", "", number): number for number in range(1, 11)})])
    (_, chart) = load_group(made, Load(made), 3, 0, {10: "SELECT 10"}).charts
    assert ["SELECT 10", "all others"] == [chart.series[0].name, chart.series[-1].name]
    first = [series.values[0] or 0.0 for series in chart.series]
    assert round(sum(range(1, 11)) / 60, 9) == round(sum(first), 9)
