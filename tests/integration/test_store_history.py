"""Frames in the store, on real servers: what is written comes back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbopt.errors import StoreMissing
from dbopt.pg.connect import AsyncConnection, connect_async
from dbopt.store import history
from dbopt.store.frame import Frame, Key, Standing, Target, Values
from dbopt.store.recording import History
from tests.fix_pg import Server, fresh_database
from tests.integration.store_support import create_store, on_connection
from tests.support import examples

T = Target("10.0.0.5:5432", "shop")
START = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
COUNTERS, GAUGES = ("calls", "total_us"), ("bytes", "last_at")
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=["newest", "debian"])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """A store on each server; every test takes a server name (Target) of its own."""
    name = "pg_backend" if request.param == "newest" else "pg15_backend"
    server: Server = request.getfixturevalue(name)
    with fresh_database(server) as found:
        yield create_store(found)


def frame(minute: float, changed: dict[Key, Values] | None = None, **more: Any) -> Frame:
    values = {
        "target": T, "view": "tables", "at": START + minute * MINUTE, "seconds": 60.0,
        "counters": COUNTERS, "gauges": GAUGES, "changed": changed or {},
    }  # fmt: skip
    return Frame(**(values | more))


def write(dsn: str, *frames: Frame, writer: History | None = None) -> int:
    return on_connection(dsn, lambda conn: put(conn, frames, writer or History()))


async def put(conn: AsyncConnection, frames: Any, writer: History) -> int:
    async with conn.transaction():
        return await writer.write(conn, list(frames), {})


def read(dsn: str, target: Target, *views: str, **bounds: datetime) -> list[Frame]:
    async def work(conn: AsyncConnection) -> list[Frame]:
        return [one async for one in history.read(conn, target, views, **bounds)]

    return on_connection(dsn, work)


def unnamed(frames: list[Frame]) -> list[Frame]:
    return [replace(one, labels={}) for one in frames]


# Random frames

KEYS: st.SearchStrategy[Key] = st.tuples(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from(["", "a", "ü", "x" * 300])
)
AMOUNTS = st.one_of(st.none(), st.just(0), st.integers(0, 1000), st.integers(-(2**60), 2**60))


@st.composite
def histories(draw: st.DrawFn) -> list[Frame]:
    keys = draw(st.lists(KEYS, min_size=1, max_size=6, unique=True))
    width, gauges = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    names = tuple(f"c{n}" for n in range(width)), tuple(f"g{n}" for n in range(gauges))
    rows = st.tuples(*[AMOUNTS] * (width + gauges))
    some = st.dictionaries(st.sampled_from(keys), rows, max_size=6)
    minutes, frames = 0.0, []
    for number in range(draw(st.integers(1, 8))):
        step = draw(st.sampled_from([1.0, 1.0, 7.5, 45.0, 70.0]))
        minutes += step
        base = draw(some)
        if number == 0:
            base = {key: draw(rows) for key in keys}
        frames.append(
            Frame(
                T,
                "random",
                START + minutes * MINUTE,
                step * 60,
                *names,
                draw(some),
                base,
                tuple(draw(st.sets(st.sampled_from(keys), max_size=2))),
                {key: {"name": str(key[0]), "n": [1, None]} for key in base},
                draw(st.booleans()),
            )  # fmt: skip
        )
    return frames


@given(histories(), st.integers(0, 7))
@settings(
    max_examples=examples(25), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_frames_come_back(dsn: str, frames: list[Frame], cut: int) -> None:
    target = Target(f"random-{uuid.uuid4()}", "shop")
    frames = [replace(one, target=target) for one in frames]
    since = frames[min(cut, len(frames) - 1)].at
    # A restart in between: another writer goes on.
    first, second = frames[:cut], frames[cut:]

    async def work(conn: AsyncConnection) -> tuple[list[Frame], list[Frame], Standing | None]:
        assert len(first) == await put(conn, first, History())
        assert len(second) == await put(conn, second, History())
        every = [one async for one in history.read(conn, target)]
        late = [one async for one in history.read(conn, target, ("random",), since)]
        return every, late, await history.resume(conn, target, "random")

    every, late, standing = on_connection(dsn, work)
    gone = [tuple(sorted(one.gone)) for one in frames]
    assert gone == [tuple(sorted(one.gone)) for one in every]
    plain = [replace(one, gone=()) for one in unnamed(frames)]
    assert plain == [replace(one, gone=()) for one in unnamed(every)]
    assert [one for one in plain if one.at > since] == [
        replace(one, gone=()) for one in unnamed(late)
    ]
    assert standing is not None
    expected = followed([one for one in frames if one.at > frames[-1].at - 120 * MINUTE])
    assert (expected.values, expected.at) == (standing.values, standing.at)
    named = {key: labels for one in every for key, labels in one.labels.items()}
    seen = {key for one in frames for key in (*one.changed, *one.base)}
    assert {key: {"name": str(key[0]), "n": [1, None]} for key in seen} == named


def followed(frames: list[Frame]) -> Standing:
    standing = Standing(frames[0].at, frames[0].counters, frames[0].gauges)
    for one in frames:
        standing.follow(one)
    return standing
