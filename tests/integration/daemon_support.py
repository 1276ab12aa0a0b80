"""`dbopt serve` as a real process, asked over HTTP and read by its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.settings import TABLE
from tests.support import wait_until

START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
QUICK: dict[str, Any] = {
    "gateway.port": 0,
    "http.port": 0,
    "trace.flush_interval": 0.05,
    "pool.min_size": 0,
    "pool.max_size": 4,
    "server.connect_timeout": 2,
}


def environment(settings: dict[str, Any]) -> dict[str, str]:
    """Our own, without what would configure dbopt or libpq, and with these settings."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("DBOPT_", "PG"))}
    words = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in settings.items()}
    return ours | {TABLE[key].env: word for key, word in words.items()}


class Daemon:
    """A running daemon. `settings` are by dotted key; they go through the environment."""

    def __init__(
        self, dsn: str, directory: Path, settings: dict[str, Any], env: dict[str, str]
    ) -> None:
        self.dsn = dsn
        self.log_path = directory / "daemon.log"
        self._start = self.log_path.stat().st_size if self.log_path.exists() else 0
        given = environment(QUICK | {"server.dsn": dsn} | settings)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dbopt", "serve"],
                env=given | env, cwd=directory, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self.gateway = ""
        self.http = ""

    def wait_listening(self) -> Daemon:
        def listening() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.log_text()
            return next(iter(self.events("listening")), None)

        line = wait_until(listening, START_TIMEOUT, "the daemon to listen")
        assert line is not None
        self.gateway, self.http = line["gateway"], line["http"]
        return self

    def log_text(self) -> str:
        with self.log_path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode()

    def log(self) -> list[dict[str, Any]]:
        """Every whole line; each must be one JSON object."""
        lines = self.log_text().split("\n")[:-1]
        events = [json.loads(line) for line in lines]
        assert all(isinstance(event, dict) for event in events)
        return events

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.log() if event["event"] == name]

    def wait_event(self, name: str, count: int = 1) -> dict[str, Any]:
        return wait_until(lambda: self.events(name)[count - 1 :], what=f"{name!r} in the log")[0]

    def gateway_dsn(self, **parameters: Any) -> str:
        """A conninfo through the gateway."""
        host, _, port = self.gateway.rpartition(":")
        server = conninfo_to_dict(self.dsn)
        known = {"dbname": server["dbname"], "user": server["user"], "host": host, "port": port}
        return make_conninfo(**{**known, "gssencmode": "disable", **parameters})

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        """An autocommit connection through the gateway."""
        return psycopg.connect(self.gateway_dsn(**parameters), autocommit=True)

    def answer(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.http}{path}", timeout=10.0, trust_env=False)

    def get(self, path: str) -> Any:
        answer = self.answer(path)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def statement(self, fragment: str) -> dict[str, Any]:
        """The statement whose text holds `fragment`, once it has been seen."""

        def seen() -> list[dict[str, Any]]:
            return [one for one in self.get("/statements?limit=1000") if fragment in one["query"]]

        return wait_until(seen, what=f"a statement with {fragment!r}")[0]

    def worker_pid(self) -> int:
        """The first worker's process, once it has reported."""
        return int(wait_until(lambda: self.get("/status")["workers"], what="a worker")[0]["pid"])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit code."""
        return self.process.wait(timeout)

    def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()


@contextmanager
def running(
    dsn: str, directory: Path, env: dict[str, str] | None = None, **settings: Any
) -> Iterator[Daemon]:
    """A daemon in front of `dsn`, ended at the end. A key's dot is written as two underscores."""
    dotted = {key.replace("__", ".", 1): value for key, value in settings.items()}
    daemon = Daemon(dsn, directory, dotted, env or {})
    try:
        yield daemon.wait_listening()
    finally:
        end(daemon.process)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that a test has left."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def dbopt(
    *words: str,
    dsn: str = "",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    **settings: Any,
) -> subprocess.CompletedProcess[str]:
    """One run of the command line."""
    dotted = {key.replace("__", ".", 1): value for key, value in settings.items()}
    given = environment(({"server.dsn": dsn} if dsn else {}) | dotted)
    return subprocess.run(
        [sys.executable, "-m", "dbopt", *words],
        env=given | (env or {}), cwd=cwd, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
