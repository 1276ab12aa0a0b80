"""A live gateway and damaged captures: each client is answered or closed, and nobody suffers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic, sleep

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.fuzz.corpus import SETUP, captures, sessions
from tests.fuzz.hostile import Address, Outcome, attack, canary, knock
from tests.fuzz.mutate import again, case, mutated, numbers, window

BACKENDS = 6
AT_ONCE = 12
PATH = "tests/fuzz/test_fuzz_gateway.py::test_"
LIMITS = (
    "statement_timeout = '500ms'",
    "lock_timeout = '300ms'",
    "idle_in_transaction_session_timeout = '30s'",
)
SHORT, LONG = 300, 40_000
"""Cases; each has ten messages or so."""
LENGTHS = [SHORT, pytest.param(LONG, marks=[pytest.mark.fuzz, pytest.mark.timeout(3600)])]
Case = Callable[[Address, int], Awaitable[Outcome]]


@pytest.fixture(scope="module")
def dsn(pg_backend: Server) -> Iterator[str]:
    """A database as the captures know it, where nothing can run for long."""
    with fresh_database(pg_backend) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SETUP)
            name = connection.info.dbname
            for limit in LIMITS:
                connection.execute(f'ALTER DATABASE "{name}" SET {limit}')
        yield dsn


@pytest.fixture
def besieged(
    dsn: str, gateway_loop: Runner, capfd: pytest.CaptureFixture[str]
) -> Iterator[Gateway]:
    """A gateway whose worker's log goes to capfd."""
    with running(dsn, gateway_loop, pool__max_size=BACKENDS, gateway__login_timeout=3.0) as gateway:
        yield gateway


def address(gateway: Gateway) -> Address:
    parts = conninfo_to_dict(gateway.dsn())
    names = {"user": str(parts["user"]), "database": str(parts["dbname"])}
    return Address(str(parts["host"]), int(str(parts["port"])), names)


async def damaged_session(to: Address, number: int) -> Outcome:
    chance = case(number)
    capture = chance.choice(sessions())
    found = mutated(chance, window(chance, capture.client), sessions())
    return await attack(to, number, chance, found)


async def damaged_login(to: Address, number: int) -> Outcome:
    chance = case(number)
    capture = chance.choice(captures())
    opening = [*capture.opening[:-1], chance.choice((to.startup, capture.opening[-1]))]
    found = mutated(chance, [*opening, *capture.client[:4]], sessions())
    return await knock(to, number, chance, found)


class Siege:
    """Cases at once on one gateway, and a canary among them."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.outcomes: list[Outcome] = []
        self.under_way: set[int] = set()

    async def run(self, one: Case, cases: list[int]) -> int:
        to, stop = address(self.gateway), asyncio.Event()
        bird = asyncio.create_task(canary(to, stop))
        left = iter(cases)

        async def worker() -> None:
            for number in left:
                if bird.done():
                    return
                self.under_way.add(number)
                self.outcomes.append(await one(to, number))
                self.under_way.discard(number)

        try:
            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        finally:
            stop.set()
        return await bird

    @property
    def wrong(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.wrong]

    def suspects(self) -> list[int]:
        return [outcome.number for outcome in self.wrong] or sorted(self.under_way)

    def summary(self) -> dict[str, object]:
        ends = Counter(f"{one.expected}: {one.ended}" for one in self.outcomes)
        codes = Counter(code for one in self.outcomes for code in one.sqlstates)
        return {
            "cases": len(self.outcomes),
            "messages": sum(one.messages for one in self.outcomes),
            **ends,
            "sqlstates": dict(codes.most_common()),
        }


def unrest(gateway: Gateway) -> list[str]:
    """Clients that are left, and pools of which something is held."""
    gateway.seen.next_frame()
    (snapshot,) = gateway.seen.snapshots.values()
    busy = [pool for pool in snapshot.pools if pool.cl_active or pool.cl_waiting or pool.sv_active]
    return ([f"{snapshot.clients} clients"] if snapshot.clients else []) + [
        str(one) for one in busy
    ]


def backends(dsn: str) -> list[str]:
    """The states of the gateway's backends."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()
    return [str(state) for (state,) in found]


def busy_backends(dsn: str) -> list[str]:
    """Those of them that are within a transaction."""
    return [state for state in backends(dsn) if state != "idle"]


def until_none(look: Callable[[], list[str]], timeout: float = 10.0) -> None:
    """Wait until there is none; fails with what there is."""
    deadline = monotonic() + timeout
    while found := look():
        assert monotonic() < deadline, found
        sleep(0.05)


@pytest.mark.parametrize("cases", LENGTHS)
@pytest.mark.parametrize("one", [damaged_session, damaged_login])
def test_bad_input(
    besieged: Gateway,
    dsn: str,
    one: Case,
    cases: int,
    capfd: pytest.CaptureFixture[str],
    record_property: Callable[[str, int], None],
) -> None:
    pids, restarts = besieged.pids, besieged.supervisor.restarts
    siege = Siege(besieged)
    name = getattr(one, "__name__", "")
    try:
        answers = asyncio.run(siege.run(one, numbers(cases)))
        assert [] == siege.wrong
        assert (pids, restarts) == (besieged.pids, besieged.supervisor.restarts)
        until_none(lambda: unrest(besieged))
        until_none(lambda: busy_backends(dsn))
        assert "" == capfd.readouterr().err, "the worker's log tells of what it did not expect"
    except BaseException:
        print(again(f"{PATH}bad_input[{name}-{cases}]", siege.suspects()))
        raise
    print(f"fuzz {name}: {siege.summary()}; the canary had {answers} answers")
    record_property("messages", sum(outcome.messages for outcome in siege.outcomes))
    assert answers > 0
    assert BACKENDS >= len(backends(dsn))
