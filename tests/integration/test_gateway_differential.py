"""The same bytes to PostgreSQL and to the gateway: the same messages come back.

Each script runs on the server itself; then on a gateway with one backend, as two clients with
settings of their own take turns on it, sent whole and byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest

from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.integration.gateway_support import (
    COPY_DONE,
    FLUSH,
    SYNC,
    Message,
    Raw,
    bind,
    close,
    copy_data,
    describe,
    execute,
    parse,
    query,
    raw_client,
    run,
)


class Step(NamedTuple):
    """What to send, and up to which message (types, how many of them) to read on."""

    send: bytes
    kinds: bytes = b"Z"
    count: int = 1


def steps(*parts: bytes) -> list[Step]:
    """Each part answered by one ReadyForQuery."""
    return [Step(part) for part in parts]


def batch(*parts: bytes, ready: int = 1) -> list[Step]:
    """All parts at once."""
    return [Step(b"".join(parts), b"Z", ready)]


COPY_IN = "COPY pets FROM STDIN"
COPY_OUT = "COPY (SELECT generate_series(1, 5)) TO STDOUT"
BAD_COPY_OUT = "COPY (SELECT 1/(3-g) FROM generate_series(1, 9) g) TO STDOUT"
FAIL = m.CopyFail(b"changed my mind").encode()
FUNCTION = m.FunctionCall(1598, (), (), 0).encode()  # random()
MISSING_FUNCTION = m.FunctionCall(4294967294, (), (), 0).encode()
SERIES = "SELECT generate_series(1, 7)"
ROW = copy_data(b"7\tcat\n")
BAD_ROW = copy_data(b"seven\tcat\n")
BIG = "x" * 300_000

SCRIPTS: dict[str, list[Step]] = {
    "simple": steps(query("SELECT 1"), query("SELECT 'a', NULL")),
    "simple, empty": steps(query(""), query(";")),
    "simple, several statements": steps(query("SELECT 1; SELECT 2; INSERT INTO pets VALUES (1)")),
    "simple, several with an error": steps(query("SELECT 1; SELECT 1/0; SELECT 2")),
    "simple, pipelined": batch(query("SELECT 1"), query("SELECT x"), query("SELECT 3"), ready=3),
    "notices": steps(query("DO $$BEGIN RAISE NOTICE 'hi'; END$$")),
    "transaction": steps(query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("ROLLBACK")),
    "transaction, pipelined": batch(query("BEGIN"), query("SELECT 1"), query("COMMIT"), ready=3),
    "extended": batch(run("SELECT $1::int + 1", "4"), SYNC),
    "extended, no describe": batch(parse("SELECT 1"), bind(), execute(), SYNC),
    "pipeline in one batch": batch(run("SELECT 1"), run("SELECT 2"), run("SELECT 3"), SYNC),
    "pipeline of batches": batch(*[run(f"SELECT {i}") + SYNC for i in range(9)], ready=9),
    "error in a pipeline": batch(
        run("SELECT 1"), run("SELECT 1/0"), run("SELECT 3"), SYNC, run("SELECT 4"), SYNC, ready=2
    ),
    "error before its Sync is sent": [
        Step(run("SELECT 1/0") + FLUSH, b"E"),
        Step(run("SELECT 2") + query("SELECT 3") + SYNC),
        Step(query("SELECT 4")),
    ],
    "query in a failed batch": batch(
        parse("SELECT nothing"), query("SELECT 1"), FUNCTION, SYNC, query("SELECT 2"), ready=2
    ),
    "query after a failed bind": batch(
        parse("SELECT $1::int"), bind("no"), query("SELECT 1"), SYNC, query("SELECT 2"), ready=2
    ),
    "query after a good bind": batch(
        parse("SELECT $1::int"), bind("7"), query("SELECT 1/0"), SYNC, query("SELECT 2"), ready=3
    ),
    "named": steps(
        parse("SELECT $1::text", "a") + describe("S", "a") + SYNC,
        bind("x", name="a") + execute() + SYNC,
        bind("y", name="a") + describe("P") + execute() + SYNC,
    ),
    "named, closed, unknown": steps(
        parse("SELECT 1", "a") + close("S", "a") + bind(name="a") + SYNC,
        close("S", "never") + describe("S", "never") + SYNC,
        bind(name="dbopt_1") + execute() + SYNC,
    ),
    "named twice": steps(
        parse("SELECT 1", "a") + parse("SELECT 1", "a") + SYNC, bind(name="a") + execute() + SYNC
    ),
    "two names of one text": steps(
        parse("SELECT 8", "a") + parse("SELECT 8", "b") + close("S", "a") + SYNC,
        bind(name="b") + execute() + SYNC,
    ),
    "named after an error": steps(
        run("SELECT 1/0") + parse("SELECT 9", "a") + SYNC,
        bind(name="a") + SYNC,
        parse("SELECT 9", "a") + bind(name="a") + execute() + SYNC,
    ),
    "made and closed after an error": steps(
        run("SELECT 1/0") + parse("SELECT 9", "a") + close("S", "a") + SYNC,
        describe("S", "a") + SYNC,
    ),
    "closed after an error": steps(
        parse("SELECT 9", "a") + SYNC,
        run("SELECT 1/0") + close("S", "a") + SYNC,
        bind(name="a") + execute() + SYNC,
    ),
    "a name that failed": steps(
        parse("SELECT nothing", "a") + SYNC, parse("SELECT 5", "a") + SYNC, bind(name="a") + SYNC
    ),
    "parse in a failed transaction": steps(
        parse("SELECT 6", "a") + SYNC,
        query("BEGIN"),
        query("SELECT 1/0"),
        parse("SELECT 6", "b") + SYNC,
        parse("ROLLBACK", "c") + bind(name="c") + execute() + SYNC,
        parse("SELECT 6", "b") + bind(name="b") + execute() + SYNC,
    ),
    "rollback and parse, pipelined": [
        *steps(parse("SELECT 6", "a") + SYNC, query("BEGIN"), query("SELECT 1/0")),
        *batch(query("ROLLBACK"), parse("SELECT 6", "b"), bind(name="b"), execute(), SYNC, ready=2),
        Step(bind(name="a") + execute() + SYNC),
    ],
    "unnamed kept over batches": steps(
        parse("SELECT $1::int") + SYNC, bind("1") + execute() + SYNC, bind("2") + execute() + SYNC
    ),
    "unnamed before any parse": steps(bind() + execute() + SYNC, describe("S") + SYNC),
    "unnamed gone after a query": steps(parse("SELECT 1") + SYNC, query("SELECT 2"), bind() + SYNC),
    "unnamed that failed": steps(parse("SELECT nothing") + SYNC, bind() + SYNC),
    "unnamed closed": steps(parse("SELECT 1") + close("S") + bind() + SYNC),
    "unnamed after an error in flight": [
        Step(parse("SELECT 1") + bind("too many") + FLUSH, b"E"),
        Step(parse("SELECT 2") + bind() + execute() + SYNC),
        Step(parse("SELECT 3") + bind() + execute() + SYNC),
    ],
    "rows by portions": steps(
        query("BEGIN"),
        parse(SERIES) + bind(portal="p") + execute("p", 3) + SYNC,
        execute("p", 3) + execute("p", 3) + execute("p", 3) + SYNC,
        close("P", "p") + execute("p") + SYNC,
        query("ROLLBACK"),
    ),
    "two portals": batch(
        parse(SERIES, "s"),
        bind(name="s", portal="p"),
        bind(name="s", portal="q"),
        execute("p", 2),
        execute("q", 1),
        execute("p", 9),
        close("P", "q"),
        SYNC,
    ),
    "portal gone after its Sync": steps(
        parse(SERIES) + bind(portal="p") + execute("p", 2) + SYNC, execute("p", 2) + SYNC
    ),
    "flush after each message": [
        Step(parse("SELECT $1::int", "f") + FLUSH, b"1"),
        Step(describe("S", "f") + FLUSH, b"T"),
        Step(bind("4", name="f") + FLUSH, b"2"),
        Step(execute() + FLUSH, b"C"),
        Step(execute("", 0) + SYNC),
    ],
    "flush and sync alone": [Step(FLUSH + SYNC), Step(SYNC + SYNC, b"Z", 2), Step(FLUSH + SYNC)],
    "copy in": [Step(query(COPY_IN), b"G"), Step(ROW + ROW + COPY_DONE)],
    "copy in, all at once": batch(query(COPY_IN), ROW, COPY_DONE, query("SELECT 1"), ready=2),
    "copy in, two in one query": batch(
        query(f"SELECT 1; {COPY_IN}; {COPY_IN}"), ROW, COPY_DONE, ROW, COPY_DONE, run("SELECT 2"),
        SYNC, ready=2,
    ),
    "copy in, failed by the client": [Step(query(COPY_IN), b"G"), Step(ROW + FAIL)],
    "copy in, failed by the data": [
        Step(query(COPY_IN), b"G"),
        Step(BAD_ROW + ROW * 50 + COPY_DONE),
        Step(query("SELECT 1")),
    ],
    "copy in that cannot begin": batch(
        query("COPY nothing FROM STDIN"), ROW, COPY_DONE, query("SELECT 1"), ready=2
    ),
    "copy in, extended": [
        Step(run(COPY_IN) + SYNC, b"G"),
        Step(ROW + COPY_DONE + SYNC),
        Step(query("SELECT 1")),
    ],
    "copy in, extended, at once": batch(
        run(COPY_IN), SYNC, ROW, SYNC, FLUSH, COPY_DONE, SYNC, query("SELECT 1"), ready=2
    ),
    "copy in, extended, late Sync": [
        Step(run(COPY_IN) + SYNC + ROW + COPY_DONE + FLUSH, b"C"),
        Step(run("SELECT 1") + SYNC),
    ],
    "copy in, extended, failed": [
        Step(run(COPY_IN) + SYNC, b"G"),
        Step(BAD_ROW + COPY_DONE + SYNC),
        Step(run(COPY_IN) + SYNC, b"G"),
        Step(ROW + FAIL + SYNC),
        Step(query("SELECT 1")),
    ],
    "copy out": steps(query(COPY_OUT), run(COPY_OUT) + SYNC),
    "copy out that fails": steps(query(BAD_COPY_OUT)),
    "stray copy messages": batch(ROW, COPY_DONE, FAIL, query("SELECT 1")),
    "function call": steps(MISSING_FUNCTION, query("SELECT 1")),
    "function call in a transaction": steps(
        query("BEGIN"), MISSING_FUNCTION, MISSING_FUNCTION, query("ROLLBACK")
    ),
    "function call after an unsynced batch": batch(
        parse("SELECT $1::int"), bind("no"), MISSING_FUNCTION, SYNC, MISSING_FUNCTION, ready=2
    ),
    "set and show": steps(
        query("SET TimeZone = 'Asia/Tokyo'"),
        query("SHOW TimeZone"),
        query("BEGIN; SET DateStyle = 'German'; SELECT 1/0"),
        query("ROLLBACK"),
        query("SHOW DateStyle; SET TimeZone = 'UTC'"),
    ),
    "set local": steps(
        query("BEGIN"), query("SET LOCAL TimeZone = 'Asia/Tokyo'"), query("COMMIT"),
        query("SHOW TimeZone"),
    ),
    "deallocate all": steps(
        parse("SELECT 1", "a") + SYNC, query("DEALLOCATE ALL"), bind(name="a") + SYNC,
        parse("SELECT 1", "a") + bind(name="a") + execute() + SYNC,
    ),
    "large messages": steps(
        query(f"SELECT length('{BIG}')"), run("SELECT length($1), $1", BIG) + SYNC
    ),
    "a query without its end": steps(b"Q\0\0\0\4", query("SELECT 1")),
}  # fmt: skip


def play(raws: list[Raw], script: list[Step], size: int = 0) -> list[list[list[Message]]]:
    """What each of the clients gets, who take turns at each step."""
    found: list[list[list[Message]]] = [[] for _ in raws]
    for step in script:
        for raw, mine in zip(raws, found, strict=True):
            if size:
                raw.send_bytewise(step.send, size)
            else:
                raw.send(step.send)
            mine.append([normal(x) for x in raw.until(step.kinds, step.count)])
    return found


def normal(message: Message) -> Message:
    """A statement's name is the gateway's own where the server complains of it."""
    kind, payload = message
    if kind == b"E":
        payload = re.sub(rb'prepared statement "[^"]*"', b'prepared statement "?"', payload)
    return kind, payload


@contextmanager
def clean(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS pets (id int, kind text)")
        connection.execute("TRUNCATE pets")
        yield


@pytest.fixture(scope="module")
def pair(pg_backend: Server, gateway_loop: Runner) -> Iterator[tuple[str, Gateway]]:
    with (
        fresh_database(pg_backend) as dsn,
        clean(dsn),
        running(dsn, gateway_loop, pool__max_size=2) as gateway,
    ):
        yield dsn, gateway


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_gateway_answers_as_the_server(pair: tuple[str, Gateway], name: str) -> None:
    dsn, gateway = pair
    script = SCRIPTS[name]
    with clean(dsn), raw_client(dsn) as direct:
        (expected,) = play([direct], script)
    small = sum(len(step.send) for step in script) < 3000
    with (
        raw_client(gateway.dsn(), application_name="first") as first,
        raw_client(gateway.dsn(), application_name="second") as second,
        raw_client(gateway.dsn(), application_name="third") as third,
    ):
        with clean(dsn):
            assert [expected, expected] == play([first, second], script)
        with clean(dsn):
            assert [expected] == play([third], script, 1 if small else 4999)
        gateway.seen.next_frame()
        (pool,) = gateway.seen.snapshots[0].pools
        assert (0, 0) == (pool.cl_active, pool.cl_waiting)
