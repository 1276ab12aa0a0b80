"""A day of a shop's database, as frames: a plan change at noon, a lock pile-up, a night vacuum.

`python -m tests.report_story FILE` writes the HTML report of it (docs/report-example.html).
The day is the same each time: nothing in it is random but for a seeded generator.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.stats.report.build import build
from dbopt.stats.report.compare import Comparison
from dbopt.stats.report.html import html
from dbopt.stats.report.model import Report
from dbopt.stats.report.period import Period
from dbopt.stats.report.reading import PRELUDE, STANDING
from dbopt.store.frame import Event, Frame, Key, Target, Values

DAY = datetime(2026, 3, 2, tzinfo=UTC)
SERVER = Target("db1.shop.example:5432")
SHOP = Target(SERVER.server, "shop")
NOON, LOCKS, VACUUM, GAP = 12 * 60, 16 * 60 + 30, 3 * 60, 5 * 60 + 10
"""Minutes of the day."""
BUSY = 7
STATEMENTS: tuple[tuple[str, str, str, float, float, int], ...] = (
    ("SELECT o.id, o.total, o.placed_at\n  FROM orders AS o\n WHERE o.customer_id = $1\n"
     " ORDER BY o.placed_at DESC\n LIMIT $2", "web", "/customers/:id/orders", 420, 2.4, 10),
    ("SELECT id, name, price FROM product WHERE category_id = $1 AND active", "web",
     "/categories/:id", 900, 0.9, 24),
    ("UPDATE stock SET reserved = reserved + $1 WHERE product_id = $2", "checkout",
     "/cart/checkout", 160, 1.6, 1),
    ("INSERT INTO order_line (order_id, product_id, quantity, price) VALUES ($1, $2, $3, $4)",
     "checkout", "/cart/checkout", 210, 0.7, 1),
    ("SELECT * FROM product WHERE id = $1", "web", "/cart", 1900, 0.15, 1),
    ("SELECT date_trunc($1, placed_at) AS day, count(*), sum(total)\n  FROM orders\n"
     " GROUP BY day\n ORDER BY day", "report", "/admin/revenue", 1.5, 2600, 720),
    ("SELECT p.name FROM product AS p WHERE p.description ILIKE $1", "web", "/search", 24, 130, 12),
    ("DELETE FROM session WHERE seen_at < now() - $1::interval", "jobs", "", 1, 90, 800),
    ("SELECT pg_notify($1, $2)", "jobs", "", 60, 0.08, 1),
    ("ALTER TABLE stock ADD COLUMN warehouse_id bigint", "deploy", "", 0, 4, 0),
)  # fmt: skip
"""Text, application, route, calls a minute at the busiest, milliseconds a call, rows."""
NUMBERS = [fingerprint(text) for text, *_ in STATEMENTS]
TEXTS = {number: text for number, (text, *_) in zip(NUMBERS, STATEMENTS, strict=True)}
TABLES: tuple[tuple[str, int, int], ...] = (
    ("orders", 4_200_000, 980 << 20), ("order_line", 18_000_000, 2100 << 20),
    ("product", 64_000, 48 << 20), ("stock", 64_000, 31 << 20), ("session", 310_000, 95 << 20),
    ("customer", 820_000, 160 << 20),
)  # fmt: skip
EXEC = ("calls", "total_exec_us", "rows", "plans", "total_plan_us", "shared_blks_hit",
        "shared_blks_read", "shared_blks_dirtied", "shared_blks_written", "temp_blks_read",
        "temp_blks_written", "shared_blk_read_us", "wal_records", "wal_fpi", "wal_bytes",
        "jit_functions", "jit_generation_us")  # fmt: skip
TRACED = ("calls", "rows", "errors", "total_us", "queue_us", "transfer_us", "received_bytes",
          "sent_bytes")  # fmt: skip
Rows = Mapping[Key, Values]


@dataclass(slots=True)
class Minute:
    """One step of the day: which, how many seconds it has, how busy it is (0 to 1)."""

    at: datetime
    minute: int
    seconds: float
    busy: float
    dice: random.Random
    changed: bool

    def frame(
        self, target: Target, view: str, counters: tuple[str, ...], gauges: tuple[str, ...],
        changed: Rows, labels: Mapping[Key, Mapping[str, Any]] | None = None, base: bool = False,
    ) -> Frame:  # fmt: skip
        rows = dict(changed)
        return Frame(target, view, self.at, self.seconds, counters, gauges, {} if base else rows,
                     rows if base else {}, (), labels or {})  # fmt: skip

    @property
    def elapsed(self) -> int:
        """Minutes since the eventful day began."""
        return round((self.at - DAY).total_seconds() / 60)

    @property
    def piled(self) -> bool:
        return self.changed and LOCKS <= self.minute < LOCKS + 12

    @property
    def replanned(self) -> bool:
        return self.changed and self.minute >= NOON


def minutes(day: datetime, step: int, eventful: bool) -> Iterator[Minute]:
    dice = random.Random(day.toordinal())  # noqa: S311 - no secret
    for minute in range(step, 1441, step):
        if eventful and GAP < minute <= GAP + 30:
            continue
        wave = 0.5 - 0.5 * math.cos((minute - 240) / 1440 * 2 * math.pi)
        busy = (0.12 + 0.88 * wave) * dice.uniform(0.92, 1.08)
        yield Minute(day + timedelta(minutes=minute), minute, step * 60.0, busy, dice, eventful)


def of_statements(at: Minute) -> Iterator[Frame]:
    counts, traced, waits = {}, {}, {}
    for place, (number, line) in enumerate(zip(NUMBERS, STATEMENTS, strict=True)):
        _, application, route, rate, cost, rows = line
        calls = round(rate * BUSY * at.busy * at.seconds / 60 * at.dice.uniform(0.9, 1.1))
        if place == 9:
            calls = 1 if at.piled and at.minute < LOCKS + 6 else 0
        if not calls:
            continue
        factor = at.dice.uniform(0.93, 1.07) * (17 if place == 0 and at.replanned else 1)
        server = round(calls * cost * factor * 1000)
        locked = calls * 700_000 if place == 2 and at.piled else 0
        read = calls * (300 if place == 0 and at.replanned else 40 if place in (5, 6) else 1)
        temp = calls * 2100 if place == 5 else 0
        wal = calls * 260 if place in (2, 3, 7) else 0
        counts[number % 2**62, 10, 1] = (
            calls, server + locked, calls * rows, calls // 3, calls * 30, read * 60, read,
            wal // 300, 0, temp, temp, read * 35, wal // 90, wal // 8000, wal,
            calls * 4 if place == 5 else 0, calls * 90_000 if place == 5 else 0,
        )  # fmt: skip
        queued = calls * (9000 if at.piled else 120)
        total = server + locked + queued
        mean = total // calls
        errors = calls // 30 if at.piled and place in (2, 3) else calls // 40_000
        traced[number, "shop", "shop_app", application, route] = (
            calls, calls * rows, errors, total, queued, calls * 60, calls * 90,
            calls * rows * 60, mean // 2, mean * 3, mean * 6, mean * 14,
        )  # fmt: skip
        for key, samples in waited(at, place, (server + locked) / 1e6).items():
            state = ("active", *key, number, "shop_app", application, "shop")
            waits[state] = (samples,)
    labels = {
        (number % 2**62, 10, 1): {"role": "shop_app", "fingerprint": number} for number in NUMBERS
    }
    yield at.frame(SHOP, "statements", EXEC, (), counts, labels)
    yield at.frame(SERVER, "traced", TRACED, ("p50_us", "p95_us", "p99_us", "max_us"), traced)
    yield at.frame(SERVER, "waits", ("samples",), (), waits)
    if at.piled:
        held = {(NUMBERS[2], NUMBERS[9], "AccessExclusiveLock", "public.stock"): (320,)}
        yield at.frame(SERVER, "blocking", ("samples",), (), held)


def waited(at: Minute, place: int, seconds: float) -> dict[tuple[str, str], int]:
    """Samples by wait, of so much time of a statement."""
    shares = {("", ""): 0.62, ("IO", "DataFileRead"): 0.3, ("Client", "ClientWrite"): 0.03}
    if place == 0 and at.replanned:
        shares = {("", ""): 0.4, ("IO", "DataFileRead"): 0.58}
    if place in (2, 3):
        shares = {("", ""): 0.5, ("IO", "WALSync"): 0.3, ("LWLock", "WALWrite"): 0.2}
    if place == 2 and at.piled:
        shares = {("Lock", "relation"): 0.97, ("", ""): 0.03}
    found = {key: round(seconds * share + at.dice.random()) for key, share in shares.items()}
    if place == 5 and VACUUM <= at.minute < VACUUM + 40:
        found["IO", "DataFileWrite"] = 55
    return {key: samples for key, samples in found.items() if samples}


def of_transactions(at: Minute) -> Iterator[Frame]:
    done = round(150 * at.busy * at.seconds / 60)
    scope = ("shop", "shop_app", "checkout", "/cart/checkout")
    row = (done, done // 90, done * 6, done * 14_000, done * 5_000, 9000, 40_000, 90_000, 400_000,
           60_000)  # fmt: skip
    yield at.frame(
        SERVER, "transactions", ("transactions", "failed", "statements", "total_us", "idle_us"),
        ("p50_us", "p95_us", "p99_us", "max_us", "max_idle_us"), {scope: row},
    )  # fmt: skip
    key = (NUMBERS[4], "shop", "shop_app", "web", "/cart")
    yield at.frame(SERVER, "repeated", ("transactions", "calls"), ("most",),
                   {key: (done // 4, done // 4 * 31, 64)})  # fmt: skip


def of_server(at: Minute) -> Iterator[Frame]:
    done = round(2600 * at.busy * at.seconds / 60)
    read = round((done * 6 + (40_000 if at.replanned else 0)) * at.seconds / 60)
    names = ("xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_inserted",
             "temp_bytes", "deadlocks", "conflicts", "sessions")  # fmt: skip
    row = (done, done // 300, read, read * 45, done, round(at.busy * 18e6),
           int(at.piled and at.minute == LOCKS), 0, 3)  # fmt: skip
    yield at.frame(SERVER, "database", names, ("numbackends",), {(16384,): (*row, 40)},
                   {(16384,): {"datname": "shop"}})  # fmt: skip
    yield at.frame(SERVER, "wal", ("wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full"), (),
                   {(): (done * 3, done // 9, done * 2100, 0)})  # fmt: skip
    requested = int(at.minute % 30 == 0 and at.busy > 0.6)
    yield at.frame(
        SERVER, "checkpointer", ("num_timed", "num_requested", "write_us", "sync_us",
                                 "buffers_written"), (),
        {(): (int(at.minute % 30 == 0) - requested, requested, done * 900, done * 20, done)},
    )  # fmt: skip
    yield at.frame(SERVER, "bgwriter", ("buffers_clean", "maxwritten_clean"), (),
                   {(): (done // 20, done // 4000)})  # fmt: skip
    io = ("reads", "read_bytes", "read_us", "writes", "write_bytes", "write_us", "hits")
    vacuuming = VACUUM <= at.minute < VACUUM + 40
    backends: dict[Key, Values] = {
        ("client backend", "relation", "normal"): (read, read * 8192, read * 40, 0, 0, 0, read * 45)
    }
    backends["checkpointer", "relation", "normal"] = (0, 0, 0, done, done * 8192, done * 60, 0)
    if vacuuming:
        backends["autovacuum worker", "relation", "vacuum"] = (
            90_000, 90_000 * 8192, 4_000_000, 30_000, 30_000 * 8192, 2_000_000, 500_000,
        )  # fmt: skip
    yield at.frame(SERVER, "io", io, (), backends)
    sessions = 62 + round(60 * at.busy) + (88 if at.piled else 0)
    yield at.frame(SERVER, "connections", (), ("sessions", "max_connections", "ssl"),
                   {(): (sessions, 300, sessions - 9)})  # fmt: skip


def of_relations(at: Minute) -> Iterator[Frame]:
    counters = ("seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd",
                "n_tup_del", "n_tup_hot_upd", "vacuum_count", "autovacuum_count", "analyze_count",
                "autoanalyze_count", "heap_blks_read", "heap_blks_hit", "idx_blks_read",
                "idx_blks_hit")  # fmt: skip
    gauges = ("n_live_tup", "n_dead_tup", "n_mod_since_analyze", "last_autovacuum_at",
              "last_autoanalyze_at")  # fmt: skip
    rows, labels = {}, {}
    vacuumed = int((DAY + timedelta(minutes=VACUUM)).timestamp())
    for place, (name, live, _) in enumerate(TABLES):
        calls = round(300 * at.busy * at.seconds / 60)
        scans = calls if name == "orders" and at.replanned else place % 2
        dead = (at.minute - VACUUM) % 1440 * (260 if name in ("session", "stock") else 30)
        labels[(16400 + place,)] = {"schemaname": "public", "relname": name}
        rows[(16400 + place,)] = (
            scans, scans * min(live, 60_000), calls, calls * 4, calls // 3, calls // 2, calls // 9,
            calls // 3, 0, int(at.minute == VACUUM), 0, int(at.minute == VACUUM), calls * 2,
            calls * 70, calls // 4, calls * 30, live + at.minute * calls // 90, dead, dead * 2,
            vacuumed, vacuumed,
        )  # fmt: skip
    yield at.frame(SHOP, "tables", counters, gauges, rows, labels)
    if at.minute % 60 == 0:
        yield from of_storage(at, labels)


def of_storage(at: Minute, labels: Mapping[Key, Mapping[str, Any]]) -> Iterator[Frame]:
    names = ("table_bytes", "toast_bytes", "indexes_bytes", "xid_age")
    sizes = {
        (16400 + place,): (size + at.elapsed * size // 90_000, size // 50, size // 3, 41_000_000)
        for place, (_, _, size) in enumerate(TABLES)
    }
    yield at.frame(SHOP, "table_storage", (), names, sizes, labels)
    bloat = {(16400 + place,): (size, size // (4 + 3 * place), 10**6 // (4 + 3 * place))
             for place, (_, _, size) in enumerate(TABLES)}  # fmt: skip
    yield at.frame(
        SHOP, "table_bloat", (), ("real_bytes", "bloat_bytes", "bloat_ppm"), bloat, labels
    )
    indexes = {
        (16500 + place,): {"relid": 16400 + place, "schemaname": "public", "relname": name,
                           "indexrelname": f"{name}_{end}"}
        for place, (name, end) in enumerate(
            [(name, "pkey") for name, *_ in TABLES] + [("orders", "status_idx")])
    }  # fmt: skip
    scans = {key: (0 if key == (16506,) else 900, 900, 800, 40, 9000) for key in indexes}
    columns = ("idx_scan", "idx_tup_read", "idx_tup_fetch", "idx_blks_read", "idx_blks_hit")
    yield at.frame(SHOP, "indexes", columns, ("last_idx_scan_at",),
                   {key: (*row, None) for key, row in scans.items()}, indexes)  # fmt: skip
    grown: dict[Key, Values] = dict.fromkeys(indexes, ((90 << 20) + at.elapsed * 9000,))
    yield at.frame(SHOP, "index_storage", (), ("index_bytes",), grown, indexes)
    yield at.frame(SERVER, "database_storage", (), ("size_bytes", "xid_age"),
                   {(16384,): ((4 << 30) + at.elapsed * 400_000, 41_000_000 + at.elapsed * 2000)},
                   {(16384,): {"datname": "shop"}})  # fmt: skip
    slot = {("standby2",): (1, (5 << 30) + at.elapsed * 300_000)}
    yield at.frame(SERVER, "replication_slots", (), ("active", "retained_bytes"), slot,
                   {("standby2",): {"slot_type": "physical", "wal_status": "kept"}})  # fmt: skip


def frames(day: datetime, step: int = 1, *, eventful: bool = True) -> Iterator[Frame]:
    """The day's frames in order, one each `step` minutes."""
    for at in minutes(day, step, eventful):
        yield from of_statements(at)
        yield from of_transactions(at)
        yield from of_server(at)
        yield from of_relations(at)


def events(day: datetime) -> list[Event]:
    """What happened in the day."""
    noon = day + timedelta(minutes=NOON - 1)
    return [
        Event(noon - timedelta(minutes=2), SERVER, "setting-changed", "random_page_cost",
              "random_page_cost was 1.1, and is 4."),
        Event(noon, SHOP, "plan-change", fingerprint_hex(NUMBERS[0]),
              "Index Scan using orders_customer_idx on orders is now Seq Scan on orders."),
    ]  # fmt: skip


def story(step: int = 1) -> Report:
    """The report of the day, compared with the quiet one before."""
    eve = DAY - timedelta(days=1)
    night = (frame for frame in frames(eve, step, eventful=False) if frame.at > DAY - PRELUDE)
    now = Period(DAY, DAY + timedelta(days=1))
    now.add_all(frame for frame in night if frame.view in STANDING).add_all(frames(DAY, step))
    now.events = events(DAY)
    before = Period(eve, DAY).add_all(frames(eve, step, eventful=False))
    comparison = Comparison("the period before", "before", now, before)
    return build(now, SERVER.server, (comparison,), TEXTS, cpus=8)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(html(story()), encoding="utf-8")
