"""Supply: reserve, limits over several pools, and another route, on a real psycopg_pool."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, QueueTimeout, ServerLost
from dbopt.gateway import serverpool, supply
from dbopt.gateway.backend import Backend
from dbopt.gateway.limits import Limits
from dbopt.gateway.multiplexer import LEASE_IDLE, Pool
from dbopt.gateway.routes import route
from dbopt.gateway.target import Target, Targets
from dbopt.settings import Settings
from tests.support import examples, wait_until_async
from tests.unit.gateway.pool_stage import TARGET, Transport, Waiter


class Servers:
    """Takes the place of Backend.connect: `open` are the connections that there are."""

    def __init__(self) -> None:
        self.made: list[Backend] = []
        self.most = 0
        self.down: ConnectError | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def connect(
        self, conninfo: str = "", *, owner: Pool, targets: Targets, epoch: int, **given: Any
    ) -> Backend:
        await asyncio.sleep(0)
        await self.answers.wait()
        if self.down is not None:
            owner.connect_failed(self.down)
            raise self.down
        backend = Backend(targets.hosts[0], owner, 10)
        backend.epoch = epoch
        backend.transport = cast(Any, Transport(backend))
        self.made.append(backend)
        self.most = max(self.most, len(self.open))
        return backend

    @property
    def open(self) -> list[Backend]:
        return [backend for backend in self.made if not backend.closed]


class World:
    """Pools of one worker."""

    def __init__(self, servers: Servers, **given: Any) -> None:
        self.servers = servers
        given = {"min_size": 0, "max_size": 2} | given
        self.settings = replace(Settings(), pool=replace(Settings().pool, **given))
        self.limits = Limits(self.settings)
        self.pools: list[Pool] = []

    async def pool(self, database: str = "shop", user: str = "ann") -> Pool:
        made = Pool(route(self.settings, database, user), Targets((TARGET,)), self.limits)
        await made.open()
        self.pools.append(made)
        return made

    async def close(self) -> None:
        for pool in self.pools:
            await pool.close()
        assert [] == self.servers.open
        assert ({}, {}) == (self.limits._db_backends, self.limits._user_backends)

    async def served(self, *waiters: Waiter) -> list[Backend]:
        """The backends of waiters that all get one."""

        async def all_served() -> bool:
            return all(waiter.backend is not None for waiter in waiters)

        await wait_until_async(all_served, timeout=5.0, what="backends for all")
        return [waiter.backend for waiter in waiters if waiter.backend is not None]

    async def settle(self) -> None:
        """Let all run that can."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    made = Servers()
    monkeypatch.setattr(Backend, "connect", made.connect)
    return made


def run(servers: Servers, play: Callable[[World], Awaitable[None]], **given: Any) -> None:
    """Play it; nothing may fail unseen, and at the end nothing is open or counted."""

    async def main() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, seen: failures.append(seen))
        world = World(servers, **given)
        try:
            await play(world)
        finally:
            await world.close()
        assert [] == failures

    asyncio.run(main())


def soon(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return condition()

    return asked


# Reserve


def test_the_reserve_is_for_who_has_waited_long(servers: Servers) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(2)]
        await world.served(*holders)
        late = [Waiter(pool).ask() for _ in range(2)]
        pool.tick(monotonic())
        await world.settle()
        assert 2 == len(servers.open)
        for waiter in late:
            pool.waiting[waiter] -= 5.0
        pool.tick(monotonic())
        await wait_until_async(soon(lambda: pool.snapshot(monotonic()).sv_reserve == 1))
        assert [True, False] == [waiter.backend is not None for waiter in late]
        assert 3 == servers.most

    run(servers, play, reserve_size=1, reserve_timeout=5.0)


def test_the_reserve_goes_first_when_it_is_not_needed(servers: Servers) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(3)]
        await world.served(*holders)
        assert 1 == pool.snapshot(monotonic()).sv_reserve
        holders[0].done()
        pool.tick(monotonic())
        await world.settle()
        assert (2, 0) == (len(servers.open), pool.snapshot(monotonic()).sv_reserve)
        holders[1].done()
        pool.tick(monotonic())
        await world.settle()
        assert 2 == len(servers.open)

    run(servers, play, reserve_size=1, reserve_timeout=0.0)


