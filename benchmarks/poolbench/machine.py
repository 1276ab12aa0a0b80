"""Where, when and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.poolbench import peers, proc

ROOT = Path(__file__).parents[2]


def described(postgresql: str, names: Sequence[str]) -> dict[str, Any]:
    """The machine, the versions and the time; what a reader needs to judge the numbers."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": proc.model(), "cores": os.cpu_count(), "memory_mb": proc.memory_mb(),
            "kernel": platform.release(), "load_average": os.getloadavg(),
        },
        "versions": {
            "dbopt": version("dbopt"), "commit": commit(), "python": platform.python_version(),
            "uvloop": version("uvloop"), "postgresql": postgresql,
            "pgbouncer": ".".join(map(str, peers.pgbouncer_version()))
            if "pgbouncer" in names else "",
        },
    }  # fmt: skip


def version(name: str) -> str:
    return importlib.metadata.version(name)


def commit() -> str:
    """The commit, with a + where dbopt/ has changes that are not in it; "" outside of git."""
    parts = []
    for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "dbopt"]):
        done = subprocess.run(
            ["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return ""
        parts.append(done.stdout.strip())
    return parts[0] + ("+" if parts[1] else "")


def line(head: dict[str, Any]) -> str:
    """The same on one line. A machine that others load gives TPS that say little."""
    at, has = head["machine"], head["versions"]
    versions = ", ".join(f"{name} {value}" for name, value in has.items() if value)
    load = f"load {at['load_average'][0]:.1f} at the start"
    return f"{head['date']}; {at['cpu']}, {at['cores']} cores, {load}; {versions}"
