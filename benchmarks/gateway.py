"""Direct vs PgBouncer vs dbopt, in turn in one run; prints ratios, writes JSON with --json FILE.

    make bench                          or  python benchmarks/gateway.py --seconds 5 --clients 16,64

TPS and the pooler's own CPU time a transaction (user, system; /proc) for `pgbench -S` in simple,
extended and prepared mode. Both poolers: transaction mode, trust, the same pool size. Debian's
PgBouncer 1.18 knows no prepared statements in transaction mode: there it is not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dbopt.demo.cluster import EmbeddedCluster, free_port
from dbopt.demo.sidecar import Sidecar

MODES = ("simple", "extended", "prepared")
PEERS = ("direct", "pgbouncer", "dbopt")
POOL = 8
_TICKS = os.sysconf("SC_CLK_TCK")
_SWITCH_USER = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Cell:
    """One measurement; `user_us` and `system_us` are the pooler's CPU µs a transaction."""

    peer: str
    mode: str
    clients: int
    tps: float
    latency_ms: float
    user_us: float
    system_us: float


def cpu(pid: int) -> tuple[int, int]:
    """User and system clock ticks of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def measure(
    pgbench: Path, peer: str, pid: int, port: int, mode: str, clients: int, seconds: int
) -> Cell:
    """One pgbench run."""
    before = cpu(pid) if pid else (0, 0)
    command = [
        str(pgbench), "-n", "-S", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds),
        "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{peer}, {mode}, {clients} clients: {done.stderr}")
    after = cpu(pid) if pid else (0, 0)
    transactions = int(found(r"transactions actually processed: (\d+)", done.stdout))
    user, system = (
        (b - a) / _TICKS * 1e6 / max(1, transactions) for a, b in zip(before, after, strict=True)
    )
    return Cell(
        peer, mode, clients, float(found(r"tps = ([\d.]+)", done.stdout)),
        float(found(r"latency average = ([\d.]+)", done.stdout)), user, system,
    )  # fmt: skip


def found(pattern: str, text: str) -> str:
    """What the group of the pattern holds."""
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"pgbench printed no {pattern!r}:\n{text}")
    return match[1]


@contextmanager
def pgbouncer(server_port: int) -> Iterator[tuple[int, int]]:
    """PgBouncer in front of the server; its process id and port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise SystemExit("PgBouncer is not installed: apt-get install pgbouncer")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        users = directory / "users.txt"
        users.write_text('"postgres" ""\n')
        config = directory / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\n"
            f"default_pool_size = {POOL}\nmax_client_conn = 1000\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        process = subprocess.Popen(
            [*_SWITCH_USER, program, "-q", str(config)], stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(1.0)
            yield child_of(process.pid), port
        finally:
            process.terminate()
            process.wait()


def child_of(pid: int) -> int:
    """runuser's child, or the process itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


def worker_of(sidecar: Sidecar) -> int:
    """The process id of the gateway worker."""
    return int(sidecar.get("/status")["workers"][0]["pid"])


def show(cells: list[Cell], console: Console) -> None:
    """The ratio table."""
    table = Table("Mode", "Clients", title=f"pgbench -S, pool of {POOL}")
    for name in (
        "direct tps", "PgBouncer", "dbopt", "dbopt / PgBouncer",
        "PgBouncer CPU µs (u+s)", "dbopt CPU µs (u+s)", "CPU ratio",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    by = {(c.peer, c.mode, c.clients): c for c in cells}
    for mode, clients in dict.fromkeys((c.mode, c.clients) for c in cells):
        direct, bouncer, ours = (by.get((peer, mode, clients)) for peer in PEERS)
        if direct is None or ours is None:
            continue
        if bouncer is None:
            tps = (f"{direct.tps:,.0f}", "-", f"{ours.tps:,.0f}", "-")
            table.add_row(mode, str(clients), *tps, "-", spent(ours), "-")
            continue
        table.add_row(
            mode, str(clients), f"{direct.tps:,.0f}", f"{bouncer.tps:,.0f}", f"{ours.tps:,.0f}",
            f"{ours.tps / bouncer.tps:.2f}", spent(bouncer), spent(ours),
            f"{(ours.user_us + ours.system_us) / (bouncer.user_us + bouncer.system_us):.2f}",
        )  # fmt: skip
    console.print(table)


def spent(cell: Cell) -> str:
    """CPU µs as total (user + system)."""
    total = cell.user_us + cell.system_us
    return f"{total:.1f} ({cell.user_us:.1f}+{cell.system_us:.1f})"


def main() -> None:
    """Run every cell, the peers in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console(stderr=True)
    cells: list[Cell] = []
    with EmbeddedCluster() as cluster:
        bench = cluster.bin("pgbench")
        subprocess.run(
            [str(bench), "-i", "-q", "-s", "10", cluster.dsn()], check=True, capture_output=True
        )
        settings = {
            "server.dsn": cluster.dsn(), "pool.max_size": POOL, "pool.min_size": POOL,
            "log.level": "error", "stats.enabled": False,
        }  # fmt: skip
        with pgbouncer(cluster.port) as (their_pid, their_port), Sidecar(settings) as sidecar:
            time.sleep(1.5)
            where: dict[str, Callable[[], tuple[int, int]]] = {
                "direct": lambda: (0, cluster.port),
                "pgbouncer": lambda: (their_pid, their_port),
                "dbopt": lambda: (worker_of(sidecar), sidecar.gateway_port),
            }
            for mode in options.modes.split(","):
                for clients in map(int, options.clients.split(",")):
                    for peer in PEERS:
                        if peer == "pgbouncer" and mode == "prepared":
                            continue
                        console.print(f"[dim]{mode} {clients} {peer}[/dim]")
                        pid, port = where[peer]()
                        cells.append(
                            measure(bench, peer, pid, port, mode, clients, options.seconds)
                        )
    show(cells, Console())
    if options.json:
        options.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=2))


if __name__ == "__main__":
    main()
