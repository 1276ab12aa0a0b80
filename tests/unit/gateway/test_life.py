"""Life: what a worker does when the control process says so, or says nothing any more."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from dbopt.clock import monotonic
from dbopt.gateway import life
from dbopt.gateway.link import (
    Answered,
    Cancelled,
    Drain,
    Forget,
    Observed,
    Ready,
    Reload,
    Start,
    ToControl,
    ToWorker,
    frame,
    read_to_control,
)
from dbopt.settings import Server, Settings
from dbopt.verdict import Verdict

SETTINGS = Settings(server=Server(dsn="host=nowhere user=ann dbname=shop"))


class Recorder:
    """A worker that notes what it is told; some of it fails."""

    def __init__(self, fails: str = "") -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.fails = fails
        self.guard = SimpleNamespace(answered=self._note("answered"), forget=self._note("forget"))
        self.reload = self._note("reload")
        self.cancel_own = self._note("cancel")

    def _note(self, name: str) -> Any:
        def note(*given: Any) -> None:
            self.heard.append((name, *given))
            if name == self.fails:
                raise RuntimeError(name)

        return note

    async def drain(self, deadline: float) -> None:
        self.heard.append(("drain", round(deadline - monotonic())))

    async def outlive(self) -> None:
        self.heard.append(("outlive",))


def obeyed(*messages: ToWorker, fails: str = "") -> list[tuple[Any, ...]]:
    async def say() -> AsyncIterator[ToWorker]:
        for message in messages:
            yield message

    worker = Recorder(fails)
    asyncio.run(life._obey(cast(Any, worker), say()))
    return worker.heard


def test_each_message_goes_where_it_belongs() -> None:
    verdict = Verdict(refused=True)
    assert [
        ("reload", SETTINGS), ("answered", 7, verdict), ("forget", [1, 2]), ("cancel", 5, b"x"),
        ("outlive",),
    ] == obeyed(
        Reload(SETTINGS), Answered(7, verdict), Forget([1, 2]), Cancelled(5, b"x")
    )  # fmt: skip


def test_a_drain_is_the_end() -> None:
    assert [("drain", 30)] == obeyed(Drain(30.0), Forget([]))


def test_a_part_that_fails_does_not_end_the_worker() -> None:
    messages: tuple[tuple[str, ToWorker], ...] = (
        ("reload", Reload(SETTINGS)), ("answered", Answered(1, Verdict())), ("forget", Forget([])),
    )  # fmt: skip
    for fails, message in messages:
        assert [fails, "outlive"] == [heard[0] for heard in obeyed(message, fails=fails)]


# The whole of it, over a real link


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker does to its whole process is not done to the tests'."""
    for name in ("configure", "raise_limit", "gc"):
        monkeypatch.setattr(life, name, MagicMock())


class Control:
    """The control process's end of a link to a worker that lives in this process."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        self.descriptor = theirs.detach()
        self.said: list[ToControl] = []

    async def __aenter__(self) -> Control:
        self.life = asyncio.create_task(life.run(self.descriptor))
        reader, self.writer = await asyncio.open_unix_connection(sock=self.ours)
        self._messages = read_to_control(reader)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await asyncio.wait_for(self.life, 10)

    def say(self, message: ToWorker) -> None:
        self.writer.write(frame(message))

    async def hear(self, kind: type[ToControl]) -> ToControl:
        async with asyncio.timeout(10):
            while True:
                message = await anext(self._messages)
                self.said.append(message)
                if isinstance(message, kind):
                    return message


def start(settings: Settings = SETTINGS) -> Start:
    return Start(3, settings, [], b"key" * 11)


def test_it_reports_itself_before_it_is_ready_and_drains() -> None:
    async def play() -> None:
        async with Control() as control:
            control.say(start())
            ready = await control.hear(Ready)
            assert Ready(os.getpid()) == ready
            assert [Observed, Ready] == [type(message) for message in control.said]
            control.say(Drain(0.0))
            await control.hear(Observed)

    asyncio.run(play())


def test_what_begins_otherwise_is_no_start() -> None:
    async def play() -> None:
        async with Control() as control:
            control.say(Forget([]))
            await asyncio.wait_for(control.life, 10)

    asyncio.run(play())


def test_without_its_control_process_and_clients_it_ends() -> None:
    async def play() -> None:
        async with Control() as control:
            control.say(start())
            await control.hear(Ready)
            control.writer.close()
            await asyncio.wait_for(control.life, 10)

    asyncio.run(play())
