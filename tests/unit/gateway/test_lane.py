"""Lane: how many are inside, and who is next."""

from __future__ import annotations

import pytest

from dbopt.gateway.lane import Lane, lane_limit


def test_up_to_the_limit_all_go_in_at_once() -> None:
    lane: Lane[str] = Lane(2)
    assert [True, True, False] == [lane.enter(name, 0.0) for name in "abc"]
    assert (2, ["c"], 1) == (lane.inside, list(lane.waiting), lane.waits)


def test_first_in_first_out() -> None:
    lane: Lane[str] = Lane(1)
    assert lane.enter("a", 0.0)
    for now, name in enumerate("bcd"):
        assert not lane.enter(name, float(now))
    for name in "bcd":
        assert lane.next(5.0) is None
        lane.leave()
        assert name == lane.next(5.0)
        assert 1 == lane.inside
    assert (5 + 4 + 3) * 1e6 == lane.wait_us


def test_nobody_overtakes_who_waits() -> None:
    lane: Lane[str] = Lane(1)
    lane.enter("a", 0.0)
    lane.enter("b", 0.0)
    lane.leave()
    assert not lane.enter("c", 1.0), "b has its turn"
    assert ["b", None] == [lane.next(1.0), lane.next(1.0)]


def test_one_in_a_transaction_is_let_in_beyond_the_limit() -> None:
    lane: Lane[str] = Lane(1)
    lane.enter("a", 0.0)
    lane.join()
    lane.enter("b", 0.0)
    lane.leave()
    assert (1, None) == (lane.inside, lane.next(1.0))
    lane.leave()
    assert "b" == lane.next(1.0)


def test_who_waits_no_longer_is_not_let_in() -> None:
    lane: Lane[str] = Lane(1)
    for name in "abc":
        lane.enter(name, 0.0)
    assert [True, False, False] == [lane.forsake(name) for name in "bba"]
    lane.leave()
    assert "c" == lane.next(0.0)


def test_a_limit_that_was_raised_lets_more_in() -> None:
    lane: Lane[str] = Lane(1)
    for name in "abcd":
        lane.enter(name, 0.0)
    lane.limit = 3
    assert ["b", "c", None] == [lane.next(0.0) for _ in range(3)]
    lane.limit = 0
    assert ["d", None] == [lane.next(0.0) for _ in range(2)]
    assert lane.enter("e", 0.0)
    assert 5 == lane.inside


def test_a_limit_that_was_lowered_waits_until_fewer_are_inside() -> None:
    lane: Lane[str] = Lane(2)
    for name in "abc":
        lane.enter(name, 0.0)
    lane.limit = 1
    lane.leave()
    assert lane.next(0.0) is None
    lane.leave()
    assert "c" == lane.next(0.0)


@pytest.mark.parametrize(
    ("share", "size", "limit"),
    [(1.0, 8, 0), (2.0, 8, 0), (0.5, 8, 4), (0.5, 1, 1), (0.1, 8, 1), (0.99, 10, 9), (0.0, 9, 1)],
)
def test_a_share_of_the_pool_is_one_at_least(share: float, size: int, limit: int) -> None:
    assert limit == lane_limit(share, size)
