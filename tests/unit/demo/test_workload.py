from __future__ import annotations

import pytest

from dbopt.demo.workload import Latency, Progress, WorkloadResult
from dbopt.histogram import Histogram


def test_latency_is_in_milliseconds() -> None:
    histogram = Histogram()
    for value in range(1, 101):
        histogram.add(value * 1000.0)
    latency = Latency.of(histogram)
    assert latency.calls == 100
    assert latency.p50_ms == pytest.approx(50, rel=0.02)
    assert latency.p95_ms == pytest.approx(95, rel=0.02)
    assert latency.p99_ms == pytest.approx(99, rel=0.02)


def test_latency_of_nothing() -> None:
    assert Latency.of(Histogram()) == Latency(0, 0.0, 0.0, 0.0)


def test_result_summary() -> None:
    latency = Latency(50, 1.0, 2.0, 3.0)
    result = WorkloadResult(4.0, latency, {"sign_in": latency}, {"57P01": 2, "08006": 1})
    expected = {"tps": 12.5, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "errors": 3}
    assert result.summary() == expected
    assert result.operations == 50


@pytest.mark.parametrize(("elapsed", "expected"), [(0.0, 0.0), (2.0, 10.0)])
def test_progress_tps(elapsed: float, expected: float) -> None:
    assert Progress(elapsed, 4.0, 20, 0).tps == expected
