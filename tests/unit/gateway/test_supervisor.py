"""Supervisor: workers that die, that cannot be started, and that come while all end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.link import Observed
from dbopt.gateway.supervisor import Supervisor, WorkerDied
from dbopt.settings import Settings
from dbopt.verdict import Question, Verdict
from tests.support import wait_until_async


def settings(shutdown_timeout: float = 0.5) -> Settings:
    base = Settings()
    gateway = replace(base.gateway, host="127.0.0.1", port=0, unix_socket_dir="", workers=1)
    return replace(base, gateway=replace(gateway, shutdown_timeout=shutdown_timeout))


class Ears:
    """An Observer."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def observed(self, worker: int, message: Observed) -> None:
        self.heard.append(message.snapshot.pid)

    async def asked(self, worker: int, question: Question) -> Verdict:
        raise AssertionError("No worker asks here.")


class Scripted(Supervisor):
    """Its workers' lives are what the script says, one after the other."""

    def __init__(self, *script: Callable[[], Awaitable[int]]) -> None:
        super().__init__(settings(), Ears())
        self.lives = 0
        self._script = list(script)

    async def _run(self, number: int) -> int:
        self.lives += 1
        return await self._script[min(self.lives, len(self._script)) - 1]()


async def dies() -> int:
    return -9


async def cannot_be_started() -> int:
    raise OSError(24, "Too many open files")


async def says_what_cannot_be_read() -> int:
    raise ProtocolError("A frame of 99999999 bytes came over the link.")


async def lives() -> int:
    await asyncio.sleep(60)
    return 0


async def soon(condition: Callable[[], bool]) -> None:
    async def look() -> bool:
        return condition()

    await wait_until_async(look, 20)


def play(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("life", [dies, cannot_be_started, says_what_cannot_be_read])
def test_whatever_ends_a_worker_another_follows(life: Callable[[], Awaitable[int]]) -> None:
    async def work() -> None:
        supervisor = Scripted(life, lives)
        task = asyncio.create_task(supervisor._keep_alive(0))
        await soon(lambda: supervisor.lives == 2)
        assert 1 == supervisor.restarts
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    play(work())


def test_a_drain_does_not_wait_for_a_worker_that_is_delayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dbopt.gateway.supervisor.backoff", lambda: iter([60.0]))

    async def work() -> None:
        supervisor = Scripted(dies)
        supervisor._tasks.append(asyncio.create_task(supervisor._keep_alive(0)))
        await soon(lambda: supervisor.restarts == 1)
        supervisor.settings = settings(shutdown_timeout=3600.0)
        await asyncio.wait_for(supervisor.drain(), 20)
        assert 1 == supervisor.lives

    play(work())


def test_start_says_when_no_worker_becomes_ready() -> None:
    async def work() -> None:
        supervisor = Scripted(lives)
        with pytest.raises(WorkerDied, match="did not become ready"):
            await supervisor.start(timeout=0.05)
        for task in supervisor._tasks:
            task.cancel()
        await asyncio.gather(*supervisor._tasks, return_exceptions=True)

    play(work())


def test_a_real_worker_is_replaced_and_drained() -> None:
    async def work() -> None:
        ears = Ears()
        supervisor = Supervisor(settings(), ears)
        supervisor.listen()
        assert ("127.0.0.1", supervisor.address[1]) == supervisor.address
        await supervisor.start()
        (first,) = supervisor.workers.values()
        assert [first] == ears.heard[:1]
        os.kill(first, signal.SIGKILL)
        await soon(lambda: ears.heard[-1] != first)
        assert [ears.heard[-1]] == list(supervisor.workers.values())
        assert 1 == supervisor.restarts
        await supervisor.drain()
        assert {} == supervisor.workers

    play(work())


def test_an_observer_that_fails_costs_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        ears = Ears()
        supervisor = Supervisor(settings(), ears)
        heard: list[int] = []

        def fails(worker: int, message: Observed) -> None:
            heard.append(message.snapshot.pid)
            raise KeyError("a bug")

        monkeypatch.setattr(ears, "observed", fails)
        supervisor.listen()
        await supervisor.start()
        await soon(lambda: len(heard) >= 3)
        assert ({heard[0]}, 0) == (set(heard), supervisor.restarts)
        await supervisor.drain()

    play(work())


def test_a_worker_that_is_just_being_started_is_drained_too() -> None:
    async def work() -> None:
        supervisor = Supervisor(settings(), Ears())
        supervisor.listen()
        task = asyncio.create_task(supervisor._keep_alive(0))
        supervisor._tasks.append(task)
        await soon(lambda: bool(supervisor.workers))
        await asyncio.wait_for(supervisor.drain(), 20)
        assert not task.cancelled()
        assert {} == supervisor.workers

    play(work())