# Limits of a database and a user over its pools


@pytest.mark.parametrize(
    ("limit", "other"),
    [("max_db_connections", ("shop", "bob")), ("max_user_connections", ("other", "ann"))],
)
def test_a_pool_at_the_limit_takes_the_place_of_what_another_does_not_use(
    servers: Servers, limit: str, other: tuple[str, str]
) -> None:
    async def play(world: World) -> None:
        first, second = await world.pool(), await world.pool(*other)
        holders = [Waiter(first).ask() for _ in range(2)]
        backends = await world.served(*holders)
        waiter = Waiter(second).ask()
        await world.settle()
        second.tick(monotonic())
        await world.settle()
        assert None is waiter.backend  # both are in use
        holders[0].done()
        second.tick(monotonic())
        await world.served(waiter)
        assert backends[0].closed
        assert 2 == len(servers.open)
        assert 2 == servers.most

    run(servers, play, **{limit: 2})


def test_the_least_recently_used_one_goes(servers: Servers) -> None:
    async def play(world: World) -> None:
        pools = [await world.pool("shop", user) for user in ("a", "b", "c")]
        holders = [Waiter(pool).ask() for pool in pools[:2]]
        old, new = await world.served(*holders)
        holders[0].done()
        pools[0].tick(monotonic() + LEASE_IDLE + 0.1)  # back in psycopg_pool
        holders[1].done()
        await world.settle()
        await world.served(Waiter(pools[2]).ask())
        assert (True, False) == (old.closed, new.closed)

    run(servers, play, max_db_connections=2)


def test_both_limits_may_cost_two(servers: Servers) -> None:
    async def play(world: World) -> None:
        by_database, by_user = await world.pool("shop", "bob"), await world.pool("other", "ann")
        holders = [Waiter(pool).ask() for pool in (by_database, by_user)]
        backends = await world.served(*holders)
        for holder in holders:
            holder.done()
        await world.served(Waiter(await world.pool("shop", "ann")).ask())
        assert [True, True] == [backend.closed for backend in backends]

    run(servers, play, max_db_connections=1, max_user_connections=1)


def test_a_pool_whose_clients_wait_spares_nothing(servers: Servers) -> None:
    async def play(world: World) -> None:
        first, second = await world.pool("shop", "a"), await world.pool("shop", "b")
        holder, queued = Waiter(first).ask(), Waiter(first).ask()
        await world.served(holder)
        waiter = Waiter(second).ask()
        holder.done()
        second.tick(monotonic())
        await world.settle()
        assert (True, False) == (queued.backend is not None, waiter.backend is not None)
        second.tick(monotonic() + 1000.0)
        assert isinstance(waiter.error, QueueTimeout)
        assert 'database "shop" has 1 server connections' in waiter.error.message

    run(servers, play, max_db_connections=1, max_size=1)


def test_a_pool_without_any_backend_gets_one_of_a_pool_that_is_always_busy(
    servers: Servers,
) -> None:
    async def play(world: World) -> None:
        first, second = await world.pool("shop", "a"), await world.pool("shop", "b")
        holders = [Waiter(first).ask() for _ in range(2)]
        backends = await world.served(*holders)
        queued = [Waiter(first).ask() for _ in range(3)]
        waiter = Waiter(second).ask()
        await world.settle()
        second.tick(monotonic())
        holders[0].done()
        Waiter(first).ask()  # wants the place too
        await world.served(waiter)
        assert (True, False) == (backends[0].closed, backends[1].closed)
        assert [0, 0, 0] == [one.turns for one in queued]
        holders[1].done()
        await world.served(queued[0])
        assert 2 == servers.most

    run(servers, play, max_db_connections=2)


def test_an_attempt_that_fails_leaves_its_place(servers: Servers) -> None:
    async def play(world: World) -> None:
        servers.down = ConnectError("down")
        first, second = await world.pool("shop", "a"), await world.pool("shop", "b")
        first._pg.reconnect_timeout = 0.0
        waiter = Waiter(first, logging_in=True).ask()
        await wait_until_async(soon(lambda: waiter.error is not None))
        servers.down = None
        other = Waiter(second).ask()

        async def served() -> bool:
            second.tick(monotonic())
            return other.turns == 1

        await wait_until_async(served)

    run(servers, play, max_db_connections=1)


