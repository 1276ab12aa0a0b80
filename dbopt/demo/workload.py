"""The AI Skills application at work: clients that each wait for an answer before they ask again.

It stands for somebody else's program, so it speaks to the database through psycopg alone and
knows nothing of dbopt. Latencies are what such a client sees, in a closed model: they hide
how long a request would have waited for a free client (coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from dbopt.demo.operations import OPERATIONS, Draw, Operation
from dbopt.demo.population import Population
from dbopt.errors import ConnectError, DboptError
from dbopt.histogram import Histogram
from dbopt.pg.connect import AsyncConnection, connect_async

APPLICATION_NAME = "ai-skills"
TICK = 0.25
GRACE = 10.0
"""Seconds that a statement may take to end after the time is up, before it is given up."""

RETRY_PAUSE = 0.05
NO_SQLSTATE = ConnectError.sqlstate
"""psycopg gives none when the connection itself broke."""

PREPARE_AFTER = 5
"""psycopg's own default: a statement is prepared when it comes for the sixth time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. `elapsed` and `seconds` (None: until stopped) are seconds."""

    elapsed: float
    seconds: float | None
    operations: int
    errors: int

    @property
    def tps(self) -> float:
        """Operations a second so far."""
        return self.operations / self.elapsed if self.elapsed else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How many operations succeeded, and their latencies in milliseconds."""

    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, histogram: Histogram) -> Latency:
        """What a histogram of microseconds holds."""
        p50, p95, p99 = (round(histogram.quantile(q) / 1000, 3) for q in (0.5, 0.95, 0.99))
        return cls(histogram.count, p50, p95, p99)


@dataclass(frozen=True, slots=True)
class WorkloadResult:
    """What a run did. `errors` counts by SQLSTATE; operations that failed have no latency."""

    seconds: float
    overall: Latency
    by_operation: dict[str, Latency]
    errors: dict[str, int]

    @property
    def operations(self) -> int:
        """How many operations succeeded."""
        return self.overall.calls

    @property
    def tps(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, float | int]:
        """The fields of `dbopt demo --json`: tps, p50_ms, p95_ms, p99_ms, errors."""
        return {
            "tps": round(self.tps, 1),
            "p50_ms": self.overall.p50_ms,
            "p95_ms": self.overall.p95_ms,
            "p99_ms": self.overall.p99_ms,
            "errors": sum(self.errors.values()),
        }


class _Run:
    """What the clients of one run share."""

    def __init__(self, dsn: str, prepare: bool, stop: asyncio.Event) -> None:
        self.dsn = dsn
        self.prepare_threshold = PREPARE_AFTER if prepare else None
        self.stop = stop
        self.population = Population()
        self.histograms = {operation.name: Histogram() for operation in OPERATIONS}
        self.errors: Counter[str] = Counter()
        self.started = time.perf_counter()

    @property
    def operations(self) -> int:
        return sum(histogram.count for histogram in self.histograms.values())

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    async def connect(self) -> AsyncConnection:
        return await connect_async(
            self.dsn,
            application_name=APPLICATION_NAME,
            prepare_threshold=self.prepare_threshold,
        )

    async def measure(self, connection: AsyncConnection) -> None:
        """Learn how many users and lessons there are."""
        query = "SELECT (SELECT max(id) FROM users) AS u, (SELECT max(id) FROM lessons) AS l"
        row = await (await connection.execute(query)).fetchone()
        if row is not None:
            self.population = Population(row["u"], row["l"])

    async def client(self, connection: AsyncConnection, rng: random.Random) -> None:
        """One client, until the run stops; it comes back when its connection breaks."""
        try:
            await self._work(connection, rng)
        finally:
            await connection.close()
        while not self.stop.is_set():
            await asyncio.sleep(RETRY_PAUSE)
            try:
                connection = await self.connect()
            except DboptError as error:
                self.errors[error.sqlstate] += 1
                continue
            async with connection:
                await self._work(connection, rng)

    async def _work(self, connection: AsyncConnection, rng: random.Random) -> None:
        draw = Draw(rng, self.population)
        weights = [operation.weight for operation in OPERATIONS]
        while not (self.stop.is_set() or connection.closed):
            operation = rng.choices(OPERATIONS, weights)[0]
            await self._perform(connection, operation, draw)

    async def _perform(self, connection: AsyncConnection, operation: Operation, draw: Draw) -> None:
        parameters = operation.make_params(draw)
        began = time.perf_counter()
        try:
            cursor = await connection.execute(operation.sql, parameters)
            if cursor.description is not None:
                await cursor.fetchall()
        except psycopg.Error as error:
            self.errors[error.sqlstate or NO_SQLSTATE] += 1
            return
        self.histograms[operation.name].add((time.perf_counter() - began) * 1e6)

    def result(self) -> WorkloadResult:
        overall = Histogram()
        for histogram in self.histograms.values():
            overall.merge(histogram.buckets, histogram.total, histogram.maximum)
        return WorkloadResult(
            seconds=self.elapsed,
            overall=Latency.of(overall),
            by_operation={name: Latency.of(h) for name, h in self.histograms.items()},
            errors=dict(self.errors),
        )


async def run(
    dsn: str,
    *,
    clients: int = 8,
    seconds: float | None = None,
    seed: int = 1,
    prepare: bool = False,
    on_tick: Callable[[Progress], None] = lambda _: None,
    stop: asyncio.Event | None = None,
) -> WorkloadResult:
    """Drive `clients` connections for `seconds`, or until `stop` is set, whichever is first.

    `on_tick` is called about four times a second. With `prepare`, psycopg prepares statements
    that come often. Raises ConnectError or AuthenticationError when it cannot connect at the
    start; what fails later is counted.
    """
    # The caller's event is only read: it may go on to serve something else.
    ending = asyncio.Event()
    run = _Run(dsn, prepare, ending)
    async with _connections(run, clients) as connections:
        await run.measure(connections[0])
        run.started = time.perf_counter()
        tasks = [
            asyncio.create_task(run.client(connection, random.Random(seed * 1000 + number)))  # noqa: S311 - it draws parameters, not secrets
            for number, connection in enumerate(connections)
        ]
        try:
            await _watch(run, seconds, on_tick, stop or asyncio.Event())
        finally:
            ending.set()
            result = await _finish(run, tasks)
    return result


async def _watch(
    run: _Run, seconds: float | None, on_tick: Callable[[Progress], None], stop: asyncio.Event
) -> None:
    while not stop.is_set() and (seconds is None or run.elapsed < seconds):
        left = TICK if seconds is None else min(TICK, seconds - run.elapsed)
        try:
            async with asyncio.timeout(left):
                await stop.wait()
        except TimeoutError:
            on_tick(Progress(run.elapsed, seconds, run.operations, run.errors.total()))


async def _finish(run: _Run, tasks: list[asyncio.Task[None]]) -> WorkloadResult:
    _, hanging = await asyncio.wait(tasks, timeout=GRACE)
    result = run.result()
    for task in hanging:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return result


@asynccontextmanager
async def _connections(run: _Run, clients: int) -> AsyncIterator[list[AsyncConnection]]:
    """All clients' first connections; when one fails, none stays open."""
    connections: list[AsyncConnection] = []
    try:
        for _ in range(clients):
            connections.append(await run.connect())
        yield connections
    finally:
        for connection in connections:
            await connection.close()
