"""Rounds of collecting on a real server: what is due, what it costs, and what cannot be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import ConnectError
from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.pool import Pool, control_pool
from dbopt.pg.server import ServerInfo
from dbopt.settings import Stats
from dbopt.stats.collecting import Collecting, Resume, Round
from dbopt.stats.view import Collected, View
from dbopt.store.frame import Standing, Target

NUMBERS = View("numbers", ("id",), ("name",), ("calls",), ("size_bytes",))


class Reader:
    """A collector of our own: any query, on a real connection."""

    def __init__(self, view: View, sql: str) -> None:
        self.view = view
        self.sql = sql
        self.limits: list[int] = []

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        self.limits.append(limit)
        cursor = await conn.execute(self.sql)  # type: ignore[arg-type]
        rows: list[Row] = await cursor.fetchall()
        return Collected(rows)


async def nothing(target: Target, view: View) -> Standing | None:
    return None


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


LOOK = "SELECT 1 AS id, 'one' AS name, nextval('public.n') AS calls, 8 AS size_bytes"


def rounds(
    dsn: str,
    readers: Sequence[Any],
    count: int = 1,
    *,
    resume: Resume = nothing,
    time: Time | None = None,
    **settings: Any,
) -> tuple[list[Round], Collecting]:
    """So many rounds, a minute apart by `time` if there is one."""

    async def main() -> tuple[list[Round], Collecting]:
        stats = Stats(**settings)
        done: list[Round] = []
        async with control_pool(dsn, stats) as pool:
            clock = time or Time()
            collecting = Collecting(pool, stats, readers, resume, clock)
            for _ in range(count):
                done.append(Round())
                await collecting.round(done[-1])
                clock.now += 60.0
        return done, collecting

    return asyncio.run(main())


@pytest.fixture
def counted(pg_conn: psycopg.Connection, pg_dsn: str) -> str:
    """A database where each look at `n` finds one more."""
    pg_conn.execute("CREATE SEQUENCE n")
    return pg_dsn


def test_frames_are_of_the_target_and_in_the_servers_time(counted: str) -> None:
    whole = View("whole", ("id",), ("name",), ("calls",), ("size_bytes",), of_server=True)
    (first, second), collecting = rounds(counted, [Reader(NUMBERS, LOOK), Reader(whole, LOOK)], 2)
    assert ["numbers", "whole"] == [frame.view for frame in first.frames]
    assert {(1,): (1, 8)} == first.frames[0].base
    assert {(1,): (2, 8)} == second.frames[0].changed
    assert 0.0 < second.frames[0].seconds < 10.0
    server = collecting.server
    assert server is not None
    assert [Target(server.address, server.database), Target(server.address)] == [
        frame.target for frame in second.frames
    ]
    assert second.frames[0].at == server.now


def test_the_history_goes_on_where_the_store_ends(counted: str) -> None:
    async def resume(target: Target, view: View) -> Standing | None:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return Standing(at, view.counters, view.gauges, {(1,): (-9, 8)}, {(1,): {"name": "one"}})

    (done,), _ = rounds(counted, [Reader(NUMBERS, LOOK)], resume=resume)
    assert {(1,): (10, 8)} == done.frames[0].changed
    assert {} == done.frames[0].labels


def test_until_the_end_of_the_history_is_known_there_are_no_frames(counted: str) -> None:
    asked: list[str] = []

    async def resume(target: Target, view: View) -> Standing | None:
        asked.append(view.name)
        if len(asked) < 3:
            raise ConnectError("The store is away.")
        return None

    done, collecting = rounds(counted, [Reader(NUMBERS, LOOK)], 4, resume=resume)
    assert [0, 0, 1, 1] == [len(one.frames) for one in done]
    assert [{"id": 1, "name": "one", "calls": 4, "size_bytes": 8}] == (
        collecting.latest["numbers"].rows
    )


def test_what_fails_is_not_examined_and_the_rest_is_seen(counted: str) -> None:
    broken = Reader(View("broken", ("id",)), "SELECT * FROM nowhere")
    (done,), collecting = rounds(counted, [broken, Reader(NUMBERS, LOOK)])
    assert ["numbers"] == [frame.view for frame in done.frames]
    (finding,) = collecting.findings
    assert ("stats-broken", False) == (finding.rule, finding.examined)
    assert "42P01" in finding.message
    samples = {(s.name, s.labels): s.value for s in collecting.samples()}
    assert 1 == samples["dbopt_collector_failures_total", ("broken",)]
    assert 0 == samples["dbopt_collector_failures_total", ("numbers",)]


def test_a_view_is_looked_at_as_often_as_it_wants(counted: str) -> None:
    seldom = View("seldom", ("id",), ("name",), ("calls",), ("size_bytes",), every=180.0)
    done, _ = rounds(counted, [Reader(NUMBERS, LOOK), Reader(seldom, LOOK)], 5)
    looked = [[frame.view for frame in one.frames] for one in done]
    often = ["numbers"]
    assert [["numbers", "seldom"], often, often, ["numbers", "seldom"], often] == looked


def test_a_collector_beyond_its_budget_slows_down_and_says_so(counted: str) -> None:
    time = Time()

    class Slow(Reader):
        async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
            time.now += took.pop(0)
            return await super().collect(conn, server, limit)

    took = [1.5, 0.1, 1.5, 1.5, 0.1]
    reader = Slow(NUMBERS, LOOK)
    done, _ = rounds(counted, [reader], 7, time=time, budget=0.01)
    # One long look is chance. 1.5 s are 1 % of 150 s: two rounds, a minute apart each, pass.
    assert [1, 1, 1, 1, 0, 0, 1] == [len(one.frames) for one in done]
    kinds = [(event.kind, event.object) for one in done for event in one.events]
    assert [("collector-pace", "numbers")] * 2 == kinds
    assert "read less often" in done[3].events[0].message
    assert "as often as wanted" in done[6].events[0].message


def test_a_frame_that_the_store_has_not_taken_loses_nothing(counted: str) -> None:
    """Another told of its time: what is next is compared with where the history ends now."""
    asked: list[float] = []
    time = Time()

    async def resume(target: Target, view: View) -> Standing | None:
        asked.append(time.now)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return Standing(at, view.counters, view.gauges, {(1,): (-9, 8)}, {})

    async def main() -> list[Round]:
        done = []
        async with control_pool(counted, Stats()) as pool:
            collecting = Collecting(pool, Stats(), [Reader(NUMBERS, LOOK)], resume, time)
            for _ in range(13):
                done.append(Round())
                await collecting.round(done[-1])
                collecting.overtaken(done[-1].frames[0].target, "numbers")
                collecting.overtaken(Target("another", "app"), "numbers")
                collecting.overtaken(done[-1].frames[0].target, "waits")
                time.now += 60.0
        return done

    done = asyncio.run(main())
    # Not at each: a fleet on several databases of one server has that all the time.
    assert [0.0, 60.0, 660.0] == asked
    grown = [one.frames[0].changed[(1,)][0] for one in done]
    assert [10, 11, 1, 1] == grown[:4]
    assert [1, 21, 1] == grown[10:]


def test_after_a_failover_the_target_is_another(counted: str) -> None:
    """What the server calls itself changes: its counters are compared with its own history."""
    with psycopg.connect(counted) as conn:
        socket = conn.execute("SHOW unix_socket_directories").fetchall()[0][0]
    targets: list[Target] = []

    async def resume(target: Target, view: View) -> Standing | None:
        targets.append(target)
        return None

    class Hosts:
        def __init__(self, *pools: Pool) -> None:
            self.pools = [*pools]

        def connection(self) -> Any:
            return self.pools.pop(0).connection()

    async def main() -> list[Round]:
        done = [Round(), Round()]
        local = make_conninfo(counted, host=socket)
        async with control_pool(counted, Stats()) as one, control_pool(local, Stats()) as other:
            hosts, clock = Hosts(one, other), Time()
            collecting = Collecting(hosts, Stats(), [Reader(NUMBERS, LOOK)], resume, clock)
            for each in done:
                await collecting.round(each)
                clock.now += 60.0
        return done

    first, second = asyncio.run(main())
    assert ["127.0.0.1", "local"] == [target.server.split(":")[0] for target in targets]
    assert targets == [one.frames[0].target for one in (first, second)]
    assert {} == second.frames[0].changed


def test_a_clock_that_was_put_back_is_told(counted: str) -> None:
    async def resume(target: Target, view: View) -> Standing | None:
        return Standing(datetime(2199, 1, 1, tzinfo=UTC), view.counters, view.gauges)

    (done,), collecting = rounds(counted, [Reader(NUMBERS, LOOK)], resume=resume)
    assert [] == done.frames
    (finding,) = collecting.findings
    assert "numbers has a history until 2199-01-01 00:00:00 UTC" in finding.message
    assert not finding.examined
    assert 1 == len(collecting.latest["numbers"].rows)


def test_a_server_may_have_a_name_of_its_own(counted: str) -> None:
    async def main() -> Round:
        done = Round()
        async with control_pool(counted, Stats()) as pool:
            readers = [Reader(NUMBERS, LOOK)]
            await Collecting(pool, Stats(), readers, nothing, name="db1.shop").round(done)
        return done

    assert "db1.shop" == asyncio.run(main()).frames[0].target.server


def test_limits_are_the_settings(counted: str) -> None:
    statements = Reader(View("statements", ("id",)), "SELECT 1 AS id")
    numbers = Reader(NUMBERS, LOOK)
    rounds(counted, [statements, numbers], top_statements=7, top_relations=9)
    assert ([7], [9]) == (statements.limits, numbers.limits)


def test_a_server_that_is_away_is_told() -> None:
    async def main() -> None:
        stats = Stats()
        pool = control_pool("postgresql://nobody@127.0.0.1:1/none", stats, connect_timeout=0.2)
        await pool.open()
        try:
            await Collecting(pool, stats, [], nothing).round(Round())
        finally:
            await pool.close()

    with pytest.raises(ConnectError):
        asyncio.run(main())
