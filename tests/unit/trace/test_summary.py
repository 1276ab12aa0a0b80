from __future__ import annotations

from dbopt.histogram import Histogram
from dbopt.trace.counted import Counted
from dbopt.trace.known import Known
from dbopt.trace.summary import complexity_dict, group
from tests.unit.trace.observations import count


def test_group_merges_histograms_exactly() -> None:
    parts, whole = [Counted(), Counted()], Histogram()
    for part, times in zip(parts, ((10.0, 5000.0), (100.0, 900_000.0)), strict=True):
        part.add(count(times_us=times))
        for one in times:
            whole.add(one)
    (found,) = group([((1, "a", "u", "x", ""), parts[0]), ((1, "b", "u", "y", ""), parts[1])])
    assert whole.buckets == found.histogram.buckets
    assert (whole.total, whole.maximum) == (found.total, found.maximum)
    # The parts themselves are as they were.
    assert [2, 2] == [part.histogram.count for part in parts]


def test_names_in_a_summary_are_bounded() -> None:
    part = Counted()
    part.add(count())
    (found,) = group([((1, "a", "u", f"app{n}", ""), part) for n in range(500)])
    assert 100 == len(found.statement(Known("SELECT 1")).applications)


def test_no_complexity_is_null() -> None:
    assert complexity_dict(None) is None
