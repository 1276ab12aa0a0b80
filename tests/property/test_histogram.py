from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from dbopt.histogram import Histogram, bucket_of, value_of

MICROSECONDS = st.floats(min_value=1.0, max_value=1e12)
SHARE = st.floats(min_value=0.0, max_value=1.0)
ERROR = 0.01 + 1e-9


def histogram(values: Iterable[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(MICROSECONDS)
def test_a_bucket_stands_for_its_values_within_one_percent(value: float) -> None:
    assert abs(value_of(bucket_of(value)) - value) <= ERROR * value


@given(st.lists(MICROSECONDS, min_size=1), SHARE)
def test_a_quantile_is_within_one_percent_of_the_exact_one(values: list[float], q: float) -> None:
    exact = sorted(values)[max(ceil(q * len(values)) - 1, 0)]
    assert abs(histogram(values).quantile(q) - exact) <= ERROR * exact


@given(st.lists(MICROSECONDS), st.lists(MICROSECONDS))
def test_merged_is_the_same_as_counted_together(one: list[float], other: list[float]) -> None:
    merged, second, together = histogram(one), histogram(other), histogram(one + other)
    merged.merge(second.buckets, second.total, second.maximum)

    assert together.buckets == merged.buckets
    assert together.count == merged.count
    assert together.maximum == merged.maximum
    assert abs(together.total - merged.total) <= 1e-9 * max(together.total, 1.0)


@given(st.lists(MICROSECONDS, min_size=1), SHARE, SHARE)
def test_a_higher_share_has_no_lower_quantile(values: list[float], a: float, b: float) -> None:
    made = histogram(values)
    assert made.quantile(min(a, b)) <= made.quantile(max(a, b)) <= made.maximum
