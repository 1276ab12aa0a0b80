"""Prepared statements of the protocol: names, the unnamed one, their ends."""

from __future__ import annotations

from dataclasses import replace

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

LONG_NAME = "n" * 9_900
"""A Describe may be of 10,000 bytes."""
LONGER_NAME = "n" * 200_000
ONE_AS_A = parse("SELECT 1", "a") + SYNC
RUN_A = bind(name="a") + describe("P") + execute() + SYNC

SCRIPTS: Scripts = {
    "named": steps(
        parse("SELECT $1::text", "a") + describe("S", "a") + SYNC,
        bind("x", name="a") + execute() + SYNC,
        bind("y", name="a") + describe("P") + execute() + SYNC,
    ),
    "named, over transactions": steps(
        ONE_AS_A, RUN_A, query("BEGIN"), RUN_A, query("COMMIT"), RUN_A, describe("S", "a") + SYNC,
    ),
    "named, made in a transaction rolled back": steps(
        query("BEGIN"), ONE_AS_A, query("ROLLBACK"), RUN_A,
    ),
    "named, closed, unknown": steps(
        parse("SELECT 1", "a") + close("S", "a") + bind(name="a") + SYNC,
        close("S", "never") + describe("S", "never") + SYNC,
        bind(name="dbopt_1") + execute() + SYNC,
    ),
    "closed in a later batch": steps(
        ONE_AS_A, RUN_A, close("S", "a") + SYNC, RUN_A, ONE_AS_A, RUN_A
    ),
    "closed and made anew with another text": steps(
        ONE_AS_A, close("S", "a") + parse("SELECT 'two'", "a") + SYNC, RUN_A,
        close("S", "a") + parse("SELECT 'three'", "a") + bind(name="a") + execute() + SYNC, RUN_A,
    ),
    "closed twice, and what never was": steps(
        ONE_AS_A, close("S", "a") + close("S", "a") + close("S", "never") + close("S") + SYNC,
        close("P", "never") + close("P") + SYNC,
    ),
    "closing a portal closes no statement": steps(
        ONE_AS_A,
        bind(name="a", portal="a") + execute("a") + close("P", "a") + SYNC,
        RUN_A,
        bind(name="a") + execute() + close("P") + SYNC,
        RUN_A,
    ),
    "closing a statement closes its portals": steps(
        query("BEGIN"),
        parse("SELECT generate_series(1, 3)", "a") + bind(name="a", portal="p") + SYNC,
        execute("p", 1) + close("S", "a") + execute("p") + SYNC,
        query("ROLLBACK"),
    ),
    "named twice": steps(
        parse("SELECT 1", "a") + parse("SELECT 1", "a") + SYNC, bind(name="a") + execute() + SYNC
    ),
    "named twice, another text, later": steps(ONE_AS_A, parse("SELECT 2", "a") + SYNC, RUN_A),
    "named twice in a transaction": steps(
        query("BEGIN"), ONE_AS_A, ONE_AS_A, query("SELECT 1"), query("ROLLBACK"), RUN_A,
    ),
    "two names of one text": steps(
        parse("SELECT 8", "a") + parse("SELECT 8", "b") + close("S", "a") + SYNC,
        bind(name="b") + execute() + SYNC,
        bind(name="a") + execute() + SYNC,
    ),
    "one text, several parameter types": steps(
        parse("SELECT $1", "i", (23,)) + parse("SELECT $1", "t", (25,)) + parse("SELECT $1", "u")
        + parse("SELECT $1", "b", (20,)) + SYNC,
        describe("S", "i") + describe("S", "t") + describe("S", "u") + describe("S", "b") + SYNC,
        bind("7", name="i") + describe("P") + execute() + SYNC,
        bind("7", name="b") + describe("P") + execute() + SYNC,
        bind("seven", name="t") + execute() + bind("seven", name="i") + SYNC,
    ),
    "names of odd characters": steps(
        parse("SELECT 1", "with space") + parse("SELECT 2", "quote\"'\\") + parse("SELECT 3", "é")
        + parse("SELECT 4", "DBOPT_1") + parse("SELECT 5", "dbopt_1") + SYNC,
        *[
            bind(name=name) + execute() + SYNC
            for name in ("with space", "quote\"'\\", "é", "DBOPT_1", "dbopt_1", "WITH SPACE")
        ],
    ),
    "a long name": steps(
        parse("SELECT 6", LONG_NAME) + SYNC, bind(name=LONG_NAME) + execute() + SYNC,
        describe("S", LONG_NAME) + close("S", LONG_NAME) + SYNC,
    ),
    "a name larger than any buffer": steps(
        parse("SELECT 6", LONGER_NAME) + SYNC, bind(name=LONGER_NAME) + execute() + SYNC,
    ),
    "many names": steps(
        b"".join(parse(f"SELECT {n}", f"s{n}") for n in range(150)) + SYNC,
        b"".join(bind(name=f"s{n}") + execute() for n in range(0, 150, 7)) + SYNC,
        b"".join(close("S", f"s{n}") for n in range(75)) + SYNC,
        b"".join(bind(name=f"s{n}") + execute() for n in range(75, 150, 5)) + SYNC,
        bind(name="s3") + SYNC,
    ),
    "described again and again": steps(
        parse("SELECT $1::int, 'x'", "a") + SYNC, *[describe("S", "a") + SYNC] * 4,
        Step(describe("S", "a") + FLUSH, b"T"), SYNC,
    ),
    "after an error": steps(
        run("SELECT 1/0") + parse("SELECT 9", "a") + SYNC,
        bind(name="a") + SYNC,
        parse("SELECT 9", "a") + bind(name="a") + execute() + SYNC,
    ),
    "before an error": steps(
        parse("SELECT 9", "a") + run("SELECT 1/0") + SYNC, bind(name="a") + execute() + SYNC
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
    "closed before an error": steps(
        parse("SELECT 9", "a") + SYNC, close("S", "a") + run("SELECT 1/0") + SYNC,
        bind(name="a") + execute() + SYNC,
    ),
    "a name that failed": steps(
        parse("SELECT nothing", "a") + SYNC, parse("SELECT 5", "a") + SYNC, bind(name="a") + SYNC
    ),
    "a text that failed and then does not": steps(
        parse("SELECT x FROM extra", "a") + SYNC,
        query("CREATE TABLE extra AS SELECT 1 AS x"),
        parse("SELECT x FROM extra", "a") + bind(name="a") + execute() + SYNC,
        query("DROP TABLE extra"),
        bind(name="a") + execute() + SYNC,
    ),
    "parse in a failed transaction": steps(
        parse("SELECT 6", "a") + SYNC,
        query("BEGIN"),
        query("SELECT 1/0"),
        parse("SELECT 6", "b") + SYNC,
        parse("ROLLBACK", "c") + bind(name="c") + execute() + SYNC,
        parse("SELECT 6", "b") + bind(name="b") + execute() + SYNC,
    ),
    "rollback and parse, pipelined": steps(
        parse("SELECT 6", "a") + SYNC, query("BEGIN"), query("SELECT 1/0"),
        Step(
            query("ROLLBACK") + parse("SELECT 6", "b") + bind(name="b") + execute() + SYNC, b"Z", 2
        ),
        bind(name="a") + execute() + SYNC,
    ),
    "parse and rollback, pipelined": batch(
        query("BEGIN"), query("SELECT 1/0"), parse("SELECT 6", "b"), SYNC, query("ROLLBACK"),
        parse("SELECT 6", "b"), bind(name="b"), execute(), SYNC, ready=5,
    ),
    "a statement of a transaction's end": steps(
        parse("COMMIT", "end") + parse("BEGIN", "begin") + SYNC,
        bind(name="begin") + execute() + SYNC, query("SELECT 1"),
        bind(name="end") + execute() + SYNC, bind(name="end") + execute() + SYNC,
    ),
    "unnamed kept over batches": steps(
        parse("SELECT $1::int") + SYNC, bind("1") + execute() + SYNC, bind("2") + execute() + SYNC
    ),
    "unnamed kept beside named ones": steps(
        parse("SELECT 'unnamed'") + ONE_AS_A, RUN_A, bind() + execute() + SYNC, RUN_A,
    ),
    "unnamed before any parse": steps(bind() + execute() + SYNC, describe("S") + SYNC),
    "unnamed gone after a query": steps(parse("SELECT 1") + SYNC, query("SELECT 2"), bind() + SYNC),
    "unnamed portal gone after a query": steps(
        query("BEGIN"), parse("SELECT 1", "a") + bind(name="a") + SYNC, query("SELECT 2"),
        execute() + SYNC, query("ROLLBACK"),
    ),
    "unnamed gone after a query that fails": steps(
        parse("SELECT 1") + SYNC, query("SELEKT"), bind() + execute() + SYNC
    ),
    "unnamed after an empty query": steps(parse("SELECT 1") + SYNC, query(""), bind() + SYNC),
    "unnamed that failed": steps(parse("SELECT nothing") + SYNC, bind() + SYNC),
    "unnamed that failed after a good one": steps(
        parse("SELECT 1") + SYNC, parse("SELECT nothing") + SYNC, bind() + execute() + SYNC
    ),
    "unnamed closed": steps(parse("SELECT 1") + close("S") + bind() + SYNC),
    "unnamed after an error in flight": steps(
        Step(parse("SELECT 1") + bind("too many") + FLUSH, b"E"),
        parse("SELECT 2") + bind() + execute() + SYNC,
        parse("SELECT 3") + bind() + execute() + SYNC,
    ),
    "unnamed in a failed transaction": steps(
        query("BEGIN"), query("SELECT 1/0"), parse("SELECT 1") + SYNC, bind() + SYNC,
        query("ROLLBACK"), bind() + SYNC,
    ),
    "unnamed and a rollback": steps(
        query("BEGIN"), parse("SELECT 5") + bind() + execute() + SYNC, run("ROLLBACK") + SYNC,
        bind() + execute() + SYNC,
    ),
    "deallocate all": steps(
        parse("SELECT 1", "a") + SYNC, query("DEALLOCATE ALL"), bind(name="a") + SYNC,
        parse("SELECT 1", "a") + bind(name="a") + execute() + SYNC,
    ),
    "deallocate all, extended": steps(
        ONE_AS_A, run("DEALLOCATE ALL") + SYNC, RUN_A, ONE_AS_A, RUN_A,
    ),
    "deallocate all in a pipeline": steps(
        parse("SELECT 1", "a") + run("DEALLOCATE ALL") + parse("SELECT 'two'", "a")
        + bind(name="a") + execute() + SYNC,
        RUN_A,
    ),
    "deallocate all in a transaction rolled back": steps(
        ONE_AS_A, query("BEGIN"), query("DEALLOCATE ALL"), RUN_A, query("ROLLBACK"), RUN_A,
    ),
    "discard all": steps(ONE_AS_A, query("DISCARD ALL"), RUN_A, ONE_AS_A, RUN_A),
    "discard all, extended": steps(ONE_AS_A, run("DISCARD ALL") + SYNC, RUN_A, ONE_AS_A, RUN_A),
    "discard all in a transaction": steps(
        ONE_AS_A, query("BEGIN"), query("DISCARD ALL"), query("ROLLBACK"), RUN_A,
    ),
    "discard plans": steps(ONE_AS_A, query("DISCARD PLANS"), RUN_A),
    "deallocate one by SQL": steps(ONE_AS_A, query("DEALLOCATE a"), RUN_A, ONE_AS_A, RUN_A),
    "deallocate one by SQL, extended": steps(
        ONE_AS_A, run('DEALLOCATE PREPARE "a"') + SYNC, RUN_A, query("DEALLOCATE a"),
    ),
    "cached plan must not change its result": replace(
        steps(
            query("CREATE TABLE extra (x int)"),
            parse("SELECT * FROM extra", "a") + SYNC,
            RUN_A,
            query("ALTER TABLE extra ADD y int"),
            RUN_A,
            close("S", "a") + parse("SELECT * FROM extra", "a") + SYNC,
            RUN_A,
            query("ALTER TABLE extra DROP x"),
            query("DEALLOCATE ALL"),
            parse("SELECT * FROM extra", "a") + SYNC,
            RUN_A,
            query("DROP TABLE extra"),
        ),
        moves=False,
    ),
    "a table made anew under a statement": steps(
        query("CREATE TABLE extra (x int)"), parse("SELECT x FROM extra", "a") + SYNC, RUN_A,
        query("DROP TABLE extra; CREATE TABLE extra (x int); INSERT INTO extra VALUES (4)"), RUN_A,
        query("DROP TABLE extra"),
    ),
}  # fmt: skip
