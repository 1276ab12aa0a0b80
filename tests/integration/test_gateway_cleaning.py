"""Resets and the pool of servers, with a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from dbopt.errors import ServerLost, ServerRefused
from dbopt.gateway.backend import Backend
from dbopt.gateway.cleaning import clean
from dbopt.wire import encode
from dbopt.wire.types import IDLE
from tests.integration.server_support import LOOPS, backend, run, targets_of


class Reader:
    """A holder that keeps what the server sends up to a ReadyForQuery."""

    pinned = ""

    def __init__(self, held: Backend) -> None:
        self.held = held
        self.data = b""
        self.done = asyncio.Event()

    async def ask(self, sql: str) -> bytes:
        self.data = b""
        self.done.clear()
        self.held.holder = self  # type: ignore[assignment] # nothing else is called
        self.held.transport.write(encode.query(sql.encode()))
        await asyncio.wait_for(self.done.wait(), 10)
        self.held.holder = None
        self.held.status = self.data[-1]
        return self.data

    def from_server(self, data: bytes) -> None:
        self.data += data
        if self.data[-6:-1] == b"Z\0\0\0\5":
            self.done.set()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reset_undoes_what_a_client_left(pg_dsn: str, loop: str) -> None:
    async def play() -> None:
        async with backend(targets_of(pg_dsn)) as made:
            reader = Reader(made)
            zone = made.settings["TimeZone"]
            await reader.ask(
                "SET TimeZone = 'Asia/Tokyo'; SET work_mem = '1MB'; CREATE TEMP TABLE t()"
            )
            made.settings = {**made.settings, "TimeZone": "Asia/Tokyo", "work_mem": "1MB"}
            made.prepared.add(b"s1")
            await reader.ask("BEGIN; SELECT 1/0")
            assert IDLE != made.status
            await clean(made, b"DISCARD ALL")
            assert (IDLE, zone, 0) == (made.status, made.settings["TimeZone"], len(made.prepared))
            assert "work_mem" not in made.settings
            assert b"1MB" not in await reader.ask("SHOW work_mem")
            assert zone.encode() in await reader.ask("SHOW TimeZone")
            assert b"42P01" in await reader.ask("SELECT FROM pg_temp.t")

    run(play(), loop)


def test_a_reset_that_fails_closes_the_connection(pg_dsn: str) -> None:
    async def play(sql: bytes, timeout: float) -> None:
        async with backend(targets_of(pg_dsn)) as made:
            await clean(made, sql, timeout)

    with pytest.raises(ServerRefused, match="nonsense"):
        run(play(b"SELECT nonsense", 5.0))
    with pytest.raises(ServerLost, match="in time"):
        run(play(b"SELECT pg_sleep(10)", 0.2))


def test_the_check_of_a_connection(pg_dsn: str) -> None:
    async def play() -> None:
        async with backend(targets_of(pg_dsn)) as made:
            before = made.settings
            await clean(made, b"")
            assert (before, False) == (made.settings, made.closed)

    run(play())
