from __future__ import annotations

import pytest

from dbopt.histogram import Histogram, bucket_of, value_of


def histogram(*values: float) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def test_an_empty_one() -> None:
    assert (0, 0.0, 0.0, 0.0) == (
        Histogram().count, Histogram().quantile(0.5), Histogram().mean, Histogram().maximum,
    )  # fmt: skip


def test_count_total_mean_and_maximum_are_exact() -> None:
    made = histogram(10.0, 20.0, 60.0)
    assert (3, 90.0, 30.0, 60.0) == (made.count, made.total, made.mean, made.maximum)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_less_than_one_counts_as_one(value: float) -> None:
    assert 0 == bucket_of(value)
    assert min(value, 1.0) == histogram(value).quantile(0.5)


@pytest.mark.parametrize(("q", "value"), [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)])
def test_quantiles(q: float, value: float) -> None:
    made = histogram(*map(float, range(1, 1001)))
    assert pytest.approx(value, rel=0.011) == made.quantile(q)


def test_no_quantile_is_above_the_maximum() -> None:
    assert 1000.0 >= histogram(1000.0).quantile(1.0)


def test_the_buckets_of_an_hour() -> None:
    hour = 3.6e9
    assert 1112 == bucket_of(hour)
    assert pytest.approx(hour, rel=0.01) == value_of(bucket_of(hour))


def test_merging_an_empty_one_changes_nothing() -> None:
    made = histogram(5.0)
    made.merge({}, 0.0, 0.0)
    assert (1, 5.0, 5.0) == (made.count, made.total, made.maximum)
