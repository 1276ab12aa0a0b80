"""A worker whose limit of open files is low: who comes is told why, and the log tells too."""

from __future__ import annotations

import json
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopt.gateway.openfiles import SPARE, backends
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import TIMEOUT
from tests.support import wait_until

LIMIT = 100


class Limited:
    """A gateway whose worker may open LIMIT files, and what that worker logs."""

    def __init__(self, gateway: Gateway, log: Path) -> None:
        self.gateway = gateway
        self._log = log

    def lines(self, words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if words in line]


@pytest.fixture
def limited(
    make_gateway: GatewayFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Limited:
    """Through a wrapper of the interpreter: a hard limit of our own could not be undone."""
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(f'#!/bin/sh\nulimit -n {LIMIT}\nexec "{sys.executable}" "$@" 2>"{log}"\n')
    python.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        gateway = make_gateway(
            pool__max_size=2, gateway__max_clients=500, log__level="warning", log__format="json"
        )
    return Limited(gateway, log)


def test_clients_beyond_the_limit_are_refused_in_words(limited: Limited) -> None:
    gateway = limited.gateway
    room = LIMIT - backends(gateway.settings) - SPARE
    (warning,) = limited.lines("limit of open files is too low")
    assert (LIMIT, 500, room) == (
        warning["limit"], warning["max_clients"], warning["room_for_clients"],
    )  # fmt: skip
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(room)]
        with pytest.raises(psycopg.OperationalError, match="its limit of open files") as refused:
            gateway.connect()
        assert f"already has {room} clients" in str(refused.value)
        for client in clients:
            assert (1,) == client.execute("SELECT 1").fetchone()
    wait_until(lambda: gateway.seen.snapshots[0].clients == 0, what="the clients to be gone")
    gateway.connect().close()


def test_who_never_logs_in_takes_no_more_than_a_share(limited: Limited) -> None:
    """Neither a client that is there nor a new server connection goes without a file."""
    gateway = limited.gateway
    with ExitStack() as stack, gateway.connect() as one, gateway.connect() as other:
        sockets = [
            stack.enter_context(socket.create_connection((gateway.host, gateway.port), TIMEOUT))
            for _ in range(LIMIT)
        ]
        assert b"53300" in sockets[-1].recv(1000)
        with one.transaction():
            assert (1,) == one.execute("SELECT 1").fetchone()
            assert (2,) == other.execute("SELECT 2").fetchone()  # on a new server connection
    assert [] == limited.lines("no file descriptor is left")

    def enters() -> bool:
        try:
            gateway.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(enters, what="room for a client")
