from __future__ import annotations

from dbopt.trace.counted import Counted, measures, together
from tests.unit.trace.observations import count


def test_one_alone_is_not_copied() -> None:
    one = Counted()
    assert one is together([one])


def test_several_are_added_and_stay_as_they_were() -> None:
    parts = [Counted(), Counted()]
    for part in parts:
        part.add(count(times_us=(1000.0, 2000.0), transfer_us=100.0, sent=7, errors={"40001": 1}))
    shown = measures(together(parts))
    assert (4, 4, 14, {"40001": 2}) == (
        shown["calls"], shown["rows"], shown["sent_bytes"], shown["errors"],
    )  # fmt: skip
    assert [2, 2] == [part.histogram.count for part in parts]


def test_nothing_is_zero() -> None:
    assert [{}] == [value for value in measures(Counted()).values() if value != 0]


def test_sqlstates_of_one_statement_are_bounded_and_their_sum_exact() -> None:
    part = Counted()
    for n in range(300):
        part.add(count(errors={f"{n:05}": 1}))
    assert 101 == len(part.errors)
    assert 300 == sum(part.errors.values())
