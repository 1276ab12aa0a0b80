from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from dbopt.histogram import Histogram
from dbopt.metrics import (
    BUCKETS,
    DEFINITIONS,
    Bounded,
    Definition,
    Metrics,
    Sample,
    Type,
    cumulative,
)


class Fixed:
    def __init__(self, *samples: Sample) -> None:
        self._samples = samples

    def samples(self) -> Iterable[Sample]:
        return self._samples


def metrics(*samples: Sample) -> Metrics:
    made = Metrics("1.2.3")
    made.add(Fixed(*samples))
    return made


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
        if sample.name.startswith("dbopt_")
    }


def test_the_text_is_what_the_sources_said() -> None:
    text = metrics(
        Sample("dbopt_pool_clients_active", 3, ("app", "alice")),
        Sample("dbopt_pool_wait_seconds_total", 0.25, ("app", "alice")),
        Sample("dbopt_statement_errors_total", 2, ("40001",)),
    ).render()[0].decode()  # fmt: skip
    found = values(text)
    pair = (("database", "app"), ("user", "alice"))
    assert 1 == found["dbopt_info", (("version", "1.2.3"),)]
    assert 3 == found["dbopt_pool_clients_active", pair]
    assert 0.25 == found["dbopt_pool_wait_seconds_total", pair]
    assert 2 == found["dbopt_statement_errors_total", (("sqlstate", "40001"),)]


def test_what_has_no_labels_is_zero_before_it_happens() -> None:
    found = values(Metrics("1").render()[0].decode())
    expected = {definition.name for definition in DEFINITIONS if not definition.labels}
    assert expected == {name for (name, labels), value in found.items() if not labels}
    assert {0.0} == {value for (name, labels), value in found.items() if not labels}


def test_a_histogram_of_ours_becomes_theirs() -> None:
    histogram = Histogram()
    for microseconds in (500, 900, 3_000, 40_000, 700_000, 20_000_000):
        histogram.add(microseconds)
    text = metrics(Sample("dbopt_statement_duration_seconds", histogram, ("app",))).render()[0]
    found = {
        labels[1][1]: value
        for (name, labels), value in values(text.decode()).items()
        if name == "dbopt_statement_duration_seconds_bucket"
    }
    assert {
        "0.001": 2, "0.005": 3, "0.01": 3, "0.05": 4, "0.1": 4, "0.5": 4, "1.0": 5, "5.0": 5,
        "10.0": 5, "+Inf": 6,
    } == found  # fmt: skip
    label = (("database", "app"),)
    assert 6 == values(text.decode())["dbopt_statement_duration_seconds_count", label]
    assert 20.7444 == values(text.decode())["dbopt_statement_duration_seconds_sum", label]


@pytest.mark.parametrize("bound", BUCKETS)
def test_each_bound_is_met_within_one_percent(bound: float) -> None:
    below, above = Histogram(), Histogram()
    below.add(bound * 1e6 * 0.98)
    above.add(bound * 1e6 * 1.02)
    assert 1 == dict(cumulative(below))[str(bound)]
    assert 0 == dict(cumulative(above))[str(bound)]


def test_openmetrics_where_it_is_asked_for() -> None:
    histogram = Histogram()
    histogram.add(1500)
    body, content_type = metrics(
        Sample("dbopt_statement_duration_seconds", histogram, ("app",)),
        Sample("dbopt_job_runs_total", 1, ("stats",)),
    ).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    parse: Any = text_string_to_metric_families
    names = {family.name for family in parse(body.decode())}
    assert {"dbopt_statement_duration_seconds", "dbopt_job_runs"} <= names


def test_a_label_may_hold_anything() -> None:
    nasty = 'a"b\\c\nd{}=,é'
    text = metrics(Sample("dbopt_pool_clients_active", 1, (nasty, "u"))).render()[0].decode()
    assert (("database", nasty), ("user", "u")) in {labels for _, labels in values(text)}


def test_a_sample_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(LookupError, match="dbopt_typo_total"):
        metrics(Sample("dbopt_typo_total", 1)).render()


def test_names_follow_the_conventions() -> None:
    for definition in DEFINITIONS:
        assert re.fullmatch(r"dbopt_[a-z]+(_[a-z]+)*", definition.name)
        assert (definition.type is Type.COUNTER) == definition.name.endswith("_total")
        assert definition.doc.endswith(".")
        assert "fingerprint" not in definition.labels
        assert "query" not in definition.labels
    assert len(DEFINITIONS) == len({definition.name for definition in DEFINITIONS})


def test_registries_are_not_shared() -> None:
    metrics(Sample("dbopt_job_runs_total", 1, ("a",)))
    assert b"job=" not in Metrics("1").render()[0]


def test_bounded_keeps_the_first() -> None:
    bounded = Bounded(2, "other")
    assert ["a", "b", "other", "a"] == [bounded.of(key) for key in ("a", "b", "c", "a")]


def test_a_source_brings_its_own_table() -> None:
    made = Metrics("1")
    made.add(
        Fixed(Sample("pg_locks_count", 2, ("app",))),
        [
            Definition("pg_locks_count", Type.UNTYPED, "Locks.", ("datname",)),
            Definition("pg_gone", Type.GAUGE, "Not given.", absent=True),
        ],
    )
    text = made.render()[0].decode()
    assert "# TYPE pg_locks_count untyped" in text
    assert 'pg_locks_count{datname="app"} 2.0' in text
    assert "pg_gone" not in text
