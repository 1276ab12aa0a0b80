from __future__ import annotations

from dbopt.stats.report.timeline import MOST, Timeline, step_of
from tests.unit.stats.report.made import HOUR, SERVER, START, frame, period, pulse, statement, waits


def test_steps_are_round_and_few() -> None:
    assert [60, 600, 7200] == [step_of(s) for s in (3600, 86400, 10 * 86400)]
    assert all(seconds / step_of(seconds) <= MOST for seconds in range(60, 30 * 86400, 7777))


def test_samples_become_active_sessions_and_a_hole_stays_one() -> None:
    made = period()
    made.add_all([waits(1, {("", "", 1): 90}), waits(3, {("Lock", "tuple", 1): 30})])
    timeline = made.timeline
    assert (1.5, None, 0.0) == timeline.values(timeline.classes["CPU"], timeline.sampled)[:3]
    assert (0.0, None, 0.5) == timeline.values(timeline.classes["Lock"], timeline.sampled)[:3]
    assert START.timestamp() + 60 == timeline.times[0]


def test_a_period_that_is_no_multiple_of_the_step() -> None:
    assert 60 == Timeline(START, START + HOUR).count
    assert 61 == Timeline(START, START + HOUR * 1.01).count


def test_a_nested_statement_counts_in_its_caller_alone() -> None:
    made = period().add_all([statement(1, 5, 10, 100), statement(1, 6, 10, 100, level=0)])
    assert 10 == made.timeline.sums["calls"][0]


def test_gauges_are_the_largest_of_a_step() -> None:
    names = ("sessions", "max_connections")
    made = period()
    for minute, sessions in ((1, 5), (1.5, 9), (2, 3)):
        made.add(frame("connections", minute, {(): (sessions, 100)}, (), names, target=SERVER))
    assert (5.0, 9.0, None) == made.timeline.gauges("sessions")[:3]


def test_a_view_that_lacks_a_column_is_left_out() -> None:
    made = period().add_all([frame("wal", 1, {(): (1,)}, ("wal_fpi",)), pulse(1)])
    assert {} == made.timeline.sums.get("wal_bytes", {})


def test_another_database_s_samples_are_left_out() -> None:
    made = period("other").add_all([waits(1, {("", "", 1): 60})])
    assert {} == dict(made.timeline.classes)