def test_min_size_is_counted_beyond_the_limit_but_nothing_grows(servers: Servers) -> None:
    async def play(world: World) -> None:
        first = await world.pool("shop", "a")
        second = await world.pool("shop", "b")
        waiters = [Waiter(pool).ask() for pool in (first, first, first, second, second)]
        await world.settle()
        assert 4 == len(servers.open)
        assert [1, 1, 0, 1, 1] == [waiter.turns for waiter in waiters]

    run(servers, play, max_db_connections=1, min_size=2, max_size=3)


# Another route


def reroute(world: World, pool: Pool, targets: Targets | None = None, **given: Any) -> None:
    settings = replace(world.settings, pool=replace(world.settings.pool, **given))
    pool.reconfigure(route(settings, pool.database, pool.user), targets or pool.targets)


def test_reload_keeps_connections_whose_settings_did_not_change(servers: Servers) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(2)]
        backends = await world.served(*holders)
        holders[1].done()
        secret = Targets((replace(TARGET, password="new"),))
        reroute(world, pool, secret, queue_notice=1.0, max_size=5, max_idle=3.0)
        await world.settle()
        holders[0].done()
        await world.settle()
        assert backends == servers.open
        assert (5, 3.0, "new") == (
            pool._pg.max_size, pool._pg.max_idle, pool.targets.hosts[0].password,
        )  # fmt: skip

    run(servers, play)


@pytest.mark.parametrize("where", ["host", "connect_query"])
def test_connections_that_lead_elsewhere_are_replaced_when_they_come_free(
    servers: Servers, where: str
) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(2)]
        backends = await world.served(*holders)
        holders[1].done()
        if where == "host":
            reroute(world, pool, Targets((Target("new", 5432, "shop", "ann"),)))
        else:
            reroute(world, pool, connect_query="SET x.y = 1")
        await world.settle()
        assert [False, True] == [backend.closed for backend in backends]
        holders[0].done()
        await world.settle()
        assert [True, True] == [backend.closed for backend in backends]
        (next_one,) = await world.served(Waiter(pool).ask())
        assert ("new" if where == "host" else "nowhere") == next_one.target.host

    run(servers, play)


def test_what_is_being_opened_when_the_pool_begins_to_lead_elsewhere_is_given_to_nobody(
    servers: Servers,
) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        servers.answers.clear()
        waiter = Waiter(pool).ask()
        await world.settle()
        reroute(world, pool, Targets((Target("new", 5432, "shop", "ann"),)))
        await world.settle()
        servers.answers.set()
        (found,) = await world.served(waiter)
        assert ("new", True) == (found.target.host, servers.made[0].closed)
        assert "nowhere" == servers.made[0].target.host

    run(servers, play)


def test_a_smaller_pool_closes_what_psycopg_pool_has_unused(servers: Servers) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(4)]
        await world.served(*holders)
        for holder in holders[:3]:
            holder.done()
        pool.tick(monotonic() + LEASE_IDLE + 0.1)
        await world.settle()
        assert 4 == len(servers.open)
        reroute(world, pool, max_size=2)
        await world.settle()
        assert (2, 2) == (len(servers.open), pool._pg.size)
        assert holders[3].backend in servers.open

    run(servers, play, max_size=4)


def test_min_size_is_had_again_when_the_server_is_back(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverpool, "RECONNECT_TIMEOUT", 0.01)

    async def play(world: World) -> None:
        pool = await world.pool()
        await wait_until_async(soon(lambda: len(servers.open) == 2))
        servers.down = ConnectError("down")
        holders = [Waiter(pool).ask() for _ in range(2)]
        for backend in await world.served(*holders):
            backend.abort()
        await wait_until_async(soon(lambda: pool._pg.size == 0))
        now = monotonic()
        pool.tick(now)
        await wait_until_async(soon(lambda: pool._pg.size == 0 and not pool._pg._growing))
        servers.down = None
        pool.tick(now + 1.0)
        assert 0 == pool._pg.size  # it is not asked all the time
        pool.tick(now + 10.0)
        await wait_until_async(soon(lambda: len(servers.open) == 2))

    run(servers, play, min_size=2)


