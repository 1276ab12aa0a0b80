"""The differ: frames of what views say, and standing that follows from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopt.sql.findings import Finding, Severity
from dbopt.stats.differ import FULL_EVERY, REMEMBERED, Differ
from dbopt.stats.view import Collected, View
from dbopt.store.frame import Frame, Standing, Target

VIEW = View("things", ("id",), ("name",), ("calls", "time_us"), ("size_bytes",))
TARGET = Target("here:5432", "app")
T0 = datetime(2026, 11, 23, 10, tzinfo=UTC)
STARTED = T0 - timedelta(days=3)


def row(number: int, calls: int | None, time: int | None = 0, size: int = 8, **more: Any) -> Any:
    named = {"name": f"t{number}"} | more
    return {"id": number, "calls": calls, "time_us": time, "size_bytes": size} | named


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


class Source:
    """A differ that is shown one look a minute."""

    def __init__(self, standing: Standing | None = None) -> None:
        self.differ = Differ(VIEW, TARGET, standing)
        self.minute = 0.0

    def look(
        self,
        *rows: Any,
        started_at: datetime = STARTED,
        minutes: float = 1.0,
        **more: Any,
    ) -> Frame:
        self.minute += minutes
        seen = Collected(list(rows), **more)
        frame = self.differ.frame(seen, at(self.minute), started_at)
        assert frame is not None
        return frame


def test_the_first_look_says_where_all_stand() -> None:
    frame = Source().look(row(1, 5, 7), row(2, 0))
    assert {} == frame.changed
    assert {(1,): (5, 7, 8), (2,): (0, 0, 8)} == frame.base
    assert {(1,): {"name": "t1"}, (2,): {"name": "t2"}} == frame.labels
    assert 0.0 == frame.seconds
    assert (TARGET, "things", at(1)) == (frame.target, frame.view, frame.at)
    assert ("calls", "time_us", "size_bytes") == frame.columns


def test_only_what_changed_is_in_a_frame() -> None:
    source = Source()
    source.look(row(1, 5, 7), row(2, 1), row(3, 1))
    frame = source.look(row(1, 6, 9), row(2, 1), row(3, 1, size=16))
    assert {(1,): (1, 2, 8), (3,): (0, 0, 16)} == frame.changed
    assert ({}, {}, ()) == (frame.base, frame.labels, frame.gone)
    assert 60.0 == frame.seconds


def test_a_new_one_counts_from_zero_and_one_that_is_gone_is_said() -> None:
    source = Source()
    source.look(row(1, 5))
    frame = source.look(row(2, 3, 4))
    assert {(2,): (3, 4, 8)} == frame.changed == frame.base
    assert ((1,),) == frame.gone


def test_another_name_is_news() -> None:
    source = Source()
    source.look(row(1, 5))
    assert {(1,): {"name": "new"}} == source.look(row(1, 5, name="new")).labels


def test_a_counter_that_fell_began_again() -> None:
    source = Source()
    source.look(row(1, 5, 90), row(2, 5, 50))
    frame = source.look(row(1, 3, 95), row(2, 6, 60))
    assert {(1,): (3, 95, 8), (2,): (1, 10, 8)} == frame.changed
    assert {(1,): (3, 95, 8)} == frame.base
    assert not frame.reset


def test_a_reset_that_the_view_tells_of_is_of_all() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5))
    frame = source.look(row(1, 7), row(2, 1), reset=at(1.5))
    assert frame.reset
    assert {(1,): (7, 0, 8), (2,): (1, 0, 8)} == frame.changed
    again = source.look(row(1, 8), row(2, 1), reset=at(1.5))
    assert not again.reset
    assert {(1,): (1, 0, 8)} == again.changed


def test_a_crash_resets_all_even_those_that_grew_beyond() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5))
    crash = at(1.2)
    frame = source.look(row(1, 7), row(2, 1), started_at=crash)
    assert frame.reset
    assert {(1,): (7, 0, 8), (2,): (1, 0, 8)} == frame.changed


def test_a_restart_that_kept_the_counters_is_no_reset() -> None:
    source = Source()
    source.look(row(1, 5))
    frame = source.look(row(1, 7), started_at=at(1.2))
    assert not frame.reset
    assert {(1,): (2, 0, 8)} == frame.changed


def test_an_entry_that_says_since_when_it_counts() -> None:
    source = Source()
    source.look(row(1, 5))
    frame = source.look(row(1, 7, stats_since=at(1.5)))
    assert {(1,): (7, 0, 8)} == frame.changed == frame.base


def test_what_was_not_measured_is_not_zero() -> None:
    source = Source()
    source.look(row(1, 5, None))
    assert {(1,): (1, None, 8)} == source.look(row(1, 6, None)).changed
    began = source.look(row(1, 7, 100))
    assert {(1,): (1, None, 8)} == began.changed
    assert {(1,): (7, 100, 8)} == began.base
    assert {(1,): (0, 5, 8)} == source.look(row(1, 7, 105)).changed


def test_what_was_left_out_before_says_nothing_of_the_period() -> None:
    source = Source()
    source.look(row(1, 5), truncated=True)
    frame = source.look(row(1, 6), row(2, 900), truncated=True)
    assert {(1,): (1, 0, 8)} == frame.changed
    assert {(2,): (900, 0, 8)} == frame.base


def test_what_was_hidden_before_says_nothing_of_the_period() -> None:
    source = Source()
    hidden = Finding("stats-things", Severity.WARNING, "app", "hidden", examined=False)
    source.look(row(1, 5), findings=(hidden,))
    assert {} == source.look(row(1, 5), row(2, 900)).changed


def test_what_is_not_measured_hides_no_row() -> None:
    source = Source()
    off = Finding("stats-things", Severity.INFO, "app", "times are off", examined=False)
    source.look(row(1, 5), findings=(off,))
    assert {(2,): (900, 0, 8)} == source.look(row(1, 5), row(2, 900)).changed


def test_one_that_returns_among_the_most_active_has_its_difference() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5), truncated=True)
    assert () == source.look(row(1, 6), truncated=True).gone
    assert {(2,): (4, 0, 8)} == source.look(row(1, 6), row(2, 9), truncated=True).changed


def test_one_that_stays_away_is_forgotten() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5), truncated=True)
    source.look(row(1, 6), truncated=True)
    frame = source.look(row(1, 6), truncated=True, minutes=REMEMBERED / 60 + 1)
    assert ((2,),) == frame.gone
    assert {(2,): (9, 0, 8)} == source.look(row(1, 6), row(2, 9), truncated=True).base


def test_once_an_hour_all_stand_in_the_base() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5))
    assert {} == source.look(row(1, 5), row(2, 5)).base
    frame = source.look(row(1, 5), row(2, 5), minutes=FULL_EVERY / 60)
    assert {(1,): (5, 0, 8), (2,): (5, 0, 8)} == frame.base


def test_time_that_stands_still_gives_no_frame() -> None:
    source = Source()
    source.look(row(1, 5))
    assert source.differ.frame(Collected([row(1, 6)]), at(1), STARTED) is None


def test_after_a_restart_nothing_is_lost() -> None:
    standing = Standing(
        at(-30), VIEW.counters, VIEW.gauges, {(1,): (5, 7, 8)}, {(1,): {"name": "t1"}}
    )
    frame = Source(standing).look(row(1, 9, 9), row(2, 100))
    assert 31 * 60.0 == frame.seconds
    assert {(1,): (4, 2, 8)} == frame.changed
    assert {(1,): (9, 9, 8), (2,): (100, 0, 8)} == frame.base
    assert {(2,): {"name": "t2"}} == frame.labels


def test_a_reset_while_the_view_is_read_counts_once() -> None:
    """`at` is before the reading: what began in between is in that frame already."""
    source = Source()
    source.look(row(1, 50))
    assert {(1,): (4, 0, 8)} == source.look(row(1, 4), reset=at(2.01)).changed
    after = source.look(row(1, 9), reset=at(2.01))
    assert ({(1,): (5, 0, 8)}, False) == (after.changed, after.reset)
    assert source.look(row(1, 9), reset=at(3.5)).reset


def test_one_that_begins_while_the_view_is_read_counts_once() -> None:
    source = Source()
    source.look(row(1, 50))
    source.look(row(1, 50), row(2, 3, stats_since=at(2.01)))
    again = source.look(row(1, 50), row(2, 5, stats_since=at(2.01)))
    assert {(2,): (2, 0, 8)} == again.changed
    anew = source.look(row(1, 50), row(2, 6, stats_since=at(3.5)))
    assert {(2,): (6, 0, 8)} == anew.changed


def test_another_server_at_the_address_says_nothing_of_the_period() -> None:
    """A failover: the standby was there all the time, and has counted for itself."""
    source = Source()
    source.look(row(1, 5), row(2, 900), row(3, 1))
    elsewhere = STARTED + timedelta(days=1)
    frame = source.look(row(1, 7000), row(2, 3), started_at=elsewhere)
    assert ({}, True, ((3,),)) == (frame.changed, frame.reset, frame.gone)
    assert {(1,): (7000, 0, 8), (2,): (3, 0, 8)} == frame.base
    after = source.look(row(1, 7001), row(2, 3), started_at=elsewhere)
    assert ({(1,): (1, 0, 8)}, False) == (after.changed, after.reset)


def test_one_that_was_seen_until_now_is_remembered_for_an_hour() -> None:
    source = Source()
    source.look(row(1, 5), row(2, 5), truncated=True)
    source.look(row(1, 5), row(2, 6), minutes=REMEMBERED / 60 + 5)
    assert () == source.look(row(1, 6), truncated=True).gone


def test_the_history_of_a_version_with_other_columns_is_gone_on_with() -> None:
    standing = Standing(at(-1), ("time_us", "old"), ("other", "size_bytes"), {(1,): (7, 1, 2, 8)})
    source = Source(standing)
    frame = source.look(row(1, 100, 9))
    assert {(1,): (None, 2, 8)} == frame.changed
    assert {(1,): (100, 9, 8)} == frame.base
    assert {(1,): (1, 0, 8)} == source.look(row(1, 101, 9)).changed


COUNT = st.one_of(st.none(), st.integers(0, 5))
LOOKS = st.lists(
    st.dictionaries(st.integers(0, 3), st.tuples(COUNT, COUNT, st.integers(0, 2)), max_size=4),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("truncated", [False, True])
@given(looks=LOOKS)
def test_frames_add_up_to_what_stands(truncated: bool, looks: Any) -> None:
    """Whoever follows the frames knows what the server said last of each entity."""
    source = Source()
    told: Standing | None = None
    for look in looks:
        rows = [row(n, calls, time, size) for n, (calls, time, size) in look.items()]
        frame = source.look(*rows, truncated=truncated)
        if told is None:
            told = Standing(frame.at, frame.counters, frame.gauges)
        told.follow(frame)
        said = {(n,): values for n, values in look.items()}
        assert said.items() <= told.values.items()
        assert source.differ.standing == told
        if not truncated:
            assert said == told.values
