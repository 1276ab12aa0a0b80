"""What collecting costs the server: snapshots of 100, 1,000 and 10,000 tables, and sampling.

    python benchmarks/stats.py                            (about three minutes)
    python benchmarks/stats.py --tables 100,1000 --minutes 5 [--json] [--check]

Each size is a database of so many tables with five indexes each, on a server of our own. Rounds
of all collectors run one after the other, by a clock that goes on a minute each, so that what is
read seldom is read as seldom as it would be; one table in ten is written between two rounds. CPU
is that of the server's process that answers the collector (/proc), and of this one. Sampling is
measured beside busy sessions, and the rank of dbopt's own statements in pg_stat_statements beside
pgbench, at the rate of one round and sixty samples a minute.

Targets, at a one-minute interval: a round of 10,000 tables takes 5 s at most and 1 % of a core of
the server; sampling at 1 Hz takes 0.5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.poolbench import machine, pgbench, proc
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.pool import Pool, control_pool
from dbopt.settings import Stats
from dbopt.stats.collecting import Collecting, Round
from dbopt.stats.collectors import collectors
from dbopt.stats.sampler import Sampler
from dbopt.stats.view import View
from dbopt.store.frame import Standing, Target

SIZES = (100, 1_000, 10_000)
INDEXES = 5
LONGEST = 5.0
"""Seconds that a round may take."""
SHARE = 0.01
"""Share of a core that rounds may take of the server."""
SAMPLING = 0.005
CHUNK = 250
"""Tables made in one transaction: each locks six relations."""

MAKE = """
DO $$ BEGIN FOR i IN {first}..{last} LOOP
  EXECUTE format('CREATE TABLE t%s (a int PRIMARY KEY, b int, c int, d text, e timestamptz)', i);
  EXECUTE format('CREATE INDEX ON t%s (b)', i); EXECUTE format('CREATE INDEX ON t%s (c)', i);
  EXECUTE format('CREATE INDEX ON t%s (d)', i); EXECUTE format('CREATE INDEX ON t%s (e)', i);
  EXECUTE format('INSERT INTO t%s SELECT n, n, n, n, now() FROM generate_series(1, 10) AS n', i);
END LOOP; END $$
"""
TOUCH = """
DO $$ BEGIN FOR i IN 1..{tables} BY 10 LOOP
  EXECUTE format('UPDATE t%s SET b = b + 1 WHERE a = 1', i);
END LOOP; END $$
"""
RANKED = """
SELECT rank, calls, total_exec_time, mean_exec_time, share FROM (
  SELECT rank() OVER (ORDER BY total_exec_time DESC) AS rank, calls, total_exec_time,
         mean_exec_time, total_exec_time / sum(total_exec_time) OVER () AS share, query
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database
                                           WHERE datname = current_database())) AS all_of_them
 WHERE query LIKE '%/* dbopt */%' ORDER BY rank
"""


@dataclass(frozen=True, slots=True)
class Size:
    """One size: seconds of a round, and seconds of CPU a minute of the server and of dbopt."""

    tables: int
    rounds: int
    first_s: float
    median_s: float
    longest_s: float
    server_cpu_s: float
    own_cpu_s: float
    dearest: dict[str, float]

    @property
    def share(self) -> float:
        """Share of a core, of the server, at one round a minute."""
        return self.server_cpu_s / 60.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling at 1 Hz beside `sessions` busy ones: shares of a core."""

    sessions: int
    samples: int
    server_share: float
    own_share: float


@dataclass(frozen=True, slots=True)
class Rank:
    """dbopt's own statements in pg_stat_statements: the first one's rank, and all their share."""

    first: int
    statements: int
    share: float
    mean_ms: float


class Minutes:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def nothing(_: Target, __: View) -> Standing | None:
    return None


async def backend(pool: Pool) -> int:
    """The server's process behind the pool's only connection."""
    async with pool.connection() as connection:
        return connection.info.backend_pid


def one_connection(dsn: str) -> Pool:
    """A pool that one user at a time keeps at one connection."""
    return control_pool(dsn, Stats(statement_timeout=120.0))


def make_tables(connection: psycopg.Connection, tables: int) -> None:
    for first in range(1, tables + 1, CHUNK):
        say(f"tables {first} of {tables}")
        last = min(first + CHUNK - 1, tables)
        connection.execute(MAKE.format(first=first, last=last).encode())
    connection.execute("VACUUM ANALYZE" if tables <= 1000 else "ANALYZE")


