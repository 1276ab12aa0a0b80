"""Multiplexer: who gets which backend when, and that nobody waits while there is one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, QueueTimeout, ServerRefused
from dbopt.gateway import leases
from dbopt.gateway.backend import Backend
from dbopt.wire.types import IN_TRANSACTION
from tests.unit.gateway.pool_stage import PoolStage, Waiter


def run(play: Callable[[PoolStage], Awaitable[None]], max_size: int = 2) -> None:
    """Play it, on a stage of its own; nothing may fail unseen in a task."""

    async def main() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, seen: failures.append(seen))
        await play(PoolStage(max_size))
        await asyncio.sleep(0)
        assert [] == failures

    asyncio.run(main())


class Cancels:
    """Takes the place of the function that sends cancels: each ends when it is told to."""

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[None]] = []

    async def __call__(self, backend: Backend) -> None:
        self.sent.append(asyncio.get_running_loop().create_future())
        await self.sent[-1]


@pytest.fixture
def cancels(monkeypatch: pytest.MonkeyPatch) -> Cancels:
    made = Cancels()
    monkeypatch.setattr(leases, "cancel", made)
    return made


def test_a_backend_goes_from_one_to_the_next_in_order() -> None:
    async def play(stage: PoolStage) -> None:
        first, second, third = (stage.waiter().ask() for _ in range(3))
        assert (0, 3, 0, 0) == stage.counts
        backend = await stage.give()
        assert first.backend is backend
        assert (1, 2, 1, 0) == stage.counts  # no room for another
        first.done()
        assert second.backend is backend
        second.done()
        third.done()
        assert (0, 0, 1, 0) == stage.counts
        again = stage.waiter().ask()
        assert again.backend is backend

    run(play, max_size=1)


def test_as_many_are_fetched_as_wait_and_there_is_room_for() -> None:
    async def play(stage: PoolStage) -> None:
        for _ in range(5):
            stage.waiter().ask()
        await stage.turn()
        assert (0, 5, 0, 3) == stage.counts
        await stage.give()
        await stage.give()
        assert (2, 3, 2, 1) == stage.counts
        await stage.give()
        assert (3, 2, 3, 0) == stage.counts

    run(play, max_size=3)


@pytest.mark.parametrize(
    "error", [PoolTimeout(), PoolClosed("not open yet")], ids=["timeout", "closed"]
)
def test_a_fetch_that_fails_is_followed_by_another(error: Exception) -> None:
    async def play(stage: PoolStage) -> None:
        waiter = stage.waiter().ask()
        await stage.fail(error)
        stage.pool.tick(monotonic())
        await stage.turn()
        assert (0, 1, 0, 1) == stage.counts
        backend = await stage.give()
        assert waiter.backend is backend

    run(play)


def test_an_error_that_nobody_foresaw_is_not_counted_as_a_fetch() -> None:
    seen: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: seen.append(what))
        stage = PoolStage(1)
        waiter = stage.waiter().ask()
        await stage.fail(TooManyRequests("too many"))
        stage.pg.put_fails = ValueError("not ours")
        stage.pool.tick(monotonic())
        backend = await stage.give()
        assert waiter.backend is backend
        other = stage.waiter().ask()
        waiter.leave()
        await stage.turn()
        assert (0, 1, 0, 1) == stage.counts  # putconn failed, and yet there is room
        await stage.give()
        assert other.backend is not None
        stage.pool.tick(monotonic())

    asyncio.run(main())
    assert 2 == len(seen)  # and both errors were told of


def test_a_backend_comes_when_its_waiter_has_left() -> None:
    async def play(stage: PoolStage) -> None:
        waiter = stage.waiter().ask()
        await stage.turn()
        stage.pool.forsake(waiter)
        await stage.give()
        assert (0, 0, 1, 0) == stage.counts
        assert waiter.backend is None
        assert stage.waiter().ask().backend is not None

    run(play)


def test_one_fetch_serves_who_came_after_its_waiter_had_left() -> None:
    async def play(stage: PoolStage) -> None:
        stage.pool.forsake(stage.waiter().ask())
        later = stage.waiter().ask()
        await stage.turn()
        assert 1 == len(stage.pending)
        await stage.give()
        assert later.backend is not None

    run(play)


def test_what_is_closed_is_given_to_nobody() -> None:
    async def play(stage: PoolStage) -> None:
        waiter = stage.waiter().ask()
        dead = [await stage.give(stage.backend(closed=True)) for _ in range(20)]
        backend = await stage.give()
        assert dead == stage.pg.returned
        assert waiter.backend is backend

    run(play)


def test_a_backend_that_was_closed_while_idle_is_passed_over() -> None:
    async def play(stage: PoolStage) -> None:
        first, second = stage.waiter().ask(), stage.waiter().ask()
        good, bad = await stage.give(), await stage.give()
        first.done()
        second.done()
        bad.abort()
        assert stage.waiter().ask().backend is good
        await stage.turn()
        assert [bad] == stage.pg.returned
        assert (1, 0, 1, 0) == stage.counts

    run(play)


@pytest.mark.parametrize(
    ("status", "expires"), [(IN_TRANSACTION, 1e18), (0x49, 0.0)], ids=["transaction", "expired"]
)
def test_psycopg_pool_gets_back_what_needs_its_care(status: int, expires: float) -> None:
    async def play(stage: PoolStage) -> None:
        holder, waiter = stage.waiter().ask(), stage.waiter().ask()
        backend = await stage.give()
        assert holder.backend is backend
        backend._expire_at = expires
        holder.done(status)
        assert (0, 1, 0, 0) == stage.counts
        await stage.turn()
        assert [backend] == stage.pg.returned
        assert (0, 1, 0, 1) == stage.counts  # the place is free: another is fetched
        await stage.give()
        assert waiter.backend is not None

    run(play, max_size=1)


def test_a_thousand_that_are_done_at_once_do_not_nest() -> None:
    async def play(stage: PoolStage) -> None:
        waiters = [stage.waiter(logging_in=True, at_once=True).ask() for _ in range(1000)]
        await stage.give()
        assert [1] * 1000 == [waiter.turns for waiter in waiters]
        assert (0, 0, 1, 0) == stage.counts

    run(play, max_size=1)


def test_who_asks_within_its_turn_queues_behind_the_others() -> None:
    async def play(stage: PoolStage) -> None:
        order: list[str] = []

        class Again(Waiter):
            name = ""

            def granted(self, backend: Backend, waited: float) -> None:
                super().granted(backend, waited)
                order.append(self.name)
                self.done()
                if self.turns == 1:
                    self.ask()

        for name in "abc":
            waiter = Again(stage.pool)
            waiter.name = name
            waiter.ask()
        await stage.give()
        assert "abcabc" == "".join(order)
        assert (0, 0, 1, 0) == stage.counts

    run(play, max_size=1)


def test_a_client_that_fails_when_it_is_granted_harms_nobody_else() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        stage.waiter(fails=RuntimeError("a bug")).ask()
        last = stage.waiter().ask()
        await stage.give()
        holder.done()
        await stage.turn()
        assert (0, 1, 0, 1) == stage.counts  # that backend is closed, another is fetched
        await stage.give()
        assert last.backend is not None

    run(play, max_size=1)


def test_a_client_that_fails_when_it_is_refused_stops_no_clock() -> None:
    async def play(stage: PoolStage) -> None:
        waiters = [stage.waiter(fails=RuntimeError("a bug")).ask(), stage.waiter().ask()]
        stage.pool.tick(monotonic() + 1000)
        assert [QueueTimeout, QueueTimeout] == [type(waiter.error) for waiter in waiters]
        assert 2 == stage.pool.queue_timeouts

    run(play)


# Time


def test_tick_ends_waits_that_are_too_long_and_no_others() -> None:
    async def play(stage: PoolStage) -> None:
        old, new = stage.waiter().ask(), stage.waiter().ask()
        stage.pool.waiting[old] -= 29.0
        stage.pool.tick(monotonic() + 2.0)
        assert isinstance(old.error, QueueTimeout)
        assert "0 of 2 are in use" in old.error.message
        assert None is new.error
        assert 1 == stage.pool.snapshot(monotonic()).cl_waiting

    run(play)


def test_tick_gives_back_the_least_recently_used_first() -> None:
    async def play(stage: PoolStage) -> None:
        holders = [stage.waiter().ask() for _ in range(3)]
        backends = [await stage.give() for _ in range(3)]
        for holder in holders:
            holder.done()
        now = monotonic()
        for age, backend in zip((3.0, 2.0, 0.1), backends, strict=True):
            backend.idle_since = now - age
        stage.pool.tick(now)
        await stage.turn()
        assert backends[:2] == stage.pg.returned
        assert (0, 0, 1, 0) == stage.counts

    run(play, max_size=3)


def test_tick_mends_a_fetch_that_was_lost() -> None:
    async def play(stage: PoolStage) -> None:
        waiter = stage.waiter()
        stage.pool._queue.push(waiter, "", monotonic())  # as if nobody had been told
        stage.pool.tick(monotonic())
        await stage.give()
        assert waiter.backend is not None

    run(play)


def test_tick_is_passed_to_who_holds_a_backend_and_a_failure_ends_that_one_alone() -> None:
    async def play(stage: PoolStage) -> None:
        failing, well, waiting = (stage.waiter().ask() for _ in range(3))
        bad = await stage.give()
        await stage.give()
        failing.tick_fails = RuntimeError("a bug")
        stage.pool.tick(50.0)
        assert ([50.0], [50.0], []) == (failing.ticks, well.ticks, waiting.ticks)
        assert bad.closed

    run(play)


def test_a_holder_that_fails_when_its_backend_is_lost_costs_the_pool_no_place() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        backend.closed = backend.unfit = True  # and `server_lost` has failed
        stage.pool.tick(50.0)
        await asyncio.sleep(0)
        assert ([backend], [], set()) == (stage.pg.returned, holder.ticks, stage.pool._leased)

    run(play)


def test_who_waits_is_told_once_with_how_many_are_before_it() -> None:
    async def play(stage: PoolStage) -> None:
        first, second = stage.waiter().ask(), stage.waiter().ask()
        now = monotonic()
        stage.pool.waiting[first] = now
        stage.pool.waiting[second] = now + 0.5
        for later in (4.9, 5.2, 5.4, 5.6, 6.0, 9.0):
            stage.pool.tick(now + later)
        assert ([0], [1]) == ([n[1] for n in first.notices], [n[1] for n in second.notices])
        told = [first.notices[0][0], second.notices[0][0]]
        assert pytest.approx([5.2, 5.1]) == told

    run(play)


def test_without_a_queue_notice_nobody_is_told() -> None:
    async def play(stage: PoolStage) -> None:
        waiter = stage.waiter().ask()
        stage.pool.reconfigure(replace(stage.pool.route, queue_notice=0.0), stage.pool.targets)
        stage.pool.tick(monotonic() + 20.0)
        assert [] == waiter.notices

    run(play)


def test_the_snapshot_tells_of_pins_timeouts_and_mode() -> None:
    async def play(stage: PoolStage) -> None:
        holders = [stage.waiter().ask() for _ in range(2)]
        await stage.give()
        await stage.give()
        holders[0].pinned = "a temporary table"
        stage.pool.pins += 3
        for count, name in enumerate(stage.pool.timeouts):
            stage.pool.timeouts[name] += count
        seen = stage.pool.snapshot(monotonic())
        assert ("transaction", 2, 1, 3) == (seen.mode, seen.cl_active, seen.cl_pinned, seen.pins)
        assert (0, 1, 2, 3) == (
            seen.query_timeouts, seen.transaction_timeouts, seen.idle_transaction_timeouts,
            seen.client_idle_timeouts,
        )  # fmt: skip

    run(play)


# Cancels


def test_a_cancel_in_flight_keeps_the_backend_from_the_next(cancels: Cancels) -> None:
    async def play(stage: PoolStage) -> None:
        holder, waiter = stage.waiter().ask(), stage.waiter().ask()
        backend = await stage.give()
        for _ in range(2):
            stage.pool.cancel(backend)
        await stage.turn()
        holder.done()
        cancels.sent[0].set_result(None)
        await stage.turn()
        assert 0 == waiter.turns
        cancels.sent[1].set_result(None)
        await stage.turn()
        assert backend is waiter.backend
        assert (1, 0, 1, 0) == stage.counts

    run(play, max_size=1)


def test_a_cancel_that_ends_first_offers_nothing(cancels: Cancels) -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        stage.pool.cancel(backend)
        await stage.turn()
        cancels.sent[0].set_result(None)
        await stage.turn()
        assert holder.backend is backend
        assert (1, 0, 1, 0) == stage.counts
        holder.done()
        assert (0, 0, 1, 0) == stage.counts

    run(play)


def test_a_backend_that_is_to_be_closed_is_not_offered_by_an_earlier_cancel(
    cancels: Cancels,
) -> None:
    async def play(stage: PoolStage) -> None:
        holder, waiter = stage.waiter().ask(), stage.waiter().ask()
        backend = await stage.give()
        stage.pool.cancel(backend)
        await stage.turn()
        holder.leave(cancel_first=True)
        await stage.turn()
        cancels.sent[0].set_result(None)
        await stage.turn()
        assert None is waiter.backend
        cancels.sent[1].set_result(None)
        await stage.turn()
        assert backend.closed
        assert [backend] == stage.pg.returned
        await stage.give()
        assert waiter.backend is not None

    run(play, max_size=1)


def test_a_backend_that_is_lost_while_it_is_parked_goes_back_once(cancels: Cancels) -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        stage.pool.cancel(backend)
        await stage.turn()
        holder.done()
        backend.abort()
        await stage.turn()
        cancels.sent[0].set_result(None)
        await stage.turn()
        assert [backend] == stage.pg.returned
        assert (0, 0, 0, 0) == stage.counts

    run(play)


# A server that cannot be reached

DOWN = ConnectError("PostgreSQL cannot be reached.")


@pytest.mark.parametrize(
    ("error", "in_use", "told"),
    [
        (DOWN, False, True),
        (DOWN, True, False),
        (ServerRefused("no such database", "3D000"), False, True),
        (ServerRefused("starting up", "57P03"), False, False),
        (ServerRefused("too many connections", "53300"), False, False),
    ],
)
def test_who_logs_in_is_told_at_once_and_who_works_waits(
    error: ConnectError, in_use: bool, told: bool
) -> None:
    async def play(stage: PoolStage) -> None:
        if in_use:
            stage.waiter().ask()
            await stage.give()
        worker, login = stage.waiter().ask(), stage.waiter(logging_in=True).ask()
        stage.pool.connect_failed(error)
        assert None is worker.error
        assert (error if told else None) is login.error
        assert 1 == stage.pool.server_errors

    run(play)


def test_the_reason_is_told_at_the_end_of_a_wait_and_forgotten_after_recovery() -> None:
    async def play(stage: PoolStage) -> None:
        first = stage.waiter().ask()
        stage.pool.connect_failed(DOWN)
        stage.pool.tick(monotonic() + 1000)
        assert isinstance(first.error, ConnectError)
        await stage.give()
        second, third = stage.waiter().ask(), stage.waiter().ask()
        assert second.backend is not None
        stage.pool.tick(monotonic() + 1000)
        assert isinstance(third.error, QueueTimeout)

    run(play, max_size=1)


# The end


def test_close_refuses_who_waits_and_keeps_nothing() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        waiter = stage.waiter().ask()
        await stage.turn()
        await stage.pool.close()
        assert isinstance(waiter.error, ConnectError)
        await stage.turn()
        assert backend.closed
        assert None is holder.backend
        late = await stage.give()  # it had been asked for before
        assert [late] == stage.pg.returned
        too_late = stage.waiter().ask()
        await stage.fail(PoolClosed("closed"))
        assert isinstance(too_late.error, ConnectError)
        assert (0, 0, 0, 0) == stage.counts

    run(play)


# All of it, at random


@pytest.mark.parametrize("seed", range(40))
def test_nobody_waits_while_there_is_a_backend(seed: int, cancels: Cancels) -> None:
    """Random clients, servers and faults; after each step no backend is idle while one waits,
    all that wait and have room are fetched for, and no count drifts."""
    chance = random.Random(seed)  # noqa: S311 - no secret

    def check(stage: PoolStage, waiters: list[Waiter]) -> None:
        active, waiting, leased, asked = stage.counts
        pool = stage.pool
        assert active == sum(waiter.backend is not None for waiter in waiters)
        assert leased == len(pool._leased) <= 3
        assert asked == pool._fetching
        assert not (waiting and any(not backend.closed for backend in pool.idle))
        assert asked or not waiting or leased == 3
        assert waiting == sum(len(line.waiters) for line in pool._queue._busy.values())

    async def step(stage: PoolStage, waiters: list[Waiter]) -> None:
        busy = [waiter for waiter in waiters if waiter.backend is not None]
        move = chance.randrange(9)
        if move <= 1:
            options = {"at_once": chance.random() < 0.3, "application": chance.choice("abc")}
            waiters.append(stage.waiter(**options).ask())
        elif move <= 3 and stage.pending:
            await stage.give(stage.backend(closed=chance.random() < 0.2))
        elif move == 4 and stage.pending:
            await stage.fail(PoolTimeout())
        elif move == 5 and busy:
            chance.choice(busy).done(chance.choice((0x49, 0x49, IN_TRANSACTION)))
        elif move == 6 and busy:
            chance.choice(busy).leave(cancel_first=chance.random() < 0.5)
        elif move == 7 and busy:
            backend = chance.choice(busy).backend
            assert backend is not None
            if chance.random() < 0.5:
                stage.pool.cancel(backend)
            else:
                backend.abort()
        elif move == 8:
            for sent in chance.sample(cancels.sent, len(cancels.sent) // 2):
                if not sent.done():
                    sent.set_result(None)
            if stage.pool.waiting and chance.random() < 0.3:
                stage.pool.forsake(chance.choice(list(stage.pool.waiting)))

    async def play(stage: PoolStage) -> None:
        waiters: list[Waiter] = []
        for _ in range(300):
            await step(stage, waiters)
            await stage.turn()
            check(stage, waiters)

    run(play, max_size=3)
