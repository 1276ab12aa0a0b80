"""What the traced pools cost: SELECT 1 over a unix socket, psycopg_pool's pool and dbopt's in turn.

    python benchmarks/inprocess.py                   (about half a minute)
    python benchmarks/inprocess.py --queries 500 --rounds 101 [--json] [--check]

Each round runs the queries with each pool, one after the other, in another order, in the CPU time
of this process and in wall time. Compared are the rounds that a tenth of all were faster than:
whatever else loads the machine makes rounds slower, and the short ones escape it. All run on one
core. `bookkeeping` is what a session does around one query, alone.

Target: 5 microseconds a query at most, of CPU time and of bookkeeping.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

from psycopg import Cursor
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from dbopt import AsyncTracedConnectionPool, TracedConnectionPool
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.inprocess.counting import Counting, Limits, Origin
from dbopt.inprocess.session import Session

TARGET_US = 5.0
QUERY = "SELECT 1"
Timed = tuple[float, float]
"""CPU of this process, its reporter's thread too, and wall time: µs a query."""


@dataclass(frozen=True, slots=True)
class Result:
    """Microseconds a query; `cpu` and `wall` are what the traced pool adds."""

    what: str
    plain: float
    traced: float
    cpu: float
    wall: float


def sync_round(pool: ConnectionPool[Any], queries: int, autocommit: bool) -> Timed:
    with pool.connection() as connection:
        connection.autocommit = autocommit
        connection.execute(QUERY)
        cursor = connection.cursor()
        execute = cursor.execute
        cpu, wall = process_time(), perf_counter()
        for _ in range(queries):
            execute(QUERY)
        return (process_time() - cpu) / queries * 1e6, (perf_counter() - wall) / queries * 1e6


async def async_round(pool: AsyncConnectionPool[Any], queries: int) -> Timed:
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        cursor = connection.cursor()
        cpu, wall = process_time(), perf_counter()
        for _ in range(queries):
            await cursor.execute(QUERY)
        return (process_time() - cpu) / queries * 1e6, (perf_counter() - wall) / queries * 1e6


def compared(what: str, samples: list[tuple[Timed, Timed]]) -> Result:
    plain, wall = (quiet([one[kind] for one, _ in samples]) for kind in (0, 1))
    traced, traced_wall = (quiet([other[kind] for _, other in samples]) for kind in (0, 1))
    return Result(what, plain, traced, cpu=traced - plain, wall=traced_wall - wall)


def quiet(values: list[float]) -> float:
    """The first decile."""
    return statistics.quantiles(values, n=10)[0] if len(values) > 1 else values[0]


def in_turn(plain: Callable[[], Timed], traced: Callable[[], Timed], turn: int) -> Any:
    if turn % 2:
        second, first = traced(), plain()
        return first, second
    return plain(), traced()


def measure_sync(dsn: str, queries: int, rounds: int, autocommit: bool) -> Result:
    with (
        ConnectionPool(dsn, min_size=1, open=True) as plain,
        TracedConnectionPool(dsn, min_size=1, open=True, report_to="") as traced,
    ):
        for pool in (plain, traced):
            sync_round(pool, queries, autocommit)
        samples = [
            in_turn(
                lambda: sync_round(plain, queries, autocommit),
                lambda: sync_round(traced, queries, autocommit),
                turn,
            )
            for turn in range(rounds)
        ]
    return compared("sync" if autocommit else "transaction", samples)


async def measure_async(dsn: str, queries: int, rounds: int) -> Result:
    async with (
        AsyncConnectionPool(dsn, min_size=1, open=False) as plain,
        AsyncTracedConnectionPool(dsn, min_size=1, open=False, report_to="") as traced,
    ):
        samples = []
        for turn in range(rounds + 1):
            first, second = (plain, traced) if turn % 2 else (traced, plain)
            one = await async_round(first, queries)
            other = await async_round(second, queries)
            samples.append((one, other) if turn % 2 else (other, one))
    return compared("async", samples[1:])


def bookkeeping(number: int = 100_000) -> float:
    """What a session does around one query, in µs: with a generator and a connection of no use."""
    pgconn: Any = SimpleNamespace(transaction_status=0, backend_pid=1, status=0)
    session = Session(Counting(Limits()), pgconn, Origin("d", "u", "a"), comments=False)
    connection = SimpleNamespace(_pipeline=None)
    cursor = Cursor.__new__(Cursor)
    cursor._rowcount = 1
    execute = Cursor._execute_gen

    def traced() -> None:
        session.begin(execute(cursor, QUERY))
        session.end(connection, None, None)

    def bare() -> None:
        execute(cursor, QUERY)

    # Each one's best: the best difference would be that of the slowest bare run.
    with_it, without = (min(timeit.repeat(f, number=number, repeat=5)) for f in (traced, bare))
    best = (with_it - without) / number * 1e6
    (count,) = session.counting.drain()
    if session.counting.faults or count.calls != 5 * number:
        raise RuntimeError("The session did not count what it was timed with.")
    return best


def run(cluster: EmbeddedCluster, queries: int, rounds: int) -> list[Result]:
    own = bookkeeping(queries * 50)
    results = [Result("bookkeeping", 0.0, own, own, own)]
    dsn = make_conninfo(cluster.dsn(), host=str(cluster.socket_dir))
    results.append(measure_sync(dsn, queries, rounds, autocommit=True))
    results.append(measure_sync(dsn, queries, rounds, autocommit=False))
    results.append(asyncio.run(measure_async(dsn, queries, rounds)))
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail where the target is missed")
    options = parser.parse_args(arguments)
    os.environ.pop("DBOPT_SOCKET", None)
    # Server and client on one core: which of two they share makes more difference than tracing.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with EmbeddedCluster() as cluster:
        cluster.start()
        results = run(cluster, options.queries, options.rounds)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        print(f"{'':12} {'plain':>8} {'traced':>8} {'+cpu':>8} {'+wall':>8}   microseconds a query")
        for r in results:
            print(f"{r.what:12} {r.plain:8.2f} {r.traced:8.2f} {r.cpu:8.2f} {r.wall:8.2f}")
    return int(options.check and any(result.cpu > TARGET_US for result in results))


if __name__ == "__main__":
    sys.exit(main())
