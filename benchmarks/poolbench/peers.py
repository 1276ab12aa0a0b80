"""The peers: PostgreSQL itself, PgBouncer, dbopt. Both poolers: transaction mode, trust."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.poolbench import proc
from benchmarks.poolbench.raw import Client, Failed
from dbopt.demo.cluster import EmbeddedCluster, free_port
from dbopt.demo.programs import unprivileged_account
from dbopt.demo.sidecar import Sidecar, SidecarFailed

PEERS = ("direct", "pgbouncer", "dbopt")
POOL = 8
READY_WITHIN = 20.0
KNOWS_PREPARED = (1, 21)
"""PgBouncer's first version with prepared statements in transaction mode."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One that is running. `pid` gives the process of the data plane, 0 for PostgreSQL itself."""

    name: str
    port: int
    pid: Callable[[], int]
    prepared: bool = True
    controlled: bool = False
    """Whether that process's parent is part of the peer too: dbopt's control process."""

    def pids(self) -> tuple[int, int]:
        """The data plane's process, and the control process or 0."""
        pid = self.pid()
        return pid, proc.parent(pid) if self.controlled else 0


@contextmanager
def started(name: str, cluster: EmbeddedCluster, max_clients: int) -> Iterator[Peer]:
    """The peer of that name, answering queries. Raises Failed if it does not start."""
    if name == "direct":
        yield Peer(name, cluster.port, lambda: 0)
        return
    start = {"pgbouncer": pgbouncer, "dbopt": dbopt}[name]
    with start(cluster, max_clients) as peer:
        wait_ready(peer)
        yield peer


@contextmanager
def dbopt(cluster: EmbeddedCluster, max_clients: int, **more: object) -> Iterator[Peer]:
    """dbopt with tracing as it is by default. Snapshots of pg_stat_* are the control process's.

    `more` are further settings; a key's dot is written as two underscores.
    """
    settings = {
        "server.dsn": cluster.dsn(), "pool.max_size": POOL, "pool.min_size": POOL,
        "gateway.max_clients": max_clients, "gateway.shutdown_timeout": 1.0,
        "log.level": "error", "stats.enabled": False,
    } | {key.replace("__", "."): value for key, value in more.items()}  # fmt: skip
    with ExitStack() as stack:
        try:
            sidecar = stack.enter_context(Sidecar(settings))
        except SidecarFailed as error:
            raise Failed(error.message) from None
        yield Peer("dbopt", sidecar.gateway_port, lambda: worker(sidecar), controlled=True)


def worker(sidecar: Sidecar) -> int:
    """The process id of the one gateway worker."""
    try:
        return int(sidecar.get("/status")["workers"][0]["pid"])
    except (SidecarFailed, LookupError) as error:
        raise Failed(f"dbopt has no worker: {error}") from None


@contextmanager
def pgbouncer(cluster: EmbeddedCluster, max_clients: int) -> Iterator[Peer]:
    """PgBouncer; not as root, which it refuses."""
    port, account = free_port(), unprivileged_account()
    version = pgbouncer_version()
    prepared = version >= KNOWS_PREPARED
    with tempfile.TemporaryDirectory() as name:
        config = configured(Path(name), cluster.port, port, max_clients, prepared)
        process = subprocess.Popen(
            [program(), "-q", str(config)],
            stderr=subprocess.DEVNULL,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        try:
            yield Peer("pgbouncer", port, lambda: process.pid, prepared)
        finally:
            process.terminate()
            process.wait()


def configured(directory: Path, server: int, port: int, max_clients: int, prepared: bool) -> Path:
    """PgBouncer's two files, where its account can read them."""
    directory.chmod(0o755)
    users = directory / "users.txt"
    users.write_text('"postgres" ""\n')
    config = directory / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\n"
        f"default_pool_size = {POOL}\nmax_client_conn = {max_clients}\n"
        "ignore_startup_parameters = extra_float_digits\n"
        + ("max_prepared_statements = 200\n" if prepared else "")
    )
    return config


def program() -> str:
    """Where PgBouncer is."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        raise SystemExit("PgBouncer is not installed: apt-get install pgbouncer, or --peers dbopt")
    return found


def pgbouncer_version() -> tuple[int, ...]:
    """Such as (1, 18, 0)."""
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"PgBouncer (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else (0,)


def wait_ready(peer: Peer) -> None:
    """Until it answers a query."""
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            with Client(peer.port) as client:
                client.ask("SELECT 1")
            return
        except (OSError, Failed) as error:
            if time.monotonic() > deadline:
                raise Failed(f"{peer.name} does not answer: {error}") from None
            time.sleep(0.05)
