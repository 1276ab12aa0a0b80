"""A sidecar that is started again goes on where the store's history ends: nothing is lost, nothing
counted twice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbopt.pg.connect import AsyncConnection
from dbopt.stats.differ import Differ
from dbopt.stats.view import Collected, View
from dbopt.store import history
from dbopt.store.frame import Target
from dbopt.store.recording import History
from tests.fix_pg import Server, fresh_database
from tests.integration.store_support import create_store, on_connection
from tests.support import examples

START = datetime(2026, 3, 1, 22, 40, tzinfo=UTC)
BOOT = START - timedelta(days=9)
VIEW = View("tables", ("relid",), ("name",), ("calls", "total_us"), ("bytes",))
GROWTH = st.integers(0, 300)
STEP = st.fixed_dictionaries(
    {
        "minutes": st.sampled_from([1, 1, 1, 5, 50, 130]),
        "grow": st.lists(st.tuples(GROWTH, GROWTH, st.integers(-5, 5)), min_size=3, max_size=3),
        "restart": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def dsn(pg_backend: Server) -> Iterator[str]:
    with fresh_database(pg_backend) as found:
        yield create_store(found)


@given(st.lists(STEP, min_size=2, max_size=10))
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_restarts_lose_nothing_and_count_nothing_twice(
    dsn: str, steps: list[dict[str, Any]]
) -> None:
    target = Target(f"restart-{uuid.uuid4()}", "shop")
    rows = [
        {"relid": n, "name": f"t{n}", "calls": 1000 * n, "total_us": 7, "bytes": 8192}
        for n in range(3)
    ]
    first = [dict(row) for row in rows]

    async def work(conn: AsyncConnection) -> None:
        at, differ, writer = START, Differ(VIEW, target), History()
        for number, step in enumerate(steps):
            if number:
                at += timedelta(minutes=step["minutes"])
                for row, (calls, took, size) in zip(rows, step["grow"], strict=True):
                    row["calls"] += calls
                    row["total_us"] += took
                    row["bytes"] += size
            if step["restart"]:
                standing = await history.resume(conn, target, VIEW.name)
                if number:
                    # What the store says is what was in memory.
                    assert standing == differ.standing
                differ, writer = Differ(VIEW, target, standing), History()
            frame = differ.frame(Collected([dict(row) for row in rows]), at, BOOT)
            assert frame is not None
            async with conn.transaction():
                assert 1 == await writer.write(conn, [frame], {})
        total = await history.total(conn, target, VIEW.name, START, at)
        standing = await history.resume(conn, target, VIEW.name)
        assert standing == differ.standing
        assert standing is not None
        assert {(r["relid"],): (r["calls"], r["total_us"], r["bytes"]) for r in rows} == (
            standing.values
        )
        assert total is not None
        for row, begun in zip(rows, first, strict=True):
            grown = tuple(row[name] - begun[name] for name in VIEW.counters)
            found = total.values.get((row["relid"],), (0, 0, row["bytes"]))
            assert (*grown, row["bytes"]) == (found[0] or 0, found[1] or 0, found[2])
        assert (at - START).total_seconds() == total.seconds

    on_connection(dsn, work)
