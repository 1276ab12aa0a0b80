"""Leases: weights, a queue with an end, resets before anyone else, and the drain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from dbopt.clock import monotonic
from dbopt.errors import QueueFull
from dbopt.gateway.backend import Backend
from dbopt.gateway.leases import waiting_notice
from dbopt.wire import encode
from dbopt.wire.types import IN_TRANSACTION
from tests.unit.gateway.pool_stage import PoolStage, Waiter


def run(play: Callable[[PoolStage], Awaitable[None]], max_size: int = 1, **given: Any) -> None:
    """Play it, on a stage of its own; nothing may fail unseen in a task."""

    async def main() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, seen: failures.append(seen))
        await play(PoolStage(max_size, **given))
        await asyncio.sleep(0)
        assert [] == failures

    asyncio.run(main())


def age(stage: PoolStage, backend: Backend) -> None:
    """As if it had been held for a second, in which somebody waited."""
    assert backend.ticket is not None
    backend.ticket.since -= 1.0
    backend.idle_since -= 1.0
    stage.pool._queue._since -= 1.0


# Weights


def test_applications_take_turns() -> None:
    """One has three clients, the other one: each gets half of the turns."""

    async def play(stage: PoolStage) -> None:
        crowd = [stage.waiter(application="crowd").ask() for _ in range(3)]
        lone = stage.waiter(application="lone").ask()
        await stage.give()
        for _ in range(200):
            (holder,) = (w for w in (*crowd, lone) if w.backend is not None)
            assert holder.backend is not None
            age(stage, holder.backend)
            holder.done()
            holder.ask()
        assert pytest.approx(100, abs=3) == lone.turns
        turns = [waiter.turns for waiter in crowd]
        assert max(turns) - min(turns) <= 1

    run(play)


def test_a_reload_changes_the_weights() -> None:
    async def play(stage: PoolStage) -> None:
        pool = stage.pool
        assert {"web": 4.0} == pool._queue.weights
        other = PoolStage(weights={"web": 2.0})
        pool.reconfigure(other.pool.route, pool.targets)
        assert {"web": 2.0} == pool._queue.weights

    run(play, weights={"web": 4.0})


def test_without_a_queue_nothing_is_charged() -> None:
    async def play(stage: PoolStage) -> None:
        stage.pool._queue.begin("other", 0.0)
        first = stage.waiter().ask()
        backend = await stage.give()
        first.done()
        for _ in range(10):
            stage.waiter().ask().done()
        assert backend.ticket is not None
        waiting = stage.waiter(application="a")
        holder = stage.waiter(application="b").ask()
        waiting.ask()
        holder.done()
        assert 0.0 == stage.pool._queue._lines[""].usual  # that ticket was of an old lease

    run(play)


def test_a_lease_that_began_without_a_queue_is_charged_from_the_next_tick() -> None:
    async def play(stage: PoolStage) -> None:
        first = stage.waiter(application="first").ask()
        backend = await stage.give()
        first.done()
        stage.waiter(application="second").ask()
        stage.waiter(application="third").ask()
        now = monotonic()
        stage.pool.tick(now)
        stage.pool.tick(now + 3.0)
        ticket = backend.ticket
        assert ticket is not None
        assert "second" == ticket.line.name
        assert pytest.approx(3.0) == ticket.used

    run(play)


# An end to the queue


def test_one_more_than_max_queue_is_refused_at_once_but_not_within_its_asking() -> None:
    async def play(stage: PoolStage) -> None:
        queued = [stage.waiter().ask() for _ in range(2)]
        late = stage.waiter().ask()
        assert [None] * 3 == [waiter.error for waiter in (*queued, late)]
        await stage.turn()
        assert isinstance(late.error, QueueFull)
        assert "53300" == late.error.sqlstate
        assert "2 clients already wait" in late.error.message
        assert "max_queue is 2" in late.error.message
        assert [None, None] == [waiter.error for waiter in queued]
        snapshot = stage.pool.snapshot(monotonic())
        assert (2, 1, 0) == (
            snapshot.cl_waiting, snapshot.queue_refusals, snapshot.queue_timeouts,
        )  # fmt: skip

    run(play, max_queue=2)


def test_who_has_left_is_not_refused() -> None:
    async def play(stage: PoolStage) -> None:
        stage.waiter().ask()
        late = stage.waiter().ask()
        stage.pool.forsake(late)
        await stage.turn()
        assert (None, 0) == (late.error, stage.pool.queue_refusals)

    run(play, max_queue=1)


def test_a_free_backend_needs_no_queue() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        holder.done()
        queued = stage.waiter().ask()
        assert backend is queued.backend

    run(play, max_queue=1)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0, "no other client is before it"),
        (1, "1 other client is before it"),
        (7, "7 other clients are before it"),
    ],
)
def test_what_who_waits_is_told(ahead: int, said: str) -> None:
    assert said in waiting_notice(5.2, ahead)
    assert "for 5 s" in waiting_notice(5.2, ahead)


# Resets


class Answers:
    """A transport whose server answers each Query with what it is given."""

    def __init__(self, stage: PoolStage, waiter: Waiter) -> None:
        assert waiter.backend is not None
        self.backend = waiter.backend
        self.plain = self.backend.transport
        self.stage = stage
        self.written: list[bytes] = []
        self.backend.transport = cast(Any, self)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def abort(self) -> None:
        self.plain.abort()

    close = abort

    def answer(self, data: bytes = encode.ready_for_query(b"I")) -> None:
        self.backend.data_received(data)


def test_a_dirty_backend_is_reset_before_anyone_has_it() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        server = Answers(stage, holder)
        backend.reset_sql = b"DISCARD ALL"
        holder.done()
        waiter = stage.waiter().ask()
        await stage.turn()
        assert [encode.query(b"DISCARD ALL")] == server.written
        snapshot = stage.pool.snapshot(monotonic())
        assert 0 == waiter.turns
        assert (0, 0, 1) == (snapshot.cl_active, snapshot.sv_active, snapshot.sv_tested)
        stage.pool.tick(monotonic())
        server.answer()
        await stage.turn()
        assert backend is waiter.backend
        assert (b"", False) == (backend.reset_sql, backend.unfit)

    run(play)


def test_an_open_transaction_is_rolled_back_before_the_reset() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        server = Answers(stage, holder)
        backend.reset_sql = b"RESET ROLE"
        holder.done(IN_TRANSACTION)
        await stage.turn()
        assert [encode.query(b"ROLLBACK")] == server.written
        server.answer()
        await stage.turn()
        assert encode.query(b"RESET ROLE") == server.written[-1]
        server.answer()
        await stage.turn()
        assert backend is stage.waiter().ask().backend

    run(play)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "lost"])
def test_a_backend_that_cannot_be_reset_is_replaced(lost: bool) -> None:
    async def play(stage: PoolStage) -> None:
        holder, waiter = stage.waiter().ask(), stage.waiter().ask()
        backend = await stage.give()
        server = Answers(stage, holder)
        backend.reset_sql = b"NONSENSE"
        holder.done()
        await stage.turn()
        if lost:
            backend.connection_lost(None)
        else:
            refusal = encode.error_fields("ERROR", "42601", "no")
            server.answer(refusal + encode.ready_for_query(b"I"))
        await stage.turn()
        assert backend.closed
        assert [backend] == stage.pg.returned
        other = await stage.give()
        assert other is waiter.backend

    run(play)


def test_a_reset_waits_for_the_cancel_that_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[asyncio.Future[None]] = []

    async def cancel(_backend: object) -> None:
        sent.append(asyncio.get_running_loop().create_future())
        await sent[-1]

    monkeypatch.setattr("dbopt.gateway.leases.cancel", cancel)

    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        server = Answers(stage, holder)
        stage.pool.cancel(backend)
        backend.reset_sql = b"RESET ALL"
        holder.done()
        await stage.turn()
        assert [] == server.written
        sent[0].set_result(None)
        await stage.turn()
        assert [encode.query(b"RESET ALL")] == server.written

    run(play)


# The drain


def test_after_the_drain_began_only_who_waits_is_served() -> None:
    async def play(stage: PoolStage) -> None:
        holder, waiter = stage.waiter().ask(), stage.waiter().ask()
        backend = await stage.give()
        stage.pool.drain()
        assert stage.pool.draining
        holder.done()
        assert backend is waiter.backend
        waiter.done()
        assert None is stage.pool.take()
        await stage.turn()
        assert [backend] == stage.pg.returned

    run(play)


def test_what_is_idle_at_the_drain_goes_back() -> None:
    async def play(stage: PoolStage) -> None:
        holder = stage.waiter().ask()
        backend = await stage.give()
        holder.done()
        stage.pool.drain()
        assert None is stage.pool.take()
        await stage.turn()
        assert [backend] == stage.pg.returned

    run(play)
