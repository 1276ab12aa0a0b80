"""An error at each kind of message, and what is skipped after it."""

from __future__ import annotations

from tests.integration.differential.script import Scripts, Step, batch, steps
from tests.integration.differential.scripts_simple import BAD_PLUS, FUNCTION, PLUS
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

AFTER = (run("SELECT 'skipped'"), close("S", "x"), describe("S", "x"), FLUSH)
NEXT = (SYNC, run("SELECT 'next'"), SYNC)
LATE = "SELECT 1/(3-g) FROM generate_series(1, 9) g"

SCRIPTS: Scripts = {
    "at execute": batch(run("SELECT 1"), run("SELECT 1/0"), *AFTER, *NEXT, ready=2),
    "at execute, after rows": batch(run(LATE), *AFTER, *NEXT, ready=2),
    "at parse": batch(run("SELECT 1"), run("SELECT nothing"), *AFTER, *NEXT, ready=2),
    "at parse, named": batch(parse("SELEKT", "x"), bind(name="x"), *AFTER, *NEXT, ready=2),
    "at bind": batch(parse("SELECT $1::int"), bind("no"), execute(), *AFTER, *NEXT, ready=2),
    "at bind, too many": batch(parse("SELECT 1"), bind("1"), execute(), *AFTER, *NEXT, ready=2),
    "at bind, too few": batch(parse("SELECT $1::int"), bind(), execute(), *AFTER, *NEXT, ready=2),
    "at bind, no statement": batch(bind(name="never"), execute(), *AFTER, *NEXT, ready=2),
    "at bind, portal in use": batch(
        parse("SELECT 1"), bind(portal="p"), bind(portal="p"), *AFTER, *NEXT, ready=2
    ),
    "at describe of a statement": batch(describe("S", "never"), *AFTER, *NEXT, ready=2),
    "at describe of a portal": batch(describe("P", "never"), *AFTER, *NEXT, ready=2),
    "at execute, no portal": batch(execute("never"), *AFTER, *NEXT, ready=2),
    "at sync": batch(
        query("CREATE TABLE extra (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
        run("INSERT INTO extra VALUES (1), (1)"), SYNC, run("SELECT 1"), SYNC,
        query("DROP TABLE extra"), ready=4,
    ),
    "at commit": steps(
        query("CREATE TABLE extra (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
        query("BEGIN; INSERT INTO extra VALUES (1), (1)"), query("COMMIT"),
        query("DROP TABLE extra"),
    ),
    "before its Sync is sent": steps(
        Step(run("SELECT 1/0") + FLUSH, b"E"),
        run("SELECT 2") + query("SELECT 3") + SYNC,
        query("SELECT 4"),
    ),
    "long before its Sync is sent": steps(
        Step(run("SELECT 1/0") + FLUSH, b"E"),
        Step(parse("SELECT 1", "x") + FLUSH + close("S", "x") + SYNC),
        describe("S", "x") + SYNC,
    ),
    "in each of many batches": batch(
        *[run(f"SELECT 1/{n % 3}") + run("SELECT 'more'") + SYNC for n in range(30)], ready=30
    ),
    "simple and extended in turn": batch(
        query("SELECT 1/0"), run("SELECT 1/0"), SYNC, PLUS, BAD_PLUS, run("SELECT x"), SYNC,
        query("SELECT 1"), ready=6,
    ),
    "query in a failed batch": batch(
        parse("SELECT nothing"), query("SELECT 1"), FUNCTION, SYNC, query("SELECT 2"), ready=2
    ),
    "query after a failed bind": batch(
        parse("SELECT $1::int"), bind("no"), query("SELECT 1"), SYNC, query("SELECT 2"), ready=2
    ),
    "query after a good bind": batch(
        parse("SELECT $1::int"), bind("7"), query("SELECT 1/0"), SYNC, query("SELECT 2"), ready=3
    ),
    "queries skipped, then one that counts": steps(
        Step(run("SELECT 1/0") + FLUSH, b"E"),
        query("SELECT 1") + query("SELECT 2") + PLUS + SYNC,
        Step(query("SELECT 3") + PLUS, b"Z", 2),
    ),
    "in a failed transaction": steps(
        query("BEGIN"), run("SELECT 1/0") + SYNC, run("SELECT 1") + SYNC,
        parse("SELECT 2", "x") + SYNC, bind(name="x") + SYNC, close("S", "x") + SYNC,
        describe("S", "x") + SYNC, PLUS, run("") + SYNC, run("ROLLBACK") + SYNC,
        run("SELECT 3") + SYNC,
    ),
    "statements of a failed transaction": steps(
        parse("SELECT 1", "one") + parse("ROLLBACK", "back") + parse("COMMIT", "end") + SYNC,
        query("BEGIN"), query("SELECT 1/0"),
        bind(name="one") + execute() + SYNC, describe("S", "one") + SYNC,
        bind(name="back") + execute() + SYNC, bind(name="one") + execute() + SYNC,
        query("BEGIN"), query("SELECT 1/0"), bind(name="end") + execute() + SYNC,
        bind(name="one") + execute() + SYNC,
    ),
    "savepoints in batches": steps(
        run("BEGIN") + run("SAVEPOINT s") + SYNC, run("SELECT 1/0") + SYNC,
        run("ROLLBACK TO s") + run("SELECT 1") + SYNC,
        run("SELECT x") + SYNC, run("ROLLBACK TO s") + SYNC, run("COMMIT") + SYNC,
    ),
    "rollback and go on, pipelined": batch(
        query("BEGIN"), run("SELECT 1/0"), SYNC, query("ROLLBACK"), query("BEGIN"),
        run("INSERT INTO pets VALUES (7)"), SYNC, query("COMMIT"), query("SELECT id FROM pets"),
        ready=7,
    ),
    "timeout in a batch": batch(
        query("BEGIN; SET LOCAL statement_timeout = 20"), run("SELECT pg_sleep(5)"),
        run("SELECT 1"), SYNC, query("ROLLBACK"), run("SELECT 2"), SYNC, ready=4,
    ),
    "raised by the user": steps(
        query("DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'AB123', HINT = 'h'; END$$"),
        run("DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'AB123', DETAIL = 'd'; END$$") + SYNC,
    ),
}  # fmt: skip