async def rounds(dsn: str, tables: int, minutes: int, writer: psycopg.Connection) -> Size:
    """So many rounds, a minute apart by the collector's clock."""
    clock = Minutes()
    times: list[float] = []
    seconds: dict[str, float] = {}
    server = own = 0.0
    pool = one_connection(dsn)
    async with pool:
        pid, me = await backend(pool), os.getpid()
        readers = [Timed(reader, seconds) for reader in collectors()]
        collecting = Collecting(pool, Stats(), readers, nothing, clock)
        for minute in range(minutes + 1):
            say(f"{tables} tables: round {minute} of {minutes}")
            writer.execute(TOUCH.format(tables=tables).encode())
            before, mine = proc.cpu(pid), proc.cpu(me)
            began = asyncio.get_running_loop().time()
            await collecting.round(Round())
            times.append(asyncio.get_running_loop().time() - began)
            if minute:
                server += sum(proc.cpu(pid).since(before))
                own += sum(proc.cpu(me).since(mine))
            clock.now += 60.0
    first, *later = times
    dearest = sorted(seconds.items(), key=lambda item: -item[1])[:5]
    return Size(
        tables, minutes, first, statistics.median(later), max(later), server / minutes,
        own / minutes, {name: round(took / (minutes + 1), 4) for name, took in dearest},
    )  # fmt: skip


class Timed:
    """A collector whose seconds are added up by view."""

    def __init__(self, reader: Any, seconds: dict[str, float]) -> None:
        self.view = reader.view
        self._reader = reader
        self._seconds = seconds

    async def collect(self, conn: AsyncConnection, server: Any, limit: int) -> Any:
        began = asyncio.get_running_loop().time()
        try:
            return await self._reader.collect(conn, server, limit)
        finally:
            took = asyncio.get_running_loop().time() - began
            self._seconds[self.view.name] = self._seconds.get(self.view.name, 0.0) + took


@contextmanager
def busy(dsn: str, sessions: int) -> Iterator[None]:
    """So many sessions that are at work, and cost nothing."""
    with ExitStack() as stack:
        for _ in range(sessions):
            connection = psycopg.connect(dsn, application_name="web")
            stack.callback(connection.close)
            stack.callback(connection.cancel_safe)
            connection.pgconn.send_query(b"SELECT pg_sleep(600)")
        yield


async def sampling(dsn: str, sessions: int, samples: int) -> Sampling:
    pool = one_connection(dsn)
    async with pool:
        pid, me = await backend(pool), os.getpid()
        sampler = Sampler(pool, lambda _: None)
        await sampler.sample()
        before, mine = proc.cpu(pid), proc.cpu(me)
        for _ in range(samples):
            await sampler.sample()
        server, own = sum(proc.cpu(pid).since(before)), sum(proc.cpu(me).since(mine))
    return Sampling(sessions, samples, server / samples, own / samples)


