from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from dbopt.stats.report.moments import Moment, is_slower, z_score


def moment(*frames: tuple[int, int]) -> Moment:
    made = Moment()
    for calls, time in frames:
        made.add(calls, time)
    return made


def test_the_mean_is_of_all_calls() -> None:
    assert 25.0 == moment((1, 100), (3, 0)).mean
    assert 0.0 == moment().mean
    assert inf == moment((5, 5)).variance


def test_three_slow_calls_are_no_news() -> None:
    usual = moment(*[(100, 1000)] * 10)
    assert not is_slower(usual, moment((1, 900), (1, 1100), (1, 1000)))
    assert not is_slower(moment((1, 10), (2, 20)), moment(*[(100, 9000)] * 10))


def test_a_steady_doubling_is_news_and_its_half_is_not() -> None:
    before, after = moment(*[(100, 1000)] * 9, (100, 1010)), moment(*[(100, 2000)] * 10)
    assert is_slower(before, after)
    assert not is_slower(after, before)
    assert not is_slower(before, moment(*[(100, 1100)] * 10))  # certain, but too small to matter


def test_one_bad_minute_may_be_chance() -> None:
    before = moment(*[(100, 1000 + n) for n in range(10)])
    after = moment(*[(100, 1000 + n) for n in range(9)], (100, 9000))
    assert after.mean > 1.2 * before.mean
    assert not is_slower(before, after)


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**9)), min_size=3, max_size=30))
def test_variance_is_never_negative_and_nothing_is_slower_than_itself(
    frames: list[tuple[int, int]],
) -> None:
    made = moment(*frames)
    assert made.variance >= 0
    assert not is_slower(made, made)
    assert 0.0 == z_score(made, made)
