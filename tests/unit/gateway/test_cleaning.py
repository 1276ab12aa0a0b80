"""Cleaning: what is known of a backend after a reset, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dbopt.errors import DboptError, ProtocolError, ServerLost, ServerRefused
from dbopt.gateway.backend import STATUS_ACTIVE, Backend
from dbopt.gateway.cleaning import clean
from dbopt.gateway.statements import Statement
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.types import IDLE, IN_ERROR
from tests.unit.gateway.pool_stage import TARGET

READY = encode.ready_for_query(b"I")
EMPTY = b"I\0\0\0\4"


def tag(name: str) -> bytes:
    return m.CommandComplete(name.encode()).encode()


class Owner:
    """The pool."""

    def connect_failed(self, error: DboptError) -> None:
        """Not here."""

    def backend_lost(self, backend: Backend) -> None:
        """Not here."""


class Server:
    """A transport whose server gives one answer a Query, in pieces of `size`."""

    def __init__(self, *answers: bytes, size: int = 1 << 20) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.aborted = False
        self.size = size
        self.backend = Backend(TARGET, Owner(), 10)
        self.backend.transport = cast(Any, self)
        self.backend.settings = {"TimeZone": "UTC", "statement_timeout": "5s"}
        self.backend.parameters = {"TimeZone": "UTC", "server_version": "18"}
        self.backend.prepared.add(b"s1")
        self.backend.prepared.unnamed = Statement(b"", b"SELECT 1", b"")

    def write(self, data: bytes) -> None:
        self.asked.append(data[5:-1])
        assert STATUS_ACTIVE == self.backend.pgconn.transaction_status
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        answer = self.answers.pop(0) if self.answers else b""
        for start in range(0, len(answer), self.size):
            self.backend.data_received(answer[start : start + self.size])

    def abort(self) -> None:
        self.aborted = True

    def clean(self, sql: bytes, timeout: float = 5.0) -> Backend:
        asyncio.run(clean(self.backend, sql, timeout))
        assert None is self.backend.holder
        return self.backend


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_after_discard_all_only_what_the_server_reports_is_known(size: int) -> None:
    status = encode.parameter_status("TimeZone", "Europe/Berlin")
    backend = Server(tag("DISCARD ALL") + status + READY, size=size).clean(b"DISCARD ALL")
    assert {"TimeZone": "Europe/Berlin"} == backend.settings
    assert (0, None) == (len(backend.prepared), backend.prepared.unnamed)


@pytest.mark.parametrize(
    ("sql", "name", "settings", "prepared"),
    [
        ("RESET ALL", "RESET", {"TimeZone"}, 1),
        ("reset all; DEALLOCATE ALL", "DEALLOCATE ALL", {"TimeZone"}, 0),
        ("RESET ROLE", "RESET", {"TimeZone", "statement_timeout"}, 1),
        ("SELECT pg_advisory_unlock_all()", "SELECT 1", {"TimeZone", "statement_timeout"}, 1),
    ],
)
def test_what_other_resets_leave(sql: str, name: str, settings: set[str], prepared: int) -> None:
    backend = Server(tag(name) + READY).clean(sql.encode())
    assert (settings, prepared) == (set(backend.settings), len(backend.prepared))
    assert None is backend.prepared.unnamed  # any simple Query ends it


def test_an_open_transaction_is_rolled_back_first() -> None:
    server = Server(tag("ROLLBACK") + READY, tag("RESET") + READY)
    server.backend.status = IN_ERROR
    assert IDLE == server.clean(b"RESET ROLE").status
    assert [b"ROLLBACK", b"RESET ROLE"] == server.asked


def test_what_the_server_reports_besides_settings_is_kept() -> None:
    notice = encode.notice("dropped")
    status = encode.parameter_status("server_version", "19")
    backend = Server(notice + status + EMPTY + READY).clean(b"")
    assert "19" == backend.parameters["server_version"]
    assert "server_version" not in backend.settings


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (encode.error_fields("ERROR", "42601", "no") + READY, ServerRefused),
        (tag("BEGIN") + encode.ready_for_query(b"T"), ProtocolError),
        (b"\xff\0\0\0\4", ProtocolError),
        (b"", ServerLost),
    ],
    ids=["error", "transaction", "garbage", "silence"],
)
def test_what_cannot_be_reset_is_closed(answer: bytes, error: type[DboptError]) -> None:
    server = Server(answer)
    with pytest.raises(error):
        server.clean(b"DISCARD ALL", timeout=0.05)
    assert (True, True, None) == (server.aborted, server.backend.closed, server.backend.holder)


def test_a_connection_that_is_lost_meanwhile() -> None:
    server = Server()
    server._answer = lambda: server.backend.connection_lost(None)  # type: ignore[method-assign]
    with pytest.raises(ServerLost):
        server.clean(b"DISCARD ALL")


def test_one_that_is_closed_already_is_asked_nothing() -> None:
    server = Server()
    server.backend.closed = True
    with pytest.raises(ServerLost):
        server.clean(b"DISCARD ALL")
    assert [] == server.asked
