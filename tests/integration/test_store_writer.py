"""The writer against a store that is there, away, broken, read-only, or cut off in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from dbopt.errors import ConnectError, StoreMissing
from dbopt.metrics import Metrics
from dbopt.pg.pool import Pool, control_pool
from dbopt.settings import Stats
from dbopt.store import history, writer
from dbopt.store.batch import joined
from dbopt.store.frame import Event, Frame, Target
from dbopt.store.plans import PlanRecord
from dbopt.store.slow import SlowEntry
from dbopt.store.writer import Batch, Writer
from tests.integration.store_support import create_store, on_connection
from tests.integration.test_store import SLOW
from tests.support import wait_until

R = TypeVar("R")
T = Target("10.0.0.5:5432", "shop")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AWAY = "host=127.0.0.1 port=1 dbname=nowhere"


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    return create_store(pg_dsn)


def frame(minute: int, *, base: bool = False) -> Frame:
    rows = {(1,): (1, minute), (2,): (10, -minute)}
    whole = {(1,): (100 + minute, minute), (2,): (1000 + 10 * minute, -minute)} if base else {}
    return Frame(
        T, "tables", START + minute * MINUTE, 60.0, ("calls",), ("bytes",), rows, whole,
        labels={(1,): {"name": "a"}},
    )  # fmt: skip


def event(number: int) -> Event:
    return Event(START + number * MINUTE, T, "test", str(number), "message")


def batch(number: int) -> Batch:
    return Batch(
        (frame(number, base=number == 0),), {number: f"text {number}"}, (), (), (event(number),)
    )


def settings() -> Stats:
    return replace(Stats(), statement_timeout=3.0)


def using(dsn: str, work: Callable[[Pool], Awaitable[R]], timeout: float = 20.0) -> R:
    async def main() -> R:
        pool = control_pool(dsn, settings(), connect_timeout=timeout / 2)
        await pool.open()
        try:
            return await work(pool)
        finally:
            await pool.close(timeout=1.0)

    return asyncio.run(main())


def stored(dsn: str) -> list[int]:
    """The numbers of the events and of the frames that are stored; they must be the same."""
    with psycopg.connect(dsn) as conn:
        events = conn.execute("SELECT object::int FROM dbopt.event ORDER BY at, object").fetchall()
        ats = conn.execute("SELECT at FROM dbopt.history ORDER BY at").fetchall()
    numbers = [row[0] for row in events]
    assert numbers == [round((row[0] - START) / MINUTE) for row in ats]
    return numbers


def metric(one: Writer, name: str) -> float:
    return {sample.name: sample.value for sample in one.samples()}[f"dbopt_store_{name}"]  # type: ignore[return-value]


def test_what_is_put_is_stored(dsn: str) -> None:
    plan = PlanRecord(T, 1, "aa", START, START)

    async def work(pool: Pool) -> None:
        one = Writer(pool)
        assert await one.flush()
        one.put(Batch())
        one.put(batch(0))
        one.put(replace(batch(1), slow=(SlowEntry(SLOW),), plans=(plan,)))
        assert 2 == metric(one, "pending_batches")
        assert await one.flush()
        assert ("", 0, 1) == (
            one.error,
            metric(one, "pending_batches"),
            metric(one, "batches_total"),
        )
        metrics = Metrics("1")
        metrics.add(one)
        assert b"dbopt_store_batches_total 1.0" in metrics.render()[0]
        standing = await one.resume(T, "tables")
        assert standing is not None
        assert {(1,): (101, 1), (2,): (1010, -1)} == standing.values
        await one.close()

    using(dsn, work)
    assert [0, 1] == stored(dsn)
    with psycopg.connect(dsn) as conn:
        for table in ("plan", "slow_statement"):
            query = sql.SQL("SELECT count(*) FROM dbopt.{}").format(sql.Identifier(table))
            assert [(1,)] == conn.execute(query).fetchall()


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_store_that_is_away_misses_nothing(dsn: str, tmp_path: Path, on_disk: bool) -> None:
    clock = [1000.0]

    async def work(pool: Pool) -> None:
        away = control_pool(AWAY, settings(), connect_timeout=0.1)
        await away.open()
        one = Writer(away, tmp_path if on_disk else "", clock=lambda: clock[0])
        for number in range(3):
            one.put(batch(number))
            assert not await one.flush()
        assert "Writing to the store" in one.error
        with pytest.raises(ConnectError):
            await one.resume(T, "tables")
        assert 3 == metric(one, "pending_batches")
        assert metric(one, "spool_bytes") > 100
        one._pool = pool
        one.put(batch(3))
        assert not await one.flush()  # It is not tried again yet.
        clock[0] += 60
        assert await one.flush()
        assert ("", clock[0]) == (one.error, metric(one, "last_success_timestamp_seconds"))
        await away.close(timeout=1.0)

    using(dsn, work)
    assert [0, 1, 2, 3] == stored(dsn)


def test_a_restart_while_the_store_is_away_misses_nothing(dsn: str, tmp_path: Path) -> None:
    async def first(pool: Pool) -> None:
        one = Writer(pool, tmp_path)
        for number in range(3):
            one.put(batch(number))
            await one.flush()
        await one.close()

    async def second(pool: Pool) -> None:
        one = Writer(pool, tmp_path)
        assert 3 == metric(one, "pending_batches")
        one.put(batch(3))
        standing = await one.resume(T, "tables")
        assert standing is not None
        assert ({(1,): (103, 3), (2,): (1030, -3)}, {(1,): {"name": "a"}}) == (
            standing.values,
            {key: labels for key, labels in standing.labels.items() if labels},
        )
        await one.close()

    using(AWAY, first, timeout=0.2)
    using(dsn, second)
    assert [0, 1, 2, 3] == stored(dsn)
    assert ["lock"] == [path.name for path in tmp_path.iterdir()]


def test_without_a_directory_what_is_lost_is_said() -> None:
    async def work(pool: Pool) -> None:
        one = Writer(pool)
        one.put(batch(0))
        with capture_logs() as logs:
            await one.close()
        assert "what the store did not take is lost" == logs[-1]["event"]
        assert "store.spool_dir" in logs[-1]["hint"]

    using(AWAY, work, timeout=0.2)


@pytest.mark.parametrize(
    ("state", "undo", "words"),
    [
        ("ALTER SCHEMA dbopt RENAME TO gone", "ALTER SCHEMA gone RENAME TO dbopt", "dbopt migrate"),
        (
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            "ALTER DATABASE {} RESET default_transaction_read_only",
            "read-only",
        ),
        (
            "ALTER TABLE dbopt.event RENAME COLUMN message TO old",
            "ALTER TABLE dbopt.event RENAME COLUMN old TO message",
            "dbopt migrate",
        ),
    ],
)
def test_a_store_that_is_not_ready_is_waited_for(
    dsn: str, state: str, undo: str, words: str
) -> None:
    def run(text: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("SET default_transaction_read_only = off")
            name = sql.Identifier(conn.info.dbname)
            conn.execute(sql.SQL(text).format(name))  # type: ignore[arg-type]

    async def away(pool: Pool) -> Writer:
        one = Writer(pool)
        one.put(batch(0))
        assert not await one.flush()
        assert words in one.error
        assert ("migrate" in words) == one.missing
        if one.missing:
            with pytest.raises(StoreMissing):
                await one.resume(T, "tables")
        return one

    run(state)
    one = using(dsn, away)
    run(undo)

    async def back(pool: Pool) -> None:
        one._pool = pool
        one._busy = asyncio.Lock()
        assert await one.flush(final=True)
        assert ("", False) == (one.error, one.missing)

    using(dsn, back)
    assert [0] == stored(dsn)


def test_a_role_without_the_privilege_is_told_what_to_grant(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS dbopt_stranger")
        conn.execute("CREATE ROLE dbopt_stranger LOGIN")
        try:

            async def work(pool: Pool) -> None:
                one = Writer(pool)
                one.put(batch(0))
                assert not await one.flush()
                assert "42501" in one.error
                assert "USAGE" in one.error

            using(f"{dsn} user=dbopt_stranger", work)
        finally:
            conn.execute("DROP ROLE dbopt_stranger")


def test_one_piece_that_is_refused_costs_no_other(dsn: str) -> None:
    broken = replace(event(7), at="no time")  # type: ignore[arg-type]

    async def work(pool: Pool) -> None:
        one = Writer(pool)
        one.put(Batch((frame(0), frame(1)), {}, (), (), (event(0), broken, event(1))))
        assert await one.flush()
        assert (1, "") == (metric(one, "dropped_total"), one.error)

    using(dsn, work)
    assert [0, 1] == stored(dsn)


def test_what_takes_too_long_together_is_stored_in_pieces(dsn: str) -> None:
    """Else it would be tried again for ever, with all that is newer behind it."""
    with psycopg.connect(dsn) as conn:
        conn.execute(
            """CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$"""
        )
        conn.execute(
            "CREATE TRIGGER doze BEFORE INSERT ON dbopt.event_default"
            " FOR EACH ROW EXECUTE FUNCTION doze()"
        )

    async def main() -> None:
        stats = replace(Stats(), statement_timeout=0.8)
        async with control_pool(dsn, stats) as pool:
            one = Writer(pool)
            one.put(joined(batch(number) for number in range(12)))
            assert await one.flush(), one.error
            assert 0 == metric(one, "dropped_total")

    asyncio.run(main())
    assert [*range(12)] == stored(dsn)


def test_a_lost_answer_to_commit_does_not_double(dsn: str, tmp_path: Path) -> None:
    """The server has committed, and the connection breaks before we hear of it."""

    async def work(pool: Pool) -> None:
        one = Writer(pool, tmp_path)
        one.put(batch(0))
        real = one._attempt

        async def cut(*args: Any, **words: Any) -> None:
            await real(*args, **words)
            raise ConnectError("cut")

        one._attempt = cut  # type: ignore[method-assign]
        assert not await one.flush()
        one._attempt = real  # type: ignore[method-assign]
        assert 1 == metric(one, "pending_batches")
        assert await one.flush(final=True)
        # Nor after a crash before it was forgotten: the same file again, in another process.
        copy = tmp_path / "copy"
        two = Writer(pool, copy)
        two.put(Batch(events=(event(1),), frames=(frame(1),)))
        two._not_before = two._clock() + 60
        await two.flush()
        (segment,) = copy.glob("*.spool")
        data = segment.read_bytes()
        assert await two.flush(final=True)
        await two.close()
        segment.write_bytes(data)
        three = Writer(pool, copy)
        assert 1 == metric(three, "pending_batches")
        assert await three.flush()
        await three.close()
        await one.close()

    using(dsn, work)
    assert [0, 1] == stored(dsn)


def test_a_process_that_is_killed_anywhere_loses_and_doubles_nothing(
    dsn: str, tmp_path: Path
) -> None:
    """What was spooled before the kill is stored afterwards; nothing comes twice."""
    program = textwrap.dedent(
        """
        import asyncio, sys
        from tests.integration.test_store_writer import AWAY, batch, control_pool, settings
        from dbopt.store.writer import Writer

        async def main(dsn, directory, first):
            pool = control_pool(dsn, settings())
            await pool.open()
            one = Writer(pool, directory)
            one._not_before = one._clock() + 60
            for number in range(first, first + 40):
                one.put(batch(number))
                await one.flush()
            print("spooled", flush=True)
            while not await one.flush(final=True):
                pass
            await asyncio.sleep(60)

        asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
        """
    )
    for number in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", program, dsn, str(tmp_path), str(40 * number)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        with process:
            assert process.stdout is not None
            assert b"spooled\n" == process.stdout.readline()
            # It replays now, and dies at it.
            with psycopg.connect(dsn, autocommit=True) as conn:
                query = "SELECT count(*) FROM dbopt.event"
                wait_until(lambda: conn.execute(query).fetchall()[0][0] >= 40 * number + 5)  # noqa: B023
            os.kill(process.pid, signal.SIGKILL)

    async def last(pool: Pool) -> None:
        one = Writer(pool, tmp_path)
        assert await one.flush()
        await one.close()

    using(dsn, last)
    assert list(range(80)) == stored(dsn)


def test_too_much_is_dropped_the_oldest_first(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_PENDING", batch(1).size * 3)

    async def work(pool: Pool) -> None:
        one = Writer(pool)
        for number in range(1, 6):
            one.put(batch(number))
        assert 2 == metric(one, "dropped_total")
        assert await one.flush()

    using(dsn, work)
    assert [3, 4, 5] == stored(dsn)


def test_a_full_spool_forgets_the_oldest_and_the_rest_is_in_order(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MB", 8192)

    async def work(pool: Pool) -> int:
        one = Writer(pool, tmp_path, 1)
        one._not_before = one._clock() + 60
        for number in range(60):
            one.put(batch(number))
            await one.flush()
        lost = int(metric(one, "dropped_total"))
        assert await one.flush(final=True)
        await one.close()
        return lost

    lost = using(dsn, work)
    assert 0 < lost < 60
    assert list(range(lost, 60)) == stored(dsn)


def test_two_writers_of_one_view_do_not_double(dsn: str) -> None:
    async def work(pool: Pool) -> None:
        one, other = Writer(pool), Writer(pool)
        for number in range(10):
            for each in (one, other):
                each.put(Batch((frame(number, base=number == 0),)))
            await asyncio.gather(one.flush(), other.flush())
        assert ("", "") == (one.error, other.error)
        assert 10 == metric(one, "skipped_frames_total") + metric(other, "skipped_frames_total")

    using(dsn, work)
    total = on_connection(
        dsn, lambda conn: history.total(conn, T, "tables", START - MINUTE, START + 60 * MINUTE)
    )
    assert total is not None
    assert {(1,): (10, 9), (2,): (100, -9)} == total.values
