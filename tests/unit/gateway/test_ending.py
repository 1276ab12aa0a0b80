"""Ending: timeouts, and servers that are lost for a client that is about to leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.gateway.relay import Relay
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.unit.gateway.stage import Stage, told

SYNC, FLUSH = m.Sync().encode(), m.Flush().encode()
BATCH = (
    m.Parse(b"", b"select").encode()
    + m.Bind(b"", b"", (), (), ()).encode()
    + m.Execute(b"", 0).encode()
)


def query(sql: bytes) -> bytes:
    return m.Query(sql).encode()


class Timed:
    """A client of a stage whose time passes at will."""

    def __init__(self, **timeouts: float) -> None:
        self.stage = Stage()
        self.stage.now = 1000.0
        (self.backend,) = self.stage.backends
        self.route = replace(self.stage.route, **cast(Any, timeouts))
        self.relay: Relay = self.stage.client()

    def send(self, data: bytes) -> None:
        self.relay.data_received(data)

    def after(self, seconds: float) -> None:
        self.stage.now += seconds
        self.relay.tick(self.stage.now, self.route)

    @property
    def told(self) -> list[tuple[str, str]]:
        """The SQLSTATE of each error, by its severity."""
        data = told(self.relay)
        errors = [
            m.ErrorResponse.parse(data[start + 5 : end])
            for kind, start, end in scan(data)
            if kind == ord("E")
        ]
        return [(error.severity, error.sqlstate) for error in errors]


def cancelled() -> bytes:
    return encode.error_fields("ERROR", "57014", "canceling statement due to user request")


def test_a_statement_that_is_done_before_its_cancel_leaves_no_verdict() -> None:
    timed = Timed(query_timeout=1.0)
    timed.send(query(b"begin"))
    timed.stage.settle()
    timed.send(query(b"select"))
    timed.after(1.5)
    assert [timed.backend] == timed.stage.cancelled
    timed.stage.settle()
    timed.send(query(b"select"))
    timed.after(0.1)
    timed.relay.from_server(cancelled() + encode.ready_for_query(b"E"))  # by the user
    ((_, sqlstate),) = timed.told
    assert ("57014", None) == (sqlstate, timed.relay._ledger.verdict)
    assert b"due to user request" in told(timed.relay)


def test_the_next_slow_statement_is_cancelled_too() -> None:
    timed = Timed(query_timeout=1.0)
    timed.send(query(b"begin"))
    timed.stage.settle()
    for _ in range(3):
        timed.send(query(b"select"))
        timed.after(1.5)
        timed.stage.settle()
    assert [timed.backend] * 3 == timed.stage.cancelled


@pytest.mark.parametrize("data", [BATCH + FLUSH, m.Parse(b"", b"select").encode() + FLUSH])
def test_a_batch_without_its_sync_is_an_idle_transaction(data: bytes) -> None:
    timed = Timed(idle_transaction_timeout=5.0)
    timed.send(data)
    timed.stage.settle()
    timed.after(4.9)
    assert [] == timed.told
    timed.after(0.2)
    assert [("FATAL", "25P03")] == timed.told
    assert [timed.backend] == timed.stage.discarded


def test_a_batch_behind_a_commit_is_not_as_old_as_its_transaction() -> None:
    timed = Timed(transaction_timeout=5.0)
    timed.send(query(b"begin"))
    timed.stage.settle()
    timed.after(4.0)
    timed.send(query(b"commit") + BATCH + FLUSH)
    timed.stage.settle()
    timed.after(4.0)
    assert [] == timed.told
    timed.after(1.1)
    assert [("FATAL", "25P04")] == timed.told


def test_a_server_lost_by_a_client_that_said_terminate() -> None:
    timed = Timed()
    timed.send(query(b"select") + encode.terminate())
    timed.relay.server_lost()
    assert timed.relay.closed
    assert [("FATAL", "08006")] == timed.told
