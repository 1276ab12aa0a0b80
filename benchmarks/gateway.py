"""Direct vs PgBouncer vs dbopt, in turn in one run; prints ratios and targets, writes JSON.

    make bench                          or  python benchmarks/gateway.py --seconds 5 --clients 16,64
    make bench ARGS='--only big,slow,idle,worker --rounds 1'

Cells: `select` (pgbench -S: TPS and the pooler's own CPU time, in each mode with each number of
clients), `tpcb`, `latency` (p50 and p99 at a fixed rate of half PgBouncer's peak), `connect`
(pgbench -C), `big` (one result of 500 MB), `slow` (the same for a slow reader), `idle` (memory of
5,000 idle clients), `worker` (memory of an idle worker).

Every round measures each cell with all peers, one after the other, each round in another order; a
ratio is the median of the rounds' ratios, so that what else loads the machine cancels out. CPU time
is /proc's. Both poolers: transaction mode, trust, the same pool size, TCP, no TLS; dbopt traces as
it does by default. PgBouncer before 1.21 knows no prepared statements in transaction mode: dbopt's
prepared mode is then compared with PgBouncer's extended mode, which does the same for a client
and parses each time. With the defaults it takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.poolbench import machine, peers, pgbench, proc, report
from benchmarks.poolbench.cells import (
    KINDS,
    MODES,
    RATE_CLIENTS,
    Bench,
    Cell,
    Sample,
    cells,
    files_for,
    measure,
)
from benchmarks.poolbench.peers import PEERS, Peer
from benchmarks.poolbench.raw import Failed
from dbopt.demo.cluster import EmbeddedCluster

RESULTS = Path(__file__).parent / "results" / "gateway.json"
SCALE = 10
WIDTH = 132
"""Columns, where the output is no terminal."""


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--seconds",
        type=int,
        default=5,
        help="of each pgbench run, after a warm-up (5; at least 2)",
    )
    add("--rounds", type=int, default=3, help="each measures everything once (3)")
    add("--clients", type=numbers, default=[1, 16, 64, 256], help="of `select` (1,16,64,256)")
    add("--modes", type=one_of(MODES), default=MODES, help="of `select`: " + ",".join(MODES))
    add("--only", type=one_of(KINDS), default=KINDS, help="cells: " + ",".join(KINDS))
    add("--peers", type=one_of(PEERS), default=PEERS, help=",".join(PEERS))
    add("--megabytes", type=int, default=500, help="of the big result (500)")
    add("--idle", type=int, default=5000, help="idle clients (5000)")
    add("--rate", type=float, default=0.0, help="of `latency`, a second (half PgBouncer's peak)")
    add("--json", type=Path, default=RESULTS, help=f"where the results go ({RESULTS})")
    add("--check", action="store_true", help="exit with 1 if a target is missed or a cell failed")
    return parser.parse_args(arguments)


def numbers(text: str) -> list[int]:
    """`1,16` as a list."""
    return [int(part) for part in text.split(",")]


def one_of(known: tuple[str, ...]) -> Any:
    """A comma-separated choice of the known words, in their order."""

    def choice(text: str) -> tuple[str, ...]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {','.join(known)}")
        return tuple(word for word in known if word in text.split(","))

    return choice


def plan(options: argparse.Namespace, prepared: bool) -> Iterator[tuple[int, Cell, str]]:
    """Round, cell and peer of each measurement, in their order.

    Without `prepared`, PgBouncer is measured in extended mode instead, which serves as reference.
    """
    modes = list(options.modes)
    stands_in = "prepared" in modes and "extended" not in modes and not prepared
    if stands_in:
        modes.insert(0, "extended")
    for round_ in range(options.rounds):
        turn = round_ % len(options.peers)
        order = options.peers[turn:] + options.peers[:turn]
        for cell in cells(options.only, modes, options.clients, options.idle):
            for peer in order:
                only = {"pgbouncer"} if stands_in and cell.mode == "extended" else set(order)
                if cell.poolers_only:
                    only -= {"direct"}
                if cell.mode == "prepared" and not prepared:
                    only -= {"pgbouncer"}
                if peer in only:
                    yield round_, cell, peer


@contextmanager
def cluster_of(options: argparse.Namespace) -> Iterator[EmbeddedCluster]:
    """The server with pgbench's tables. Direct clients need as many connections as there are."""
    connections = max([*options.clients, RATE_CLIENTS]) + 100
    with EmbeddedCluster(settings={"max_connections": str(connections)}) as cluster:
        subprocess.run(
            [str(cluster.bin("pgbench")), "-i", "-q", "-s", str(SCALE), cluster.dsn()],
            check=True, capture_output=True, env=pgbench.environment(),
        )  # fmt: skip
        yield cluster


def half_the_peak(options: argparse.Namespace, everyone: dict[str, Peer], bench: Bench) -> Bench:
    """With the rate of `latency`: the same for every peer, or their latencies say nothing."""
    rate = options.rate
    if not rate and "latency" in options.only:
        peer = everyone.get("pgbouncer") or everyone[options.peers[-1]]
        arguments = ("-n", "-S", "-c", str(RATE_CLIENTS))
        rate = pgbench.run(bench.pgbench, (0, 0), peer.port, bench.seconds, *arguments).tps / 2
    return replace(bench, rate=rate)


def run(options: argparse.Namespace, cluster: EmbeddedCluster, samples: list[Sample]) -> None:
    """Every measurement, into `samples` as it comes."""
    console = Console(stderr=True)
    bench = Bench(cluster.bin("pgbench"), options.seconds, options.megabytes)
    room = options.idle + 1000
    # Before the poolers start: they inherit it.
    proc.may_open(files_for(options.idle))
    with ExitStack() as stack:
        everyone = {
            name: stack.enter_context(peers.started(name, cluster, room)) for name in options.peers
        }
        bench = half_the_peak(options, everyone, bench)
        prepared = all(peer.prepared for peer in everyone.values())
        for round_, cell, name in plan(options, prepared):
            console.print(
                f"[dim]{round_ + 1}/{options.rounds} {cell.kind} {cell.label}: {name}[/dim]"
            )
            peer = None if cell.fresh else everyone[name]
            with peers.started(name, cluster, room) if peer is None else nullcontext(peer) as used:
                samples.append(measure(cell, used, bench, round_))


def write(path: Path, head: dict[str, Any], samples: list[Sample], found: list[report.Row]) -> None:
    """Everything as JSON."""
    body = {"rows": [asdict(row) for row in found], "missed": report.missed(found)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(head | body | {"samples": [asdict(s) for s in samples]}, indent=2) + "\n"
    )


def main() -> None:
    """Measure, print, write."""
    # Otherwise the servers would outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parsed()
    samples: list[Sample] = []
    with cluster_of(options) as cluster:
        head = machine.described(cluster.version, options.peers)
        head["command"] = shlex.join(sys.argv[1:])
        head["options"] = {k: str(v) if k == "json" else v for k, v in vars(options).items()}
        try:
            run(options, cluster, samples)
        except (KeyboardInterrupt, Failed) as error:
            head["interrupted"] = str(error) or "by the user"
    found = report.rows(samples)
    console = Console()
    report.show(found, samples, console if console.is_terminal else Console(width=WIDTH))
    write(options.json, head, samples, found)
    print(machine.line(head))
    print(f"The results, with every sample: {options.json}")
    if "interrupted" in head:
        print(f"Interrupted: {head['interrupted']}")
    if options.check and (
        "interrupted" in head or report.missed(found) or any(sample.failed for sample in samples)
    ):
        sys.exit(1)


if __name__ == "__main__":
    main()
