"""A hostile server: its client gets an answer, an error or the end, and the worker lives on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from dbopt.wire import encode, types
from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, Runner, running
from tests.fuzz.hostile import DEADLINE, Address, Stream, opened
from tests.fuzz.hostile_server import HostileServer
from tests.fuzz.mutate import again, numbers

AT_ONCE = 6
SHORT, LONG = 120, 20_000
LENGTHS = [SHORT, pytest.param(LONG, marks=[pytest.mark.fuzz, pytest.mark.timeout(3600)])]
PATH = "tests/fuzz/test_fuzz_server.py::test_hostile_server"


class Logins:
    """Which of the connections to come are damaged from the start: every fourth, at need."""

    def __init__(self, cases: list[int]) -> None:
        self.cases = cases
        self.made = 0
        self.honest = True

    def __call__(self) -> int | None:
        self.made += 1
        if self.honest or self.made % 4:
            return None
        return self.cases[self.made % len(self.cases)]


@pytest.fixture
def besieged(
    gateway_loop: Runner, capfd: pytest.CaptureFixture[str]
) -> Iterator[tuple[Gateway, HostileServer, Logins]]:
    """A gateway in front of a hostile server; its worker's log goes to capfd."""
    logins = Logins(numbers(SHORT))
    server = HostileServer(logins)
    port = gateway_loop.call(server.start())
    dsn = f"host=127.0.0.1 port={port} dbname=shop user=ann sslmode=disable"
    limits = {"pool__max_size": AT_ONCE, "gateway__queue_timeout": 2.0, "log__level": "critical"}
    with running(dsn, gateway_loop, **limits) as gateway:
        yield gateway, server, logins
    gateway_loop.call(server.stop())


async def ask(to: Address, sql: bytes) -> tuple[str, Stream]:
    """How it ended: "answered" with ReadyForQuery, "closed", or "stuck"."""
    stream = await opened(to)
    try:
        async with asyncio.timeout(DEADLINE):
            await stream.send(to.startup)
            if not await stream.until_kind(types.B_READY_FOR_QUERY):
                return "refused", stream
            stream.found.clear()
            await stream.send(encode.query(sql))
            answered = await stream.until_kind(types.B_READY_FOR_QUERY)
            return "answered" if answered else "closed", stream
    except TimeoutError:
        return "stuck", stream
    finally:
        await stream.close()


async def siege(to: Address, cases: list[int], ends: Counter[str]) -> list[int]:
    """Ask for all cases, some at once; gives those that ended badly."""
    stuck: list[int] = []
    left = iter(cases)

    async def worker() -> None:
        for number in left:
            end, stream = await ask(to, b"fuzz %d" % number)
            ends[end] += 1
            if end == "stuck" or stream.broken:
                print(f"case {number}: {end}; {stream.broken}; the last came {stream.found[-3:]}")
                stuck.append(number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return stuck


def answers(to: Address) -> bool:
    """Whether an honest question gets its honest answer."""
    _, stream = asyncio.run(ask(to, b"SELECT honest"))
    return (types.B_DATA_ROW, m.DataRow((b"SELECT honest",)).encode()[5:]) in stream.found


@pytest.mark.parametrize("cases", LENGTHS)
def test_hostile_server(
    besieged: tuple[Gateway, HostileServer, Logins],
    cases: int,
    capfd: pytest.CaptureFixture[str],
    record_property: Callable[[str, int], None],
) -> None:
    gateway, server, logins = besieged
    to = Address(gateway.host, gateway.port, {"user": "ann", "database": "shop"})
    pids, restarts = gateway.pids, gateway.supervisor.restarts
    ends: Counter[str] = Counter()
    assert answers(to)
    logins.honest = False
    stuck = asyncio.run(siege(to, numbers(cases), ends))
    logins.honest = True
    made = f"{server.messages} messages on {server.connections} connections"
    print(f"fuzz hostile server: {made}, {dict(ends)}")
    record_property("messages", server.messages)
    if stuck:
        print(again(f"{PATH}[{cases}]", stuck))
    assert [] == stuck
    assert (pids, restarts) == (gateway.pids, gateway.supervisor.restarts)
    assert any(answers(to) for _ in range(5)), "the server is honest again, and nobody is served"
    assert "" == capfd.readouterr().err
