"""PREPARE, EXECUTE and DEALLOCATE as SQL, and beside the protocol's own names."""

from __future__ import annotations

from tests.integration.differential.script import Scripts, Step, batch, steps
from tests.integration.gateway_support import (
    SYNC,
    bind,
    close,
    describe,
    execute,
    parse,
    query,
    run,
)

PLUS = query("PREPARE p (int) AS SELECT $1 + 1")
DROP = query("DEALLOCATE p")

SCRIPTS: Scripts = {
    "prepare, execute, deallocate": steps(
        PLUS, query("EXECUTE p (1)"), query("EXECUTE p (2)"), query("DEALLOCATE p"),
        query("EXECUTE p (3)"),
    ),
    "in one text": steps(query("PREPARE p AS SELECT 1; EXECUTE p; EXECUTE p; DEALLOCATE p")),
    "in one text that fails": steps(
        query("PREPARE p AS SELECT 7; SELECT 1/0"), query("EXECUTE p"), query("DEALLOCATE p"),
    ),
    "pipelined": batch(
        PLUS, query("EXECUTE p (1)"), query("SELECT 1"), query("EXECUTE p (2)"),
        query("DEALLOCATE p"), query("EXECUTE p (3)"), ready=6,
    ),
    "in a transaction": steps(
        query("BEGIN"), PLUS, query("EXECUTE p (1)"), query("COMMIT"), query("EXECUTE p (2)"),
        query("BEGIN"), query("EXECUTE p (3)"), query("DEALLOCATE p"), query("ROLLBACK"),
        query("EXECUTE p (4)"),
    ),
    "prepared in what is rolled back": steps(
        query("BEGIN"), PLUS, query("ROLLBACK"), query("EXECUTE p (1)"),
    ),
    "in a failed transaction": steps(
        PLUS, query("BEGIN"), query("SELECT 1/0"), query("EXECUTE p (1)"),
        query("PREPARE q AS SELECT 1"), query("DEALLOCATE p"), query("ROLLBACK"),
        query("EXECUTE p (1)"), query("EXECUTE q"),
    ),
    "twice": steps(PLUS, PLUS, query("EXECUTE p (1)")),
    "that fails": steps(
        query("PREPARE p AS SELECT nothing"), query("EXECUTE p"), query("PREPARE p AS SELEKT 1"),
        query("PREPARE p AS SELECT 1"), query("EXECUTE p"),
    ),
    "unknown": steps(query("EXECUTE never"), query("DEALLOCATE never"), query("EXECUTE never (1)")),
    "execute with the wrong parameters": steps(
        PLUS, query("EXECUTE p"), query("EXECUTE p (1, 2)"), query("EXECUTE p ('x')"),
        query("EXECUTE p (1)"),
    ),
    "deallocate all": steps(
        PLUS, query("PREPARE q AS SELECT 2"), query("DEALLOCATE ALL"), query("EXECUTE p (1)"),
        PLUS, query("EXECUTE p (1)"), query("DEALLOCATE PREPARE ALL"), query("EXECUTE p (1)"),
    ),
    "discard all": steps(PLUS, query("DISCARD ALL"), query("EXECUTE p (1)"), PLUS),
    "quoted and folded names": steps(
        query('PREPARE "Mixed ""name" AS SELECT 1'), query('EXECUTE "Mixed ""name"'),
        query("PREPARE UPPER AS SELECT 2"), query("execute upper"), query('EXECUTE "UPPER"'),
        query('DEALLOCATE "Mixed ""name"'), query("DEALLOCATE Upper"), query("EXECUTE upper"),
    ),
    "comments and odd spaces": steps(
        query("/* a */ PREPARE -- b\n p /* c */ AS SELECT 1"), query("EXECUTE/**/p"),
        query("\n\tEXECUTE\n\tp ;"), query("DEALLOCATE\fp"),
    ),
    "not a prepare at all": steps(
        query("SELECT 'PREPARE p AS SELECT 1', 'EXECUTE p'"),
        query("SELECT 1 AS \"EXECUTE\" -- DEALLOCATE ALL"), query("EXECUTE p"),
    ),
    "extended": steps(
        run("PREPARE p (int) AS SELECT $1 + 1") + SYNC,
        run("EXECUTE p (1)") + SYNC,
        parse("EXECUTE p (2)", "e") + SYNC, bind(name="e") + describe("P") + execute() + SYNC,
        run("DEALLOCATE p") + SYNC, bind(name="e") + execute() + SYNC,
    ),
    "extended, in one batch": steps(
        run("PREPARE p AS SELECT 1") + run("EXECUTE p") + run("DEALLOCATE p") + run("EXECUTE p")
        + SYNC
    ),
    "a name of the protocol executed by SQL": steps(
        parse("SELECT $1::int + 5", "a") + SYNC, query("EXECUTE a (1)"), query("EXECUTE a (2)"),
        query("DEALLOCATE a"), bind("1", name="a") + SYNC,
    ),
    "a name of SQL bound by the protocol": steps(
        PLUS, describe("S", "p") + SYNC, bind("1", name="p") + execute() + SYNC,
        close("S", "p") + SYNC, query("EXECUTE p (1)"),
    ),
    "one name from both sides": steps(
        PLUS, parse("SELECT 1", "p") + SYNC, query("EXECUTE p (4)"), close("S", "p") + SYNC,
        parse("SELECT 'mine'", "p") + SYNC, PLUS, bind(name="p") + execute() + SYNC,
    ),
    "with commands that write": steps(
        query("PREPARE i (int) AS INSERT INTO pets VALUES ($1) RETURNING id"),
        query("EXECUTE i (5)"), query("BEGIN; EXECUTE i (6); ROLLBACK"), query("EXECUTE i (7)"),
        query("SELECT id FROM pets ORDER BY id"),
    ),
    "explain and create table as execute": steps(
        query("PREPARE p AS SELECT 1 AS x"), query("EXPLAIN (COSTS off) EXECUTE p"),
        query("CREATE TABLE extra AS EXECUTE p"), query("SELECT count(*) FROM extra"),
        query("DROP TABLE extra"),
    ),
    "by two texts of one name in turn": steps(
        *[
            Step(query(f"PREPARE p AS SELECT {n}") + query("EXECUTE p") + DROP, b"Z", 3)
            for n in range(4)
        ]
    ),
    "many": steps(
        query("".join(f"PREPARE p{n} AS SELECT {n};" for n in range(40))),
        *[query(f"EXECUTE p{n}") for n in range(0, 40, 9)],
        query("DEALLOCATE p9"), query("EXECUTE p9"), query("EXECUTE p18"),
    ),
}  # fmt: skip
