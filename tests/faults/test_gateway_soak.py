"""Many clients on few backends, and all that goes wrong at once: no reply is lost or crossed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import bind, describe, execute, parse, raw_client
from tests.support import wait_until

SHORT, LONG = 8.0, 600.0
"""Seconds of the run that is always made, and of `make soak`."""
CLIENTS = 40
BACKENDS = 4
ACCOUNTS = 20
TOTAL = ACCOUNTS * 100
EXPECTED = (
    errors.QueryCanceled,
    errors.AdminShutdown,
    errors.InFailedSqlTransaction,
    errors.ConnectionFailure,
    errors.DeadlockDetected,
)

Connection = psycopg.Connection[Any]


class Soak:
    """One run: clients in threads, each with a tag of its own."""

    def __init__(self, gateway: Gateway, direct: str, seconds: float) -> None:
        self.gateway = gateway
        self.direct = direct
        self.until = time.monotonic() + seconds
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()

    @property
    def running(self) -> bool:
        return time.monotonic() < self.until and not self.wrong

    def client(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - no secret
        tag = f"tag-{number}"
        while self.running:
            try:
                with self.gateway.connect(application_name=tag, prepare_threshold=2) as connection:
                    self.session(connection, tag, chance)
            except psycopg.OperationalError as error:
                self.done[f"closed {error.sqlstate}"] += 1
            except Exception as error:
                self.wrong.append(f"{tag}: {error!r}")

    def session(self, connection: Connection, tag: str, chance: random.Random) -> None:
        for _ in range(chance.randint(1, 60)):
            if not self.running:
                return
            work = chance.choice(WORK)
            try:
                work(connection, tag, chance)
                self.done[work.__name__] += 1
            except EXPECTED as error:
                self.done[type(error).__name__] += 1
                if not connection.closed:
                    connection.rollback()

    def cutter(self, number: int) -> None:
        """Clients that leave in the middle of a message, a batch, a COPY or a transaction."""
        chance = random.Random(number)  # noqa: S311 - no secret
        parts = (
            parse("SELECT 1") + bind() + describe("P") + execute(),
            b"Q\0\0\0\x10SELECT",
            b"Q\0\0\0\x2aCOPY bank FROM STDIN WITH (FORMAT csv)\0d\0\0\1\0junk",
            b"Q\0\0\0\x0aBEGIN\0" + b"Q\0\0\0\x21UPDATE bank SET money = money-1\0",
            b"Q\0\0\0\x17SELECT pg_sleep(9)\0",
            b"Q\0\0\0\x2eSELECT repeat('x', 9000) FROM generate_series"[:40],
        )
        while self.running:
            with raw_client(self.gateway.dsn(), application_name=f"cut-{number}") as raw:
                raw.send(chance.choice(parts))
                if chance.random() < 0.5:
                    raw.socket.setblocking(False)
            self.done["cut"] += 1
            time.sleep(0.02)

    def killer(self) -> None:
        chance = random.Random(0)  # noqa: S311 - no secret
        with psycopg.connect(self.direct, autocommit=True) as admin:
            while self.running:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    "pg_backend_pid() AND datname = current_database() ORDER BY random() LIMIT 1"
                )
                self.done["kill"] += 1
                time.sleep(chance.uniform(0.05, 0.2))

    def run(self) -> None:
        work: list[tuple[Callable[..., None], Any]] = [(self.client, (n,)) for n in range(CLIENTS)]
        work += [(self.cutter, (n,)) for n in range(2)] + [(self.killer, ())]
        threads = [threading.Thread(target=target, args=args) for target, args in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.until - time.monotonic()) + 60)
            assert not thread.is_alive(), "a client waits for a reply that never comes"


def simple(connection: Connection, tag: str, chance: random.Random) -> None:
    with psycopg.ClientCursor(connection) as cursor:
        value = chance.randint(0, 1 << 30)
        row = cursor.execute("SELECT %s, %s", (tag, value)).fetchone()
        assert (tag, value) == row


def prepared(connection: Connection, tag: str, chance: random.Random) -> None:
    value = chance.randint(0, 9)
    query = f"SELECT %s::text, %s::int + {chance.randint(0, 9)} * 0"
    assert (tag, value) == connection.execute(query, (tag, value), prepare=True).fetchone()


def own_name(connection: Connection, tag: str, chance: random.Random) -> None:
    row = connection.execute("SELECT current_setting('application_name')").fetchone()
    assert (tag,) == row


def pipeline(connection: Connection, tag: str, chance: random.Random) -> None:
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::text, %s::int", (tag, i)) for i in range(9)]
    assert [(tag, i) for i in range(9)] == [cursor.fetchone() for cursor in cursors]


def failed(connection: Connection, tag: str, chance: random.Random) -> None:
    with pytest.raises(errors.DivisionByZero), connection.pipeline():  # noqa: PT012 - one batch
        connection.execute("SELECT %s::text", (tag,))
        connection.execute("SELECT 1/0")
        connection.execute("SELECT 2")


def copied(connection: Connection, tag: str, chance: random.Random) -> None:
    count = chance.randint(1, 300)
    with connection.cursor() as cursor, connection.transaction():
        cursor.execute("CREATE TEMP TABLE mine (tag text) ON COMMIT DROP")
        with cursor.copy("COPY mine FROM STDIN") as copy:
            for _ in range(count):
                copy.write_row((tag,))
        with cursor.copy("COPY mine TO STDOUT") as copy:
            assert [(tag,)] * count == list(copy.rows())


def transfer(connection: Connection, tag: str, chance: random.Random) -> None:
    one, two = sorted(chance.sample(range(ACCOUNTS), 2))
    with connection.transaction():
        connection.execute("UPDATE bank SET money = money - 5 WHERE id = %s", (one,))
        row = connection.execute("SELECT %s::text", (tag,)).fetchone()
        connection.execute("UPDATE bank SET money = money + 5 WHERE id = %s", (two,))
    assert (tag,) == row


def cancelled(connection: Connection, tag: str, chance: random.Random) -> None:
    """Cancelled while it runs or while it is queued: until it ends, for a cancel may be early."""
    ended = threading.Event()

    def insist() -> None:
        while not ended.wait(0.02):
            connection.cancel()

    thread = threading.Thread(target=insist)
    thread.start()
    try:
        with pytest.raises((errors.QueryCanceled, errors.AdminShutdown)):
            connection.execute("SELECT pg_sleep(30)")
    finally:
        ended.set()
        thread.join()


def large(connection: Connection, tag: str, chance: random.Random) -> None:
    size = chance.randint(1, 300_000)
    row = connection.execute("SELECT repeat('x', %s), %s::text", (size, tag)).fetchone()
    assert row is not None
    assert (size, tag) == (len(row[0]), row[1])


WORK = (
    simple, simple, prepared, prepared, own_name, pipeline, failed, copied, transfer, transfer,
    large, cancelled,
)  # fmt: skip


@pytest.fixture(
    params=[SHORT, pytest.param(LONG, marks=[pytest.mark.soak, pytest.mark.timeout(2 * LONG)])]
)
def soak(make_gateway: GatewayFactory, pg_dsn: str, request: pytest.FixtureRequest) -> Soak:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE bank (id int PRIMARY KEY, money int)")
        connection.execute(
            f"INSERT INTO bank SELECT g, 100 FROM generate_series(0, {ACCOUNTS}-1) g"
        )
    gateway = make_gateway(pool__max_size=BACKENDS, gateway__prepared_statements=5)
    return Soak(gateway, pg_dsn, request.param)


def test_no_reply_is_lost_or_crossed(soak: Soak) -> None:
    soak.run()
    print(dict(soak.done))
    assert [] == soak.wrong
    assert {work.__name__ for work in WORK} <= set(soak.done), soak.done
    seen = soak.gateway.seen

    def at_rest() -> bool:
        seen.next_frame()
        pools = seen.snapshots[0].pools
        return all(pool.cl_active == pool.cl_waiting == pool.sv_active == 0 for pool in pools)

    wait_until(at_rest, 15, "the gateway at rest")
    assert 0 == seen.snapshots[0].clients
    with psycopg.connect(soak.direct, autocommit=True) as connection:
        assert (TOTAL,) == connection.execute("SELECT sum(money) FROM bank").fetchone()
        others = "SELECT state FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        states = connection.execute(others + "datname = current_database()").fetchall()
        assert {("idle",)} >= set(states)
        assert BACKENDS >= len(states)