def test_a_smaller_pool_shrinks_as_its_backends_come_free(servers: Servers) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        holders = [Waiter(pool).ask() for _ in range(4)]
        await world.served(*holders)
        queued = Waiter(pool).ask()
        reroute(world, pool, max_size=2)
        await world.settle()
        for holder in holders[:2]:
            holder.done()
        await world.settle()
        assert (2, None) == (len(servers.open), queued.backend)
        holders[2].done()
        await world.served(queued)
        assert 2 == len(servers.open)

    run(servers, play, max_size=4)


@pytest.mark.parametrize(("held", "expected"), [(0, 3), (2, 3), (4, 4)])
def test_a_larger_min_size_opens_what_is_missing_alone(
    servers: Servers, held: int, expected: int
) -> None:
    async def play(world: World) -> None:
        pool = await world.pool()
        await world.served(*(Waiter(pool).ask() for _ in range(held)))
        reroute(world, pool, min_size=3, max_size=4)
        await wait_until_async(soon(lambda: len(servers.open) >= expected))
        await world.settle()
        assert (expected, expected) == (len(servers.open), pool._pg.size)

    run(servers, play, max_size=4)


# A check of what has rested for long


@pytest.mark.parametrize(("rested", "asked"), [(29.0, 0), (31.0, 1)])
@pytest.mark.parametrize("answers", [True, False])
def test_what_rested_for_long_is_checked(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, rested: float, asked: int, answers: bool
) -> None:
    checks: list[Backend] = []

    async def clean(backend: Backend, sql: bytes, timeout: float) -> None:
        assert b"" == sql
        checks.append(backend)
        if not answers:
            backend.abort()
            raise ServerLost("It is gone.")

    monkeypatch.setattr(supply, "clean", clean)

    async def play(world: World) -> None:
        pool = await world.pool()
        holder = Waiter(pool).ask()
        (old,) = await world.served(holder)
        holder.done()
        pool.tick(monotonic() + LEASE_IDLE + 0.1)
        await world.settle()
        old.idle_since -= rested
        old._created_at -= rested
        (found,) = await world.served(Waiter(pool).ask())
        assert asked == len(checks[:1])
        assert (old is found) == (answers or not asked)

    run(servers, play)


@pytest.mark.parametrize("seed", range(examples(10)))
def test_whatever_happens_who_waits_is_served_and_limits_hold(servers: Servers, seed: int) -> None:
    """Clients come and go, servers end connections, reloads change all, at random."""
    dice = random.Random(seed)  # noqa: S311 - no secret

    async def play(world: World) -> None:
        pools = [await world.pool("shop", user) for user in "abc"]
        working: list[Waiter] = []
        asking: list[Waiter] = []
        for step in range(300):
            pool = dice.choice(pools)
            match dice.randrange(10):
                case 0 | 1 | 2 | 3:
                    asking.append(Waiter(pool).ask())
                case 4 | 5 | 6 if working:
                    working.pop(dice.randrange(len(working))).done()
                case 7 if servers.open:
                    dice.choice(servers.open).abort()
                case 8:
                    host = replace(TARGET, host=dice.choice("xy"))
                    sizes = {"max_size": dice.randint(1, 4), "reserve_size": dice.randint(0, 1)}
                    reroute(world, pool, Targets((host,)), **sizes)
                case 9:
                    for each in pools:
                        each.tick(monotonic() + dice.choice([0.0, 2.0]))
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            working = [w for w in [*working, *asking] if w.backend is not None]
            asking = [w for w in asking if w.backend is None and w in w.pool.waiting]
            assert len(servers.open) <= 4, step
        until = monotonic() + 10.0
        while asking or working:
            assert monotonic() < until, asking
            for each in pools:
                each.tick(monotonic())
            for waiter in working:
                waiter.done()
            await asyncio.sleep(0.001)
            working = [w for w in asking if w.backend is not None]
            asking = [w for w in asking if w.backend is None and w in w.pool.waiting]
        await world.settle()
        for each in pools:
            assert (0, 0, each.targets.hosts[0].host) == (
                len(each.waiting), each.in_use(), next(
                    (b.target.host for b in each.idle), each.targets.hosts[0].host
                ),
            )  # fmt: skip

    run(servers, play, max_db_connections=4, max_size=3)
