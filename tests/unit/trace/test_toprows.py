from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbopt.trace.toprows import HALF_LIFE, MAX_OTHERS, TopRows
from tests.unit.trace.observations import FakeClock


class Sum:
    def __init__(self) -> None:
        self.worth = self.floor = 0.0
        self.total = 0

    def merge(self, other: Sum) -> None:
        self.total += other.total


Key = tuple[int, str]


def rows(most: int, clock: FakeClock) -> TopRows[Key, Sum]:
    return TopRows(most, Sum, lambda key: (0, key[1]), (0, "(other)"), clock)


def add(to: TopRows[Key, Sum], number: int, time: int, user: str = "u") -> None:
    to.row((number, user), time).total += time


def kept(of: TopRows[Key, Sum]) -> dict[Key, int]:
    return {key: part.total for key, part in of.items()}


def test_the_ones_with_the_most_time_stay_though_others_came_last() -> None:
    made = rows(2, FakeClock())
    add(made, 1, 1000)
    for number in range(2, 50):
        add(made, number, 1)
    assert {(1, "u"): 1000, (49, "u"): 1, (0, "u"): 47} == kept(made)


def test_what_was_much_long_ago_gives_way_to_what_is_much_now() -> None:
    clock = FakeClock()
    made = rows(2, clock)
    add(made, 1, 1000)
    clock.now += 20 * HALF_LIFE
    for number in (2, 3, 4):
        add(made, number, 10)
    assert (1, "u") not in kept(made)


def test_a_decade_without_a_restart_overflows_nothing() -> None:
    clock = FakeClock()
    made = rows(3, clock)
    add(made, 1, 1)
    for _ in range(50):
        clock.now += 300 * HALF_LIFE
        add(made, 2, 10)
    add(made, 3, 5)
    add(made, 4, 5)
    assert (2, "u") in kept(made)
    assert (1, "u") not in kept(made)


def test_the_others_are_bounded() -> None:
    made = rows(1, FakeClock())
    for number in range(2000):
        add(made, number + 1, 1, f"u{number}")
    assert 1 + MAX_OTHERS + 1 == len(made)
    assert 2000 == sum(kept(made).values())


@given(
    most=st.integers(1, 20),
    added=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 10**9), st.sampled_from("abc"), st.booleans()),
        max_size=200,
    ),
)
def test_totals_are_exact_and_the_bound_holds(
    most: int, added: list[tuple[int, int, str, bool]]
) -> None:
    clock = FakeClock()
    made = rows(most, clock)
    for number, time, user, later in added:
        clock.now += 1000.0 * later
        add(made, number, time, user)
    for user in "abc":
        wanted = sum(time for _, time, of, _ in added if of == user)
        assert wanted == sum(total for (_, of), total in kept(made).items() if of == user)
    assert sum(1 for number, _ in kept(made) if number) <= most


@given(st.lists(st.integers(2, 1000), max_size=300), st.integers(2, 10))
def test_who_has_more_than_its_share_is_never_lost(noise: list[int], most: int) -> None:
    """Space-Saving's promise: of all time, more than 1/(most - most/8) keeps a row."""
    made = rows(most, FakeClock())
    for number in noise:
        add(made, 1, 2)  # as much as each of the others, each time
        add(made, number, 1)
    if noise:
        assert 2 * len(noise) == kept(made)[(1, "u")]
