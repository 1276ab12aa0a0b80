"""What the guard costs: pgbench -S through dbopt with guard.mode off, observe and enforce, in turn.

    python benchmarks/guard.py                       (about three minutes)
    python benchmarks/guard.py --seconds 10 --rounds 5 --clients 16 [--json] [--check]

Three whole daemons stand before one server: with `enforce` a statement's first execution asks the
control process, and waits; the warm-up has that. Each round measures each mode with each daemon,
one after the other, in another order; a ratio is the median of the rounds' ratios to `off`, so
that what else loads the machine cancels out. CPU is the worker's, of /proc, a transaction.

Targets: observe has 0.98 of the TPS of off at least, enforce 0.95. On a machine that does other
things the TPS say little: then look at the CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gateway import WIDTH, cluster_of, one_of
from benchmarks.poolbench import machine, peers, pgbench
from benchmarks.poolbench.cells import MODES
from benchmarks.poolbench.peers import Peer
from benchmarks.poolbench.raw import Failed
from dbopt.demo.cluster import EmbeddedCluster

GUARDS = ("off", "observe", "enforce")
TARGETS = {"observe": 0.98, "enforce": 0.95}
"""Least TPS, as a share of those with the guard off."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of pgbench: TPS, and CPU µs a transaction of the worker and the control process."""

    guard: str
    mode: str
    round: int
    tps: float
    cpu_us: float
    control_us: float


@dataclass(frozen=True, slots=True)
class Row:
    """A guard in a mode of pgbench, beside none. `cpu_ratio` above 1 is dearer."""

    guard: str
    mode: str
    tps: float
    tps_ratio: float
    cpu_us: float
    cpu_ratio: float
    control_us: float
    target: float

    @property
    def reached(self) -> bool:
        return self.tps_ratio >= self.target


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=int, default=3, help="of each run, after a warm-up (3; at least 2)")
    add("--rounds", type=int, default=3, help="each measures everything once (3)")
    add("--clients", type=int, default=16, help="of pgbench (16)")
    add("--modes", type=one_of(MODES), default=MODES, help=",".join(MODES))
    add("--json", action="store_true", help="print JSON, with every sample")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    return parser.parse_args(arguments)


def plan(rounds: int, modes: tuple[str, ...]) -> Iterator[tuple[int, str, str]]:
    """Round, pgbench's mode and the guard of each measurement, in their order."""
    for round_ in range(rounds):
        turn = round_ % len(GUARDS)
        for mode in modes:
            for guard in GUARDS[turn:] + GUARDS[:turn]:
                yield round_, mode, guard


def measured(options: argparse.Namespace, cluster: EmbeddedCluster) -> list[Sample]:
    """All runs."""
    console, samples = Console(stderr=True), []
    with ExitStack() as stack:
        daemons: dict[str, Peer] = {}
        for guard in GUARDS:
            started = peers.dbopt(cluster, options.clients + 100, guard__mode=guard)
            daemons[guard] = stack.enter_context(started)
            peers.wait_ready(daemons[guard])
        for round_, mode, guard in plan(options.rounds, options.modes):
            console.print(f"[dim]{round_ + 1}/{options.rounds} {mode}: {guard}[/dim]")
            peer = daemons[guard]
            done = pgbench.run(
                cluster.bin("pgbench"), peer.pids(), peer.port, options.seconds,
                "-n", "-S", "-c", str(options.clients), "-M", mode,
            )  # fmt: skip
            cpu = done.user_us + done.system_us
            samples.append(Sample(guard, mode, round_, done.tps, cpu, done.control_us))
    return samples


def rows(samples: list[Sample]) -> list[Row]:
    """The medians, and the medians of the rounds' ratios."""
    found = []
    for mode in dict.fromkeys(sample.mode for sample in samples):
        none = {s.round: s for s in samples if (s.guard, s.mode) == ("off", mode)}
        for guard in TARGETS:
            own = [s for s in samples if (s.guard, s.mode) == (guard, mode) and s.round in none]
            if own:
                found.append(_row(own, none))
    return found


def _row(own: list[Sample], none: dict[int, Sample]) -> Row:
    median, guard = statistics.median, own[0].guard
    return Row(
        guard, own[0].mode,
        median(s.tps for s in own), median(s.tps / none[s.round].tps for s in own),
        median(s.cpu_us for s in own), median(s.cpu_us / none[s.round].cpu_us for s in own),
        median(s.control_us for s in own), TARGETS[guard],
    )  # fmt: skip


def show(found: list[Row], samples: list[Sample], console: Console) -> None:
    """Print the table."""
    table = Table(title="pgbench -S, with the guard ÷ without")
    for name in ("", "mode", "TPS", "÷ off", "target", "", "CPU µs", "÷ off", "control µs"):
        table.add_column(name, justify="left" if name in ("", "mode") else "right")
    for row in found:
        table.add_row(
            row.guard, row.mode, f"{row.tps:,.0f}", f"{row.tps_ratio:.3f}", f"≥ {row.target}",
            "[green]yes[/green]" if row.reached else "[red]NO[/red]",
            f"{row.cpu_us:.1f}", f"{row.cpu_ratio:.3f}", f"{row.control_us:.1f}",
        )  # fmt: skip
    for mode in dict.fromkeys(row.mode for row in found):
        off = [s for s in samples if (s.guard, s.mode) == ("off", mode)]
        tps, cpu = (statistics.median(getattr(s, n) for s in off) for n in ("tps", "cpu_us"))
        table.add_row("off", mode, f"{tps:,.0f}", "", "", "", f"{cpu:.1f}", "", "")
    console.print(table)


def main() -> None:
    """Measure, print."""
    options = parsed()
    places = argparse.Namespace(clients=[options.clients * len(GUARDS)])
    try:
        with cluster_of(places) as cluster:
            head: dict[str, Any] = machine.described(cluster.version, ("dbopt",))
            samples = measured(options, cluster)
    except (Failed, subprocess.CalledProcessError) as error:
        sys.exit(f"The benchmark failed: {error}")
    found = rows(samples)
    if options.json:
        body = {
            "rows": [asdict(row) | {"reached": row.reached} for row in found],
            "samples": [asdict(sample) for sample in samples],
        }
        print(json.dumps(head | body, indent=2))
    else:
        console = Console()
        show(found, samples, console if console.is_terminal else Console(width=WIDTH))
        print(machine.line(head))
    if options.check and not all(row.reached for row in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
