"""The guard when the control process is gone, or says nothing, or its worker is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.daemon_support import Daemon, alive, running
from tests.support import wait_until

WAIT = 4.0
"""guard.verdict_timeout: who waits for it is seen."""
NEW = 28
"""Statements that nobody has seen yet. If each waited, they would take two minutes."""


@contextmanager
def enforcing(dsn: str, directory: Path, fail: str) -> Iterator[Daemon]:
    settings: dict[str, Any] = {
        "guard__mode": "enforce", "guard__fail": fail, "guard__verdict_timeout": WAIT,
        "stats__enabled": False,
    }  # fmt: skip
    with running(dsn, directory, **settings) as daemon:
        yield daemon


def outcome(client: psycopg.Connection[tuple[int]], number: int) -> str:
    """What a statement that nobody has seen yet comes to."""
    try:
        client.execute(f"SELECT {', '.join('1' * (number + 1))}".encode())
    except psycopg.errors.SystemError as error:
        return str(error.sqlstate)
    return "ran"


OUTCOMES = pytest.mark.parametrize(("fail", "expected"), [("open", "ran"), ("closed", "58000")])


@OUTCOMES
def test_without_a_control_process_nobody_waits(
    pg_dsn: str, tmp_path: Path, fail: str, expected: str
) -> None:
    with enforcing(pg_dsn, tmp_path, fail) as daemon:
        worker = daemon.worker_pid()
        with closing(daemon.connect()) as client:
            assert "ran" == outcome(client, 0)
            daemon.signal(signal.SIGKILL)
            daemon.wait()
            began = time.monotonic()
            found = {outcome(client, number) for number in range(1, NEW + 1)}
            assert ({expected}, True) == (found, time.monotonic() - began < NEW * WAIT / 4)
            assert "ran" == outcome(client, 0), "what was judged before"
            client.execute("ROLLBACK")
        wait_until(lambda: not alive(worker), what="the end of the worker")


@OUTCOMES
def test_a_silent_control_process_costs_one_wait(
    pg_dsn: str, tmp_path: Path, fail: str, expected: str
) -> None:
    with enforcing(pg_dsn, tmp_path, fail) as daemon, closing(daemon.connect()) as client:
        assert "ran" == outcome(client, 0)
        daemon.signal(signal.SIGSTOP)
        try:
            assert expected == outcome(client, 1)
            began = time.monotonic()
            found = {outcome(client, number) for number in range(2, NEW + 2)}
            assert ({expected}, True) == (found, time.monotonic() - began < NEW * WAIT / 4)
        finally:
            daemon.signal(signal.SIGCONT)
        wait_until(lambda: outcome(client, 1) == "ran", what="a verdict")
        metrics = daemon.answer("/metrics").text
        assert "dbopt_guard_unanswered" in metrics


def other_worker(daemon: Daemon, before: int) -> bool:
    return daemon.worker_pid() != before


def test_a_new_worker_asks_anew(pg_dsn: str, tmp_path: Path) -> None:
    with enforcing(pg_dsn, tmp_path, "closed") as daemon:
        for _ in range(2):
            pid = daemon.worker_pid()
            with closing(daemon.connect()) as client:
                client.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
                with pytest.raises(psycopg.errors.CardinalityViolation):
                    client.execute("DELETE FROM kept")
            os.kill(pid, signal.SIGKILL)
            wait_until(partial(other_worker, daemon, pid), what="a new worker")
