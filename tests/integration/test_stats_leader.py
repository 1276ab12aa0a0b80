"""Who collects, on a real server: one of two, and the other one as soon as it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from structlog.testing import capture_logs

from dbopt.stats.leader import Leader
from tests.support import wait_until_async


@asynccontextmanager
async def running(
    dsn: str, changed: Callable[[bool], None] = lambda _: None
) -> AsyncIterator[Leader]:
    leader = Leader(dsn, changed, every=0.05)
    task = asyncio.create_task(leader.run())
    try:
        yield leader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def leads(leader: Leader) -> None:
    async def leading() -> bool:
        return leader.leading

    await wait_until_async(leading, what="leadership")


async def follows(leader: Leader) -> None:
    async def following() -> bool:
        return not leader.leading

    await wait_until_async(following, what="the loss of it")


def test_one_of_two_leads_and_the_other_takes_over(pg_dsn: str) -> None:
    async def main() -> None:
        heard: list[bool] = []
        async with AsyncExitStack() as second:
            async with running(pg_dsn, heard.append) as leading:
                await leads(leading)
                waiting = await second.enter_async_context(running(pg_dsn))
                for _ in range(5):
                    await asyncio.sleep(0.05)
                    assert not waiting.leading
                assert "Another sidecar collects for this server." == waiting.reason
            await leads(waiting)  # the first one has ended, and does not ask again
        assert [True, False] == heard

    asyncio.run(main())


def test_a_killed_session_loses_the_lock(pg_dsn: str) -> None:
    async def main() -> None:
        async with running(pg_dsn) as leader:
            await leads(leader)
            with psycopg.connect(pg_dsn, autocommit=True) as connection:
                pid = leader.pid
                assert pid is not None
                connection.execute("SELECT pg_advisory_lock(7)")  # an unlike key is no matter
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            await wait_until_async(lambda: _other(leader, pid), what="another session")
            await leads(leader)

    asyncio.run(main())


async def _other(leader: Leader, pid: int) -> bool:
    return leader.leading and leader.pid != pid


def test_a_server_that_is_away_is_asked_again(unused_tcp_port_dsn: str) -> None:
    async def main() -> None:
        async with running(unused_tcp_port_dsn) as leader:

            async def told() -> bool:
                return "cannot be reached" in leader.reason

            await wait_until_async(told, what="the reason")
            assert not leader.leading

    with capture_logs() as logs:
        asyncio.run(main())
    assert [] == logs


@pytest.fixture
def unused_tcp_port_dsn() -> str:
    """Nobody listens on port 1."""
    return "postgresql://nobody@127.0.0.1:1/none"


def test_databases_do_not_share_the_lock(pg_dsn: str) -> None:
    async def main() -> None:
        async with running(pg_dsn) as first:
            await leads(first)
            other = make_conninfo(pg_dsn, dbname="postgres")
            async with running(other) as second:
                await leads(second)

    asyncio.run(main())
