from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.unit.cli.calls import Call
from tests.unit.trace.observations import count, pool, worker
from tests.unit.web.served import SomeState, served


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    state = SomeState()
    state.recorder.add([count("SELECT * FROM users WHERE email = 'topsecret'", (9000.0,))])
    state.workers.observed(0, worker(4711, pool(sv_idle=2, query_count=77), clients=3))
    with served(state) as url:
        found = urlsplit(url).port
        assert found
        yield found


def test_once(call: Call, port: int) -> None:
    found = call("-s", f"http.port={port}", "top", "--once", "--interval", "0.1")
    assert 0 == found.code
    assert "0 statements/s" in found.out
    assert "app/alice" in found.out


def test_json(call: Call, port: int) -> None:
    found = call("-s", f"http.port={port}", "top", "--json", "--interval", "0.1", "--sort", "calls")
    frame = json.loads(found.out)
    assert ("calls", [], False) == (frame["sort"], frame["statements"], frame["sampled"])


def test_no_daemon(call: Call) -> None:
    found = call("-s", "http.port=1", "top", "--once")
    assert (3, "") == (found.code, found.out)
    assert "Start one with `dbopt serve`" in found.line


def test_keys_on_a_terminal(port: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dbopt", "-s", f"http.port={port}", "top", "--interval", "30"],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
    )  # fmt: skip
    os.close(theirs)
    try:
        _until(ours, b"by time")
        os.write(ours, b"c")
        _until(ours, b"by calls")
        os.write(ours, b"q")
        assert 0 == process.wait(10)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _until(terminal: int, words: bytes) -> None:
    seen, deadline = b"", time.monotonic() + 20
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, seen
        seen += os.read(terminal, 65536)
