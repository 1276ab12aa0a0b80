"""Frames in the store, on real servers: what is written comes back."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

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
            )
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


# Times, totals, texts


def test_what_frames_add_up_to(dsn: str) -> None:
    target = Target("totals", "shop")
    frames = [
        frame(
            0, base={(1,): (100, None, 8, None), (2,): (5, 5, 16, 1)}, target=target, seconds=0.0
        ),
        frame(1, {(1,): (3, None, 8, None), (2,): (0, 7, 24, 9)}, target=target),
        frame(2, {(2,): (4, 1, 20, 9)}, target=target, reset=True, labels={(2,): {"name": "b"}}),
        frame(3, base={(3,): (9, 9, 9, 9)}, gone=((1,),), target=target),
    ]
    write(dsn, *frames)

    async def work(conn: AsyncConnection) -> Any:
        until = frames[-1].at
        return (
            await history.total(conn, target, "tables", frames[0].at, until),
            await history.total(conn, target, "tables", until, until + MINUTE),
            await history.times(conn, target, "tables", frames[1].at, until),
            await history.times(conn, Target("nobody"), "tables"),
            await history.targets(conn),
        )

    total, none, times, nothing, targets = on_connection(dsn, work)
    assert total is not None
    assert {(1,): (3, None, 8, None), (2,): (4, 8, 20, 9), (3,): (None, None, 9, 9)} == total.values
    assert {(1,): {}, (2,): {"name": "b"}, (3,): {}} == total.labels
    assert ({(1,)}, 3, 1) == (total.gone, total.frames, total.resets)
    assert (frames[0].at, frames[3].at, 180.0) == (total.since, total.until, total.seconds)
    assert (None, [one.at for one in frames[2:]], []) == (none, times, nothing)
    assert target in targets


def test_a_column_more_after_an_upgrade(dsn: str) -> None:
    target = Target("upgrade", "shop")
    more = (*COUNTERS, "wal_bytes")
    write(
        dsn,
        frame(1, {(1,): (1, 2, 3, 4)}, target=target),
        frame(2, {(1,): (1, 2, 7, 3, 4)}, target=target, counters=more),
    )
    assert [COUNTERS, more] == [one.counters for one in read(dsn, target)]

    async def work(conn: AsyncConnection) -> Any:
        total = await history.total(conn, target, "tables", START, START + 9 * MINUTE)
        return total, await history.resume(conn, target, "tables")

    total, standing = on_connection(dsn, work)
    assert (more, GAUGES) == (total.counters, total.gauges)
    assert {(1,): (2, 4, 7, 3, 4)} == total.values
    assert more == standing.counters


def test_no_history(dsn: str) -> None:
    target = Target("unknown", "shop")

    async def work(conn: AsyncConnection) -> Any:
        return (
            await history.resume(conn, target, "tables"),
            await history.total(conn, target, "no such view", START, START),
            await history.texts(conn, [1, 2]),
        )

    assert (None, None, {}) == on_connection(dsn, work)
    assert [] == read(dsn, target)


def test_texts_are_kept_once(dsn: str) -> None:
    big = 0xF000_0000_0000_0001

    async def work(conn: AsyncConnection) -> dict[int, str]:
        writer = History()
        for texts in ({big: "SELECT $1", 7: "a\0b"}, {big: "another"}):
            async with conn.transaction():
                await writer.write(conn, [], texts)
        return await history.texts(conn, [big, 7, 8])

    assert {big: "SELECT $1", 7: "ab"} == on_connection(dsn, work)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_store_that_has_not_every_character(pg_backend: Server, encoding: str) -> None:
    """What it has not is written as an escape; SQL reads it, and no frame is refused for it."""
    target, name = Target("h", "d€b"), f"dbopt_{encoding.lower()}"
    word = "ключ€\0\ud800"
    one = frame(1, {(1, word): (5, 0, 7, 0)}, target=target, labels={(1, word): {"name": "имя"}})
    create = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'"
    with psycopg.connect(pg_backend.dsn, autocommit=True) as conn:
        conn.execute(create)
        try:
            dsn = create_store(make_conninfo(pg_backend.dsn, dbname=name, client_encoding="utf8"))
            writer = History()
            assert 1 == write(dsn, one, writer=writer)
            assert 1 == write(dsn, replace(one, at=one.at + MINUTE), writer=writer)
            escaped = "\\u043a\\u043b\\u044e\\u0447\\u20ac?"
            (at, key, labels, value), *_ = series(dsn, "tables", "bytes")
            assert (one.at, [1, escaped], 7) == (at, key, value)
            assert {"name": "\\u0438\\u043c\\u044f"} == labels
            assert [{(1, escaped): (5, 0, 7, 0)}] * 2 == [
                found.changed for found in read(dsn, target)
            ]
        finally:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


# What is there already


def test_no_time_is_counted_twice(dsn: str) -> None:
    target = Target("twice", "shop")
    first = frame(1, {(1,): (1, 1, 1, 1)}, target=target)
    again = frame(1, {(1,): (2, 2, 2, 2)}, target=target)
    within = frame(1.5, {(1,): (3, 3, 3, 3)}, target=target)
    later = frame(2, {(1,): (4, 4, 4, 4)}, target=target)
    assert 1 == write(dsn, first, again)
    writer = History()
    assert 1 == write(dsn, within, later, first, writer=writer)
    assert 2 == writer.skipped
    assert [first, later] == unnamed(read(dsn, target))


def test_samples_are_kept_however_many_in_a_second(dsn: str) -> None:
    """The `seconds` of waits are samples taken: at 2 Hz, 120 in a minute."""
    target, skipped = Target("samples"), []
    parts = [
        frame(minute, {(1,): (120,)}, target=target, view="waits", counters=("samples",),
              gauges=(), seconds=121.0)
        for minute in (1, 2, 3)
    ]  # fmt: skip
    writer = History(lambda *place: skipped.append(place))
    assert 3 == write(dsn, *parts, writer=writer)

    async def work(conn: AsyncConnection) -> Any:
        return await history.total(conn, target, "waits", START, START + 9 * MINUTE)

    total = on_connection(dsn, work)
    assert ({(1,): (360,)}, 363.0) == (total.values, total.seconds)
    # Another view's are told to whoever compares.
    first, again = (frame(1, {(1,): (n, 0, 0, 0)}, target=target) for n in (1, 2))
    assert 1 == write(dsn, first, again, writer=writer)
    assert [(target, "tables")] == skipped


def test_sidecars_add_up_where_each_reports_its_part(dsn: str) -> None:
    target = Target("fleet", "shop")
    parts = [
        frame(minute, {(1,): (number, 1, minute, 5)}, target=target, view="trace", additive=True)
        for minute in (1, 2)
        for number in (10, 20)
    ]
    one, other = History(), History()
    for number, part in enumerate(parts):
        assert 1 == write(dsn, part, writer=(one, other)[number % 2])
    found = unnamed(read(dsn, target))
    assert sorted(map(repr, parts)) == sorted(map(repr, found))
    total = on_connection(
        dsn, lambda c: history.total(c, target, "trace", START, START + 9 * MINUTE)
    )
    assert total is not None
    assert ({(1,): (60, 4, 2, 5)}, 120.0) == (total.values, total.seconds)


def test_a_night_in_which_the_clocks_are_set_back(dsn: str) -> None:
    target, zone = Target("dst", "shop"), ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 for the first time
    frames = [
        frame(0, {(1,): (n, 0, n, 0)}, target=target, at=start + n * 30 * MINUTE, seconds=1800.0)
        for n in range(4)
    ]
    writer = History()
    for one in frames:
        assert 1 == write(dsn, replace(one, at=one.at.astimezone(zone)), writer=writer)
    berlin = make_conninfo(dsn, options="-c TimeZone=Europe/Berlin")
    assert frames == unnamed(read(berlin, target))
    assert frames[2:] == unnamed(read(berlin, target, since=frames[1].at.astimezone(zone)))


def test_two_writers_at_once(dsn: str) -> None:
    targets = [Target(f"race-{n}", "shop") for n in range(3)]

    async def one(order: int, writer: History) -> int:
        new = 0
        async with await connect_async(dsn) as conn:
            for minute in range(1, 16):
                frames = [
                    frame(minute, {(k,): (1, 1, k, 1) for k in range(minute)}, target=target)
                    for target in targets[::order]
                ]
                async with conn.transaction():
                    new += await writer.write(conn, frames, {n: f"text {n}" for n in range(9)})
        return new

    async def both() -> int:
        return sum(await asyncio.gather(one(1, History()), one(-1, History())))

    assert 3 * 15 == asyncio.run(both())
    for target in targets:
        found = read(dsn, target)
        assert [{(k,): (1, 1, k, 1) for k in range(m)} for m in range(1, 16)] == [
            f.changed for f in found
        ]


def test_a_store_that_was_made_anew_is_noticed(pg_dsn: str) -> None:
    writer = History()
    write(create_store(pg_dsn), frame(1, {(1,): (1, 1, 1, 1)}), writer=writer)
    with psycopg.connect(pg_dsn) as connection:
        connection.execute("TRUNCATE dbopt.target, dbopt.entity, dbopt.history, dbopt.layout")
    later = frame(2, {(1,): (2, 2, 2, 2)})
    write(pg_dsn, later, writer=writer)
    assert [later] == unnamed(read(pg_dsn, T))


# SQL


def series(dsn: str, *args: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        marks = ", ".join(["%s"] * len(args))
        query = f"SELECT at, key, labels, value FROM dbopt.series({marks})"
        return connection.execute(query, args).fetchall()


def test_sql_reads_what_was_written(dsn: str) -> None:
    target, view = Target("sql", "shop"), "sql-view"
    big = 2**60
    frames = [
        frame(0, base={(1,): (7, 7, 50, None), (2,): (7, 7, -3, 1)}, labels={(1,): {"name": "a"}}),
        frame(1, {(1,): (1, -5, 70, None), (2,): (300, 7, -300, big)}),
        frame(2, {(1,): (None, 70_000, None, 3)}),
        frame(3, {(1,): (2, big, 60, 9), (2,): (1, 1, 4, 2)}, base={(2,): (9, 9, 5, None)}),
        # Nothing was measured: the next difference is to the last that was.
        frame(4, base={(1,): (7, 7, None, None)}),
        frame(5, {(1,): (1, 1, 64, 4)}),
        # Another chain: a new day.
        frame(95, {(1,): (5, 0, 61, 10), (2,): (0, 0, 0, 0)}),
    ]
    frames = [replace(one, target=target, view=view) for one in frames]
    write(dsn, *frames)
    for number, column in enumerate(COUNTERS + GAUGES):
        expected = []
        for one in frames:
            rows = dict(one.changed) | (dict(one.base) if column in GAUGES else {})
            expected += [(one.at, list(key), row[number]) for key, row in sorted(rows.items())]
        found = series(dsn, view, column)
        assert expected == [(at, key, value) for at, key, _, value in found], column
        since, until = frames[1].at, frames[3].at
        part = series(dsn, view, column, since, until)
        assert [row for row in found if since < row[0] <= until] == part
    assert {"name": "a"} == found[0][2]
    with psycopg.connect(dsn) as connection:
        query = "SELECT server, key, labels, value FROM dbopt.total(%s, 'calls')"
        rows = connection.execute(query, [view]).fetchall()
        assert [("sql", [2], {}, 301), ("sql", [1], {"name": "a"}, 9)] == rows
        assert [] == series(dsn, view, "no such column; DROP TABLE dbopt.history")


def test_nobody_s_function_stands_in_for_the_system_s(dsn: str) -> None:
    """Who reads the history may have any search_path (CVE-2018-1058)."""
    target = Target("trap", "shop")
    write(dsn, frame(1, {(1,): (5, 0, 0, 0)}, target=target, view="trap"))
    traps = (
        "array_position(text[], text) RETURNS integer",
        "tail(text[], text[]) RETURNS text[]",
    )
    with psycopg.connect(dsn) as conn:
        for trap in traps:
            conn.execute(
                f"CREATE FUNCTION public.{trap} LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'trapped'; END $$"
            )
        conn.execute(
            "CREATE OPERATOR public.|| (LEFTARG = text[], RIGHTARG = text[], FUNCTION = tail)"
        )
        conn.execute("SET search_path = public, pg_catalog")
        for call in ("series('trap', 'calls')", "total('trap', 'calls')"):
            assert [(5,)] == conn.execute(f"SELECT value FROM dbopt.{call}").fetchall()
        query = """SELECT proname FROM pg_proc WHERE pronamespace = 'dbopt'::regnamespace
                    AND (prosecdef OR proconfig IS NULL)"""
        assert [] == conn.execute(query).fetchall()
        conn.rollback()


def test_the_examples_of_the_document_run(dsn: str) -> None:
    big = 0xF000_0000_0000_0002
    now = datetime.now(UTC)
    columns = {"counters": ("total_exec_us",), "gauges": (), "at": now, "view": "statements"}
    labels = {"fingerprint": big}
    one = frame(0, {(5,): (2_500_000,)}, **columns, labels={(5,): labels}, target=Target("doc", ""))
    text = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")
    examples = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)

    async def work(conn: AsyncConnection) -> None:
        async with conn.transaction():
            await History().write(conn, [one], {big: "SELECT $1 AS doc"})

    on_connection(dsn, work)
    with psycopg.connect(dsn) as connection:
        found = [connection.execute(query).fetchall() for query in examples]
    assert 4 == len(found)
    assert ("f000000000000002", 2.5, "SELECT $1 AS doc") in found[1]
    assert ("statements", ["total_exec_us"], []) in found[2]


def test_a_missing_schema_is_said_so(pg_dsn: str) -> None:
    async def reading(conn: AsyncConnection) -> None:
        async for _ in history.read(conn, T):
            pass

    async def writing(conn: AsyncConnection) -> None:
        await History().write(conn, [frame(1)], {})

    for work in (reading, writing, history.targets):
        with pytest.raises(StoreMissing, match="dbopt migrate upgrade"):
            on_connection(pg_dsn, work)
