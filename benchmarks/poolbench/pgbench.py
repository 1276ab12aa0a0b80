"""Running pgbench, and reading what it prints and logs."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.poolbench.proc import Cpu, cpu, percentile
from benchmarks.poolbench.raw import Failed

WARM_UP = 1
"""Seconds at the start that do not count: logins, cold caches, a pool that fills."""

SHORTEST = 2
"""Seconds: pgbench often leaves out the last progress line."""

_PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps")


@dataclass(frozen=True, slots=True)
class Tick:
    """A progress line: when (s), the TPS since the last, and the CPU times then."""

    at: float
    tps: float
    cpu: Cpu
    control: Cpu = field(default_factory=Cpu)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run without its warm-up came to; CPU in µs a transaction, 0 where nobody's counts."""

    tps: float
    user_us: float
    system_us: float
    control_us: float = 0.0
    """What dbopt's control process spent meanwhile: no query waits for it."""

    def values(self) -> dict[str, float]:
        total = self.user_us + self.system_us
        if not total:
            return {"tps": self.tps}
        cost = {
            "user_us": self.user_us, "system_us": self.system_us, "control_us": self.control_us
        }  # fmt: skip
        return {"tps": self.tps, "cpu_us": total, **cost}


def run(program: Path, pids: tuple[int, int], port: int, seconds: int, *options: str) -> Run:
    """A run of `seconds` after the warm-up. Raises Failed with pgbench's own words."""
    command = [
        str(program), *options, "-j", "1", "-T", str(max(seconds, SHORTEST) + WARM_UP),
        "-P", "1", "--progress-timestamp", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres",
        "postgres",
    ]  # fmt: skip
    ticks: list[Tick] = []
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := _PROGRESS.match(line):
                ticks.append(Tick(float(found[1]), float(found[2]), *map(cpu, pids)))
            else:
                said.append(line)
    if process.returncode:
        raise Failed(f"pgbench: {''.join(said).strip()[-600:]}")
    return summary(ticks)


def summary(ticks: list[Tick]) -> Run:
    """From the end of the first interval, which is the warm-up, to the last."""
    if len(ticks) < 2:
        raise Failed(f"pgbench printed {len(ticks)} progress lines; use more --seconds")
    first, last = ticks[0], ticks[-1]
    transactions = sum(tick.tps * (tick.at - before.at) for before, tick in pairwise(ticks))
    user, system = last.cpu.since(first.cpu)
    each = 1e6 / max(1.0, transactions)
    control = sum(last.control.since(first.control))
    return Run(transactions / (last.at - first.at), user * each, system * each, control * each)


def at_rate(
    program: Path, pids: tuple[int, int], port: int, seconds: int, clients: int, rate: float
) -> dict[str, float]:
    """Latencies in ms of `-S` at a fixed rate, from when each transaction was due to begin."""
    with tempfile.TemporaryDirectory() as directory:
        prefix = f"{directory}/log"
        options = ("-n", "-S", "-c", str(clients), "-R", f"{rate:.0f}")
        done = run(program, pids, port, seconds, *options, "--log", "--log-prefix", prefix)
        text = "".join(path.read_text() for path in Path(directory).iterdir())
    times = latencies(text)
    if not times:
        raise Failed("pgbench logged no transaction after the warm-up")
    p50, p99 = percentile(times, 0.5) / 1000, percentile(times, 0.99) / 1000
    return {"p50_ms": p50, "p99_ms": p99, "rate": rate} | done.values()


def latencies(log: str) -> list[int]:
    """The times in µs, sorted, of pgbench's log; without the warm-up.

    With -R a time counts from the schedule, so what waited for its turn is in it. Columns:
    client, number, time, script, epoch s, µs, lag (pgbench's manual, "Per-Transaction Logging").
    """
    rows = [line.split() for line in log.splitlines()]
    done = [(int(row[4]) + int(row[5]) / 1e6, int(row[2])) for row in rows if row[2].isdigit()]
    start = min((at for at, _ in done), default=0.0) + WARM_UP
    return sorted(time for at, time in done if at >= start)


def environment() -> dict[str, str]:
    """Ours without libpq's variables; the connection is in plain text for every peer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