@contextmanager
def loaded(cluster: EmbeddedCluster, seconds: int) -> Iterator[None]:
    """pgbench for so many seconds, counted in pg_stat_statements from its start."""
    dsn = cluster.dsn("postgres")
    run(cluster, "-i", "-q", "-s", "1", dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
    load = subprocess.Popen(
        [str(cluster.bin("pgbench")), "-n", "-c", "8", "-T", str(seconds), dsn],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=pgbench.environment(),
    )  # fmt: skip
    try:
        yield
    finally:
        load.wait()


async def ranked(cluster: EmbeddedCluster, seconds: int) -> Rank:
    """Beside pgbench, as much collecting as there is in so many seconds."""
    dsn = cluster.dsn("postgres")
    pool = one_connection(dsn)
    async with pool:
        sampler, clock = Sampler(pool, lambda _: None), Minutes()
        collecting = Collecting(pool, Stats(), collectors(), nothing, clock)
        for second in range(seconds):
            if second % 60 == 0:
                await collecting.round(Round())
                clock.now += 60.0
            await sampler.sample()
            await asyncio.sleep(1.0)
    with psycopg.connect(dsn) as connection:
        found = connection.execute(RANKED).fetchall()
    if not found:
        return Rank(0, 0, 0.0, 0.0)
    mean = statistics.fmean(row[3] for row in found)
    return Rank(found[0][0], len(found), float(sum(row[4] for row in found)), mean)


def run(cluster: EmbeddedCluster, *arguments: str) -> None:
    subprocess.run(
        [str(cluster.bin("pgbench")), *arguments],
        check=True, capture_output=True, env=pgbench.environment(),
    )  # fmt: skip


def measure(options: argparse.Namespace) -> dict[str, Any]:
    settings = {
        "max_locks_per_transaction": "512", "max_connections": "200",
        "shared_preload_libraries": "pg_stat_statements",
    }  # fmt: skip
    with EmbeddedCluster(settings=settings) as cluster:
        with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            head = machine.described(str(connection.info.server_version), ())
        sizes = [measured_size(cluster, tables, options.minutes) for tables in options.tables]
        with busy(cluster.dsn("postgres"), options.sessions):
            say("sampling")
            sampled = asyncio.run(
                sampling(cluster.dsn("postgres"), options.sessions, options.samples)
            )
        say("beside pgbench")
        rank = None
        if options.seconds:
            with loaded(cluster, options.seconds):
                rank = asyncio.run(ranked(cluster, options.seconds))
    return {
        **head,
        "sizes": [asdict(size) | {"share": size.share} for size in sizes],
        "sampling": asdict(sampled),
        "rank": asdict(rank) if rank else None,
        "missed": missed(sizes, sampled),
    }


def measured_size(cluster: EmbeddedCluster, tables: int, minutes: int) -> Size:
    name = f"tables_{tables}"
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(cluster.dsn(name), autocommit=True) as writer:
        writer.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        make_tables(writer, tables)
        return asyncio.run(rounds(cluster.dsn(name), tables, minutes, writer))


def missed(sizes: list[Size], sampled: Sampling) -> list[str]:
    found = []
    for size in sizes:
        if size.longest_s > LONGEST:
            found.append(f"{size.tables} tables: a round of {size.longest_s:.1f} s")
        if size.share > SHARE:
            found.append(f"{size.tables} tables: {size.share:.2%} of a core")
    if sampled.server_share > SAMPLING:
        found.append(f"sampling: {sampled.server_share:.2%} of a core")
    return found


def show(found: dict[str, Any], console: Console) -> None:
    console.print(machine.line(found), highlight=False)
    table = Table("tables", "first", "median", "longest", "server CPU", "of a core", "own CPU")
    for size in found["sizes"]:
        table.add_row(
            f"{size['tables']:,}", f"{size['first_s']:.2f} s", f"{size['median_s']:.2f} s",
            f"{size['longest_s']:.2f} s", f"{size['server_cpu_s'] * 1000:.0f} ms/min",
            f"{size['share']:.2%}", f"{size['own_cpu_s'] * 1000:.0f} ms/min",
        )  # fmt: skip
    console.print(table)
    for size in found["sizes"]:
        views = ", ".join(f"{name} {took * 1000:.0f} ms" for name, took in size["dearest"].items())
        console.print(f"{size['tables']:,} tables, the dearest: {views}", highlight=False)
    one = found["sampling"]
    console.print(
        f"sampling at 1 Hz beside {one['sessions']} busy sessions: {one['server_share']:.3%} of a "
        f"core of the server, {one['own_share']:.3%} of dbopt's", highlight=False,
    )  # fmt: skip
    if rank := found["rank"]:
        console.print(
            f"in pg_stat_statements beside pgbench: {rank['statements']} statements of dbopt's, "
            f"the first at rank {rank['first']}, {rank['share']:.2%} of all time",
            highlight=False,
        )
    for words in found["missed"]:
        console.print(f"missed: {words}", style="red")


def say(words: str) -> None:
    """Tell a person who waits where it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = ",".join(map(str, SIZES))
    parser.add_argument(
        "--tables", default=sizes, type=lambda text: tuple(map(int, text.split(",")))
    )
    parser.add_argument("--minutes", type=int, default=15, help="rounds of each size")
    parser.add_argument("--sessions", type=int, default=50, help="busy ones beside the sampling")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=60, help="beside pgbench; 0: not at all")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    found = measure(options)
    say("")
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, Console())
    return 1 if options.check and found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
