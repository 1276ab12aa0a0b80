"""What a day of history takes: 1440 snapshots of 500 statements, 500 tables and 1000 indexes.

    python benchmarks/store.py                  (both profiles, a day each: ten minutes)
    python benchmarks/store.py --minutes 120    (extrapolated to a day)
    python benchmarks/store.py --profiles worst --json --check

Made-up counters of the real views go through the real differ and the real writer into a real
server, which has run for a week before. In `typical` an entity's rate is lognormal with a median of
one use in two minutes: most of what there is stands still in most minutes. In `worst` every
statement runs and every table and index is used in every minute, at rates with a median of 50 a
minute. Then the sizes are summed: heap, TOAST and indexes. Target: 50 MB a day. The writer's time a
snapshot is shown too, and that of adding the day up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.poolbench import machine
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.pg.pool import Pool, control_pool
from dbopt.settings import Settings, Stats
from dbopt.stats.collectors import VIEWS
from dbopt.stats.differ import Differ
from dbopt.stats.view import Collected, View
from dbopt.store import history, partitions
from dbopt.store.frame import Target
from dbopt.store.writer import Batch, Writer

TARGET_MB = 50.0
DAY = 1440
STATEMENTS = TABLES = 500
INDEXES = 1000
PROFILES = {"typical": 0.5, "worst": 50.0}
"""The median of the uses a minute."""
OF = Target("10.0.0.5:5432", "shop")
STARTED = datetime(2020, 1, 1, tzinfo=UTC)
BY_NAME = {view.name: view for view in VIEWS}
Row = dict[str, Any]
SIZES = """
    SELECT coalesce(p.relname, c.relname) AS name,
           sum(pg_total_relation_size(c.oid))::bigint AS bytes
      FROM pg_class AS c
      LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
      LEFT JOIN pg_class AS p ON p.oid = i.inhparent
     WHERE c.relnamespace = 'dbopt'::regnamespace AND c.relkind = 'r'
     GROUP BY 1
     ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One profile: MB a day by table and together, ms a snapshot, seconds to add the day up."""

    profile: str
    minutes: int
    tables: dict[str, float]
    mb_a_day: float
    write_ms: float
    total_s: float

    @property
    def reached(self) -> bool:
        return self.mb_a_day <= TARGET_MB


def poisson(chance: random.Random, mean: float) -> int:
    """A draw; the normal approximation above 30."""
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, left = 0, math.exp(-mean)
    product = chance.random()
    while product > left:
        count += 1
        product *= chance.random()
    return count


class Entity:
    """One row of a view, and how much it is used."""

    def __init__(self, view: View, key: Row, chance: random.Random, median: float) -> None:
        self.row: Row = dict.fromkeys((*view.counters, *view.gauges), 0) | key
        self.rate = median * chance.lognormvariate(0, 1.5)
        self.cost = chance.lognormvariate(6, 1.5)
        self.reach = chance.lognormvariate(2, 1.5)
        self.writes = chance.random() < 0.4

    def uses(self, chance: random.Random, worst: bool) -> int:
        return max(poisson(chance, self.rate), int(worst))

    def add(self, **grown: int) -> None:
        for name, value in grown.items():
            self.row[name] += value


def statement(one: Entity, uses: int, at: int, chance: random.Random) -> None:
    blocks = poisson(chance, uses * one.reach)
    read = poisson(chance, blocks * 0.02)
    took = round(uses * one.cost * chance.lognormvariate(0, 0.3)) + read * 90
    one.add(
        calls=uses, total_exec_us=took, rows=poisson(chance, uses * one.reach / 3),
        shared_blks_hit=blocks, shared_blks_read=read,
        shared_blk_read_us=sum(chance.randrange(40, 300) for _ in range(min(read, 50))),
    )  # fmt: skip
    if one.writes:
        records = poisson(chance, uses * 2)
        images = poisson(chance, uses * 0.02)
        one.add(
            wal_records=records, wal_fpi=images, wal_bytes=records * 95 + images * 6000,
            shared_blks_dirtied=poisson(chance, uses * 0.5),
        )  # fmt: skip
    row, slowest = one.row, round(took / uses * chance.lognormvariate(0.5, 0.5))
    row["max_exec_us"] = max(row["max_exec_us"], slowest)
    row["min_exec_us"] = min(row["min_exec_us"] or slowest, round(took / uses))
    row["stddev_exec_us"] = round(one.cost * chance.lognormvariate(0, 0.02))


def table(one: Entity, uses: int, at: int, chance: random.Random) -> None:
    scans = poisson(chance, uses * 0.02)
    one.add(
        seq_scan=scans, seq_tup_read=scans * one.row["n_live_tup"],
        idx_scan=uses, idx_tup_fetch=poisson(chance, uses * one.reach / 3),
        heap_blks_hit=poisson(chance, uses * one.reach), idx_blks_hit=poisson(chance, uses * 3),
        heap_blks_read=poisson(chance, uses * 0.1), idx_blks_read=poisson(chance, uses * 0.05),
    )  # fmt: skip
    if one.writes:
        made, changed = poisson(chance, uses * 0.2), poisson(chance, uses * 0.3)
        gone = poisson(chance, uses * 0.05)
        one.add(
            n_tup_ins=made, n_tup_upd=changed, n_tup_del=gone,
            n_tup_hot_upd=min(changed, poisson(chance, changed * 0.6)),
            n_live_tup=made - gone, n_dead_tup=changed + gone,
            n_mod_since_analyze=made + changed + gone, n_ins_since_vacuum=made,
        )  # fmt: skip
        if one.row["n_dead_tup"] > 50 + 0.2 * abs(one.row["n_live_tup"]):
            one.row |= {"n_dead_tup": 0, "n_ins_since_vacuum": 0, "last_autovacuum_at": at}
            one.add(autovacuum_count=1, total_autovacuum_us=chance.randrange(10_000, 900_000))
    one.row["last_idx_scan_at"] = at - chance.randrange(8)
    if scans:
        one.row["last_seq_scan_at"] = at - chance.randrange(60)


def index(one: Entity, uses: int, at: int, chance: random.Random) -> None:
    one.add(
        idx_scan=uses, idx_tup_read=poisson(chance, uses * one.reach / 3),
        idx_tup_fetch=poisson(chance, uses * one.reach / 4), idx_blks_hit=poisson(chance, uses * 3),
        idx_blks_read=poisson(chance, uses * 0.05),
    )  # fmt: skip
    one.row["last_idx_scan_at"] = at - chance.randrange(15)


def storage(one: Entity, uses: int, at: int, chance: random.Random) -> None:
    grown = poisson(chance, uses * 0.02)
    one.row["relpages"] += grown
    one.row["reltuples"] += poisson(chance, uses * 0.1)
    for name in ("xid_age", "mxid_age"):
        if name in one.row:
            one.row[name] += 5000
    size = "table_bytes" if "table_bytes" in one.row else "index_bytes"
    one.row[size] = one.row["relpages"] * 8192


Use = Callable[[Entity, int, int, random.Random], None]
KINDS: tuple[tuple[str, int, Use], ...] = (
    ("statements", STATEMENTS, statement),
    ("tables", TABLES, table),
    ("indexes", INDEXES, index),
    ("table_storage", TABLES, storage),
    ("index_storage", INDEXES, storage),
)


class Load:
    """The server that is made up: entities of each view, and the differ of each."""

    def __init__(self, profile: str) -> None:
        self.worst = profile == "worst"
        self.chance = random.Random(7)  # noqa: S311 - no secret
        self.entities = {
            name: [
                self._entity(BY_NAME[name], number, PROFILES[profile]) for number in range(count)
            ]
            for name, count, _ in KINDS
        }
        self.differs = {name: Differ(BY_NAME[name], OF) for name, _, _ in KINDS}

    def _entity(self, view: View, number: int, median: float) -> Entity:
        key: Row = dict.fromkeys(view.key, 16384 + number)
        key |= {name: f"{name}_{number}" for name in view.labels}
        if view.name == "statements":
            key["queryid"] = self.chance.randrange(-(2**63), 2**63)
        one = Entity(view, key, self.chance, median)
        if "n_live_tup" in one.row:
            one.row["n_live_tup"] = round(self.chance.lognormvariate(9, 3))
        return one

    def live(self, at: datetime) -> None:
        """What happened before: a week, in three long periods."""
        for name, _, use in KINDS:
            for one in self.entities[name]:
                for _ in range(3):
                    uses = poisson(self.chance, one.rate * 7 * DAY / 3)
                    if uses:
                        use(one, uses, round(at.timestamp()), self.chance)

    def frames(self, at: datetime, minute: int) -> Batch:
        """One snapshot."""
        found = []
        for name, _, use in KINDS:
            view = BY_NAME[name]
            if view.every > 60 and minute % (view.every // 60):
                continue
            entities = self.entities[name]
            for one in entities:
                if uses := one.uses(self.chance, self.worst):
                    use(one, uses, round(at.timestamp()), self.chance)
            collected = Collected([one.row for one in entities])
            frame = self.differs[name].frame(collected, at, STARTED)
            if frame is not None:
                found.append(frame)
        texts = {number: f"statement {number} " * 20 for number in range(STATEMENTS)}
        return Batch(tuple(found), texts)


async def day(pool: Pool, profile: str, minutes: int) -> Result:
    """Simulate one profile on an empty store."""
    load, writer = Load(profile), Writer(pool)
    start = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    load.live(start - timedelta(minutes=1))
    async with pool.connection() as conn:
        await partitions.keep(conn, start, 7)
    spent = 0.0
    for minute in range(minutes):
        batch = load.frames(start + timedelta(minutes=minute), minute)
        began = time.perf_counter()
        writer.put(batch)
        if not await writer.flush():
            raise SystemExit(writer.error)
        spent += time.perf_counter() - began
    async with pool.connection() as conn:
        began = time.perf_counter()
        for name in ("statements", "tables", "indexes"):
            await history.total(conn, OF, name, start, start + timedelta(days=1))
        total_s = time.perf_counter() - began
        rows = await (await conn.execute(SIZES)).fetchall()
    factor = DAY / minutes / 1e6
    # What is there once, and does not grow with the day, is not multiplied.
    grows = {"history"}
    tables = {
        row["name"]: row["bytes"] * (factor if row["name"] in grows else 1e-6) for row in rows
    }
    return Result(profile, minutes, tables, sum(tables.values()), spent / minutes * 1000, total_s)


async def measured(options: argparse.Namespace, cluster: EmbeddedCluster) -> list[Result]:
    """Every profile, in a database of its own."""
    # Imported here: Alembic reads its environment when it runs.
    from dbopt.migrate import runner

    found = []
    for profile in options.profiles:
        name = f"store_{profile}"
        admin = control_pool(cluster.dsn(), Stats())
        async with admin, admin.connection() as conn:
            await conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        settings = Settings()
        settings = type(settings)(server=type(settings.server)(dsn=cluster.dsn(name)))
        await asyncio.to_thread(runner.upgrade, settings, indexes=False)
        pool = control_pool(cluster.dsn(name), Stats())
        async with pool:
            found.append(await day(pool, profile, options.minutes))
    return found


def show(found: list[Result], console: Console) -> None:
    """Print the table."""
    grid = Table(title="MB a day in the store (heap, TOAST, indexes)")
    grid.add_column("")
    for result in found:
        grid.add_column(result.profile, justify="right")
    names = sorted({n for r in found for n in r.tables}, key=lambda n: -found[-1].tables.get(n, 0))
    for name in names:
        cells = [result.tables.get(name, 0.0) for result in found]
        if max(cells) >= 0.1:
            grid.add_row(name, *(f"{cell:.1f}" for cell in cells))
    colours = ["green" if result.reached else "red" for result in found]
    cells_ = zip(colours, found, strict=True)
    grid.add_row("together", *(f"[{c}]{r.mb_a_day:.1f}[/{c}]" for c, r in cells_))
    grid.add_row("target", *(f"≤ {TARGET_MB:.0f}" for _ in found))
    grid.add_row("writing a snapshot, ms", *(f"{result.write_ms:.0f}" for result in found))
    grid.add_row("adding the day up, s", *(f"{result.total_s:.1f}" for result in found))
    console.print(grid)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--minutes", type=int, default=DAY, help="snapshots; fewer are extrapolated (1440)")
    add("--profiles", nargs="+", choices=list(PROFILES), default=list(PROFILES))
    add("--json", action="store_true", help="print JSON")
    add("--check", action="store_true", help="exit with 1 if the target is missed")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print."""
    options = parsed()
    with EmbeddedCluster(settings={"fsync": "off"}) as cluster:
        head = machine.described(cluster.version, ("dbopt",))
        found = asyncio.run(measured(options, cluster))
    if options.json:
        rows = [asdict(result) | {"reached": result.reached} for result in found]
        print(json.dumps(head | {"target_mb": TARGET_MB, "results": rows}, indent=2))
    else:
        show(found, Console())
        print(machine.line(head))
    if options.check and not all(result.reached for result in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
