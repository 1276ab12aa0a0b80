"""The measurements. Each takes a running peer and gives named values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.poolbench import pgbench, proc
from benchmarks.poolbench.peers import Peer
from benchmarks.poolbench.raw import Client, Failed, Result

MODES = ("simple", "extended", "prepared")
RATE_CLIENTS = TPCB_CLIENTS = 16
CONNECT_CLIENTS = 8
ROW_BYTES = 1000
SLOW_BUFFER = 64 * 1024
SLOW_BYTES_PER_S = 16_000_000
STALL = 1.0
"""Seconds for which the slow reader reads nothing."""

Values = dict[str, float]
Pids = tuple[int, int]


class Skipped(Exception):
    """The machine does not allow this measurement."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured. A fresh one gets a peer that nobody has used before."""

    kind: str
    mode: str = "simple"
    clients: int = 0
    fresh: bool = False
    poolers_only: bool = False

    @property
    def label(self) -> str:
        count = "1 client" if self.clients == 1 else f"{self.clients:,} clients"
        if not self.clients:
            return ""
        return f"{self.mode}, {count}" if self.kind == "select" else count


@dataclass(frozen=True, slots=True)
class Bench:
    """What the cells have in common."""

    pgbench: Path
    seconds: int
    megabytes: int
    rate: float = 0.0

    @property
    def rows(self) -> int:
        return self.megabytes * 1_000_000 // ROW_BYTES


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one peer in one round."""

    cell: Cell
    peer: str
    round: int
    values: Values = field(default_factory=dict)
    failed: str = ""
    skipped: str = ""


def cells(kinds: Iterable[str], modes: Iterable[str], clients: list[int], idle: int) -> list[Cell]:
    """Every cell of these kinds."""
    grid = [Cell("select", mode, count) for mode in modes for count in clients]
    others = [
        Cell("tpcb", clients=TPCB_CLIENTS),
        Cell("latency", clients=RATE_CLIENTS),
        Cell("connect", clients=CONNECT_CLIENTS),
        Cell("big", fresh=True),
        Cell("slow", fresh=True, poolers_only=True),
        Cell("idle", clients=idle, fresh=True, poolers_only=True),
        Cell("worker", fresh=True, poolers_only=True),
    ]
    wanted = set(kinds)
    return [cell for cell in (*grid, *others) if cell.kind in wanted]


def measure(cell: Cell, peer: Peer, bench: Bench, round_: int) -> Sample:
    """One sample. What goes wrong is in it: the other cells go on."""
    try:
        pids = peer.pids()
        values = MEASURES[cell.kind](cell, peer, pids, bench)
        failed = "" if peer.pids() == pids else f"{peer.name}'s process {pids[0]} died meanwhile"
    except Skipped as reason:
        return Sample(cell, peer.name, round_, skipped=str(reason))
    except (Failed, OSError) as error:
        return Sample(cell, peer.name, round_, failed=f"{type(error).__name__}: {error}")
    return Sample(cell, peer.name, round_, values, failed)


def select(cell: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    options = ("-n", "-S", "-M", cell.mode, "-c", str(cell.clients))
    return pgbench.run(bench.pgbench, pids, peer.port, bench.seconds, *options).values()


def tpcb(cell: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    """Without -n: pgbench vacuums the small tables first, so that no peer inherits bloat."""
    options = ("-M", cell.mode, "-c", str(cell.clients))
    return pgbench.run(bench.pgbench, pids, peer.port, bench.seconds, *options).values()


def latency(cell: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    return pgbench.at_rate(bench.pgbench, pids, peer.port, bench.seconds, cell.clients, bench.rate)


def connect(cell: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    """Connect, one query, disconnect: `pgbench -C`."""
    options = ("-n", "-S", "-C", "-c", str(cell.clients))
    return pgbench.run(bench.pgbench, pids, peer.port, bench.seconds, *options).values()


def big(_: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    """One big result for a client that reads as fast as it can."""
    pid, _control = pids
    with Client(peer.port) as client:
        client.ask("SELECT 1")
        base = proc.reset_peak(pid) if pid else 0
        cpu, start = proc.cpu(pid), time.perf_counter()
        size = Result(client, bench.rows).read_all()
        took = time.perf_counter() - start
        user, system = proc.cpu(pid).since(cpu)
        values = {"mb_s": size / 1e6 / took, "bytes": float(size)}
        if pid:
            values["growth_mb"] = (proc.peak_kb(pid) - base) / 1024
            values |= {"cpu_ms": (user + system) * 1e3, "user_ms": user * 1e3}
    return values


def slow(_: Cell, peer: Peer, pids: Pids, bench: Bench) -> Values:
    """The same for a client that first reads nothing, then little, then the rest at once.

    The server must be held back, the pooler must not grow, and another client must be served.
    """
    pid, _control = pids
    with Client(peer.port, SLOW_BUFFER) as client, Client(peer.port) as other:
        client.ask("SELECT 1")
        base = proc.reset_peak(pid)
        result = Result(client, bench.rows)
        longest = _ask_until(other, time.perf_counter() + STALL)
        end = time.perf_counter() + bench.seconds
        while time.perf_counter() < end and (size := result.read(SLOW_BUFFER)):
            time.sleep(size / SLOW_BYTES_PER_S)
        result.read_all()
        return {"growth_mb": (proc.peak_kb(pid) - base) / 1024, "other_ms": longest * 1e3}


def _ask_until(client: Client, end: float) -> float:
    """The longest that a small query took meanwhile, in seconds."""
    longest = 0.0
    while (start := time.perf_counter()) < end:
        client.ask("SELECT 1")
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.01)
    return longest


def idle(cell: Cell, peer: Peer, pids: Pids, __: Bench) -> Values:
    """What idle clients hold: after their login, and after each has run one query."""
    pid, _control = pids
    if not proc.may_open(files_for(cell.clients)):
        raise Skipped(f"{cell.clients} clients need a higher limit of open files (ulimit -Hn)")
    base, start = proc.rss_kb(pid), time.perf_counter()
    clients: list[Client] = []
    try:
        for _ in range(cell.clients):
            clients.append(Client(peer.port))
        took, connected = time.perf_counter() - start, proc.rss_kb(pid)
        for number, client in enumerate(clients):
            if client.ask(f"SELECT {number}") != str(number):
                raise Failed(f"client {number} got the answer of another")
        queried = proc.rss_kb(pid)
    finally:
        for client in clients:
            client.close()
    return {
        "connected_kb": (connected - base) / cell.clients,
        "queried_kb": (queried - base) / cell.clients,
        "logins_s": cell.clients / took,
    }


def files_for(idle: int) -> int:
    """The open files that a process with so many clients needs, others included."""
    return idle + 500


def worker(_: Cell, __: Peer, pids: Pids, ___: Bench) -> Values:
    """A pooler that has served one query."""
    pid, _control = pids
    return {"rss_mb": proc.rss_kb(pid) / 1024, "pss_mb": proc.pss_kb(pid) / 1024}


MEASURES: dict[str, Callable[[Cell, Peer, Pids, Bench], Values]] = {
    "select": select, "tpcb": tpcb, "latency": latency, "connect": connect,
    "big": big, "slow": slow, "idle": idle, "worker": worker,
}  # fmt: skip
KINDS = tuple(MEASURES)
