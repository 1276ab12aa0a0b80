"""The extended protocol: batches, pipelines, Sync and Flush."""

from __future__ import annotations

from dbopt.wire import messages as m
from tests.integration.differential.script import Scripts, Step, batch, steps
from tests.integration.gateway_support import (
    FLUSH,
    SYNC,
    bind,
    close,
    describe,
    execute,
    parse,
    query,
    run,
)


def typed(
    *values: bytes | None,
    name: str = "",
    portal: str = "",
    formats: tuple[int, ...] = (),
    results: tuple[int, ...] = (),
) -> bytes:
    """A Bind with formats."""
    return m.Bind(portal.encode(), name.encode(), formats, values, results).encode()


SCRIPTS: Scripts = {
    "one statement": batch(run("SELECT $1::int + 1", "4"), SYNC),
    "no describe": batch(parse("SELECT 1"), bind(), execute(), SYNC),
    "in one batch": batch(run("SELECT 1"), run("SELECT 2"), run("SELECT 3"), SYNC),
    "of batches": batch(*[run(f"SELECT {i}") + SYNC for i in range(9)], ready=9),
    "of a hundred batches": batch(
        *[run(f"SELECT {i % 7}, $1::int", str(i)) + SYNC for i in range(100)], ready=100
    ),
    "of a hundred in one batch": batch(
        *[run(f"SELECT {i % 7}, $1::int", str(i)) for i in range(100)], SYNC
    ),
    "simple and extended": batch(
        query("SELECT 1"), run("SELECT 2"), SYNC, query("SELECT 3"), run("SELECT 4"), SYNC, ready=4
    ),
    "a transaction in one batch": batch(
        run("BEGIN"), run("INSERT INTO pets VALUES (1)"), run("SELECT count(*) FROM pets"),
        run("COMMIT"), SYNC,
    ),
    "a transaction over batches": batch(
        run("BEGIN"), SYNC, run("INSERT INTO pets VALUES (1)"), SYNC, run("SELECT 1/0"), SYNC,
        run("SELECT 1"), SYNC, run("ROLLBACK"), SYNC, run("SELECT count(*) FROM pets"), SYNC,
        ready=6,
    ),
    "batches that are transactions": steps(
        run("INSERT INTO pets VALUES (1)") + run("SELECT 1/0") + SYNC,
        run("INSERT INTO pets VALUES (2)") + SYNC,
        run("SELECT id FROM pets") + SYNC,
    ),
    "query within a batch commits it": batch(
        run("INSERT INTO pets VALUES (1)"), query("SELECT 1/0"), run("SELECT count(*) FROM pets"),
        SYNC, ready=2,
    ),
    "empty statement": steps(run("") + SYNC, run(";") + run("-- none") + SYNC),
    "several statements in one parse": steps(run("SELECT 1; SELECT 2") + SYNC),
    "parameters of all kinds": steps(
        parse("SELECT $1, $2::text, $3::bytea, $4::int[]", oids=(23, 0, 17)) + describe("S") + SYNC,
        typed(b"\0\0\0\7", b"t", b"\0\1\2", b"{1,2}", formats=(1, 0, 1, 0), results=(1, 0, 1, 1))
        + describe("P") + execute() + SYNC,
        typed(b"8", None, b"\\x00", None) + describe("P") + execute() + SYNC,
        typed(b"\0\0\0\7", b"t", b"x", b"?", formats=(1,)) + execute() + SYNC,
    ),
    "binary results": steps(
        parse("SELECT 1::int, 'x'::text, now() IS NULL, 1.5::float8") + typed(results=(1,))
        + describe("P") + execute() + SYNC
    ),
    "flush after each message": steps(
        Step(parse("SELECT $1::int", "f") + FLUSH, b"1"),
        Step(describe("S", "f") + FLUSH, b"T"),
        Step(bind("4", name="f") + FLUSH, b"2"),
        Step(execute() + FLUSH, b"C"),
        Step(execute("", 0) + SYNC),
    ),
    "flush as asyncpg does": steps(
        Step(parse("SELECT $1::int", "f") + describe("S", "f") + FLUSH, b"T"),
        bind("1", name="f") + execute() + SYNC,
        bind("2", name="f") + execute() + SYNC,
    ),
    "flush in a transaction": steps(
        query("BEGIN"),
        Step(run("SELECT 1") + FLUSH, b"C"),
        Step(run("SELECT 2") + FLUSH, b"C"),
        run("COMMIT") + SYNC,
    ),
    "flush after each of many": batch(*[run(f"SELECT {n}") + FLUSH for n in range(20)], SYNC),
    "flush after Sync": steps(
        run("SELECT 1") + SYNC + FLUSH, FLUSH + FLUSH + run("SELECT 2") + SYNC
    ),
    "flush, then an error, then flush": steps(
        Step(run("SELECT 1") + FLUSH, b"C"),
        Step(run("SELECT 1/0") + FLUSH, b"E"),
        FLUSH + run("SELECT 2") + FLUSH + SYNC,
        run("SELECT 3") + SYNC,
    ),
    "flush and sync alone": steps(FLUSH + SYNC, Step(SYNC + SYNC, b"Z", 2), FLUSH + SYNC),
    "storm of syncs": batch(SYNC * 300, ready=300),
    "storm of flushes": batch(FLUSH * 300, query("SELECT 1")),
    "storm of both": batch((FLUSH + SYNC + SYNC) * 80, run("SELECT 1"), SYNC * 40, ready=200),
    "sync in a transaction": steps(
        query("BEGIN"), Step(SYNC * 3, b"Z", 3), query("SELECT 1/0"), Step(SYNC * 3, b"Z", 3),
        query("ROLLBACK"), Step(SYNC * 3, b"Z", 3),
    ),
    "batch without anything to run": steps(
        parse("SELECT 1") + describe("S") + SYNC, bind() + describe("P") + close("P") + SYNC
    ),
    "describe of what has no rows": steps(
        parse("INSERT INTO pets VALUES ($1)") + describe("S") + bind("1") + describe("P")
        + execute() + SYNC
    ),
    "executed twice": steps(
        parse("INSERT INTO pets VALUES (1)") + bind() + execute() + execute() + SYNC,
        query("SELECT count(*) FROM pets"),
    ),
    "insert with a result": batch(
        run("INSERT INTO pets VALUES ($1) RETURNING id", "3"),
        run("UPDATE pets SET id = 4 RETURNING id"), run("DELETE FROM pets"), SYNC,
    ),
    "statements that cannot be in a batch": steps(
        run("SELECT 1") + run("VACUUM pets") + SYNC, run("VACUUM pets") + SYNC
    ),
    "notices in a pipeline": batch(
        run("SELECT 1"), run("DO $$BEGIN RAISE NOTICE 'a'; END$$"), run("SELECT 2"), SYNC
    ),
}  # fmt: skip
