from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbopt.store.chains import LONGEST, MOST_LINKS, Chain, begin

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_gauge_that_stands_still_is_nothing() -> None:
    chain = begin(AT, 1, 2)
    assert [7, None, -3] == chain.differences(0, [1, 2, 3], [7, None, -3])
    assert [0, 5, 1] == chain.differences(0, [1, 2, 3], [7, 5, -2])
    assert [None, 1] == chain.differences(0, [1, 2], [None, 6])
    assert [-1] == chain.differences(0, [1], [6])
    assert [8] == chain.differences(1, [1], [8])


STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.dictionaries(st.integers(1, 4), st.one_of(st.none(), st.integers(-9, 9)), max_size=4),
    ),
    max_size=8,
)


@given(STEPS)
def test_what_is_read_is_what_was_written(steps: list[tuple[bool, dict[int, int | None]]]) -> None:
    written, read = begin(AT, 1, 1), begin(AT, 1, 1)
    for is_base, values in steps:
        if is_base:
            written.note(0, values, list(values.values()))
            read.note(0, values, list(values.values()))
        else:
            differences = written.differences(0, values, list(values.values()))
            assert list(values.values()) == read.whole(0, values, differences)


def test_a_chain_ends_with_the_hour_the_day_the_layout_and_its_length() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    chain = Chain(1, late, late + MINUTE, 1)
    assert chain.goes_on(late + 2 * MINUTE, 1)
    assert not chain.goes_on(late + MINUTE, 1)
    assert not chain.goes_on(late + 2 * MINUTE, 2)
    assert not chain.goes_on(datetime(2026, 3, 2, tzinfo=UTC), 1)
    noon = Chain(1, AT, AT, 1)
    assert noon.goes_on(AT + LONGEST - MINUTE, 1)
    assert not noon.goes_on(AT + LONGEST, 1)
    assert (True, False) == (noon.lives(AT + LONGEST - MINUTE), noon.lives(AT + LONGEST))
    noon.link = MOST_LINKS - 1
    assert not noon.goes_on(AT + MINUTE, 1)


def test_chains_have_numbers_of_their_own() -> None:
    assert 100 == len({begin(AT, 1, 1).id for _ in range(100)})
    assert 5 == begin(AT, 1, 1, 5).id
