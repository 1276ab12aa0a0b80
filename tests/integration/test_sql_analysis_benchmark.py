"""benchmarks/sql_analysis.py runs, with its yardstick or without."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"fingerprint", "cached", "redact", "classify", "score", "analyze"}


def run(*options: str) -> str:
    command = [sys.executable, "benchmarks/sql_analysis.py", "--seconds", "0.01", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr[-2000:]
    return done.stdout


def test_every_operation_is_measured_on_every_workload() -> None:
    results = json.loads(run("--json"))
    assert {"pgbench": 5, "orm": 52, "tpch": 22} == {
        name: found["statements"] for name, found in results["workloads"].items()
    }
    for found in results["workloads"].values():
        assert set(found["us"]) >= OURS
        assert all(taken > 0 for taken in found["us"].values())
        assert set(found["ratio"]) == (set(found["us"]) if results["yardstick"] else set())
        assert found["us"]["cached"] < found["us"]["fingerprint"]


def test_it_prints_a_table_and_says_whether_the_yardstick_is_missing() -> None:
    printed = run()
    assert "fingerprint" in printed
    missing = find_spec("pglast") is None
    assert missing == ("No yardstick: pglast is not installed" in printed)
