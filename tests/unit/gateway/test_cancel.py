"""cancel: a request on a connection of its own, and the end of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from dbopt.gateway import cancel as module
from dbopt.gateway.backend import Backend
from dbopt.gateway.cancel import cancel
from dbopt.gateway.target import Target
from dbopt.wire import encode


class Server:
    """Takes cancel requests on a unix socket; closes each when `acted`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.got: list[bytes] = []
        self.asked = asyncio.Event()
        self.acted = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(await reader.read(100))
        self.asked.set()
        await self.acted.wait()
        writer.close()

    async def __aenter__(self) -> Server:
        path = self.directory / ".s.PGSQL.5432"
        self._server = await asyncio.start_unix_server(self._serve, path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.acted.set()
        self._server.close()
        await self._server.wait_closed()


def backend(directory: Path, secret: bytes = b"abcd") -> Backend:
    made = Backend(Target(str(directory), 5432, "shop", "ann"), cast(Any, None), 10)
    made.pid, made.secret = 7, secret
    return made


def test_it_returns_when_the_server_has_acted(tmp_path: Path) -> None:
    async def play() -> None:
        async with Server(tmp_path) as server:
            task = asyncio.create_task(cancel(backend(tmp_path)))
            await asyncio.wait_for(server.asked.wait(), 5)
            assert [encode.cancel_request(7, b"abcd")] == server.got
            assert not task.done()
            server.acted.set()
            await asyncio.wait_for(task, 5)

    asyncio.run(play())


def test_a_server_that_does_not_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.05)

    async def play() -> None:
        async with Server(tmp_path):
            await asyncio.wait_for(cancel(backend(tmp_path)), 5)

    asyncio.run(play())


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    asyncio.run(cancel(backend(tmp_path)))


def test_a_server_that_gave_no_key_is_not_asked(tmp_path: Path) -> None:
    async def play() -> None:
        async with Server(tmp_path) as server:
            await cancel(backend(tmp_path, b""))
            assert [] == server.got

    asyncio.run(play())
