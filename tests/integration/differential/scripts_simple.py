"""Simple queries, transactions, notices, function calls."""

from __future__ import annotations

from dbopt.wire import messages as m
from tests.integration.differential.script import Scripts, Step, batch, steps, then
from tests.integration.gateway_support import SYNC, bind, parse, query, run

FUNCTION = m.FunctionCall(1598, (), (), 0).encode()  # random()
PLUS = m.FunctionCall(177, (0,), (b"40", b"2"), 0).encode()  # int4pl
BINARY_PLUS = m.FunctionCall(177, (1, 1), (b"\0\0\0\x28", b"\0\0\0\2"), 1).encode()
NULL_PLUS = m.FunctionCall(177, (0,), (b"40", None), 0).encode()
BAD_PLUS = m.FunctionCall(177, (0,), (b"40", b"two"), 0).encode()
SHORT_PLUS = m.FunctionCall(177, (0,), (b"40",), 0).encode()
MISSING = m.FunctionCall(4294967294, (), (), 0).encode()
NOTICE = "DO $$BEGIN RAISE NOTICE 'hi %', {}; END$$"
WARNING = "DO $$BEGIN RAISE WARNING 'careful'; END$$"

SCRIPTS: Scripts = {
    "rows": steps(query("SELECT 1"), query("SELECT 'a', NULL")),
    "empty": steps(query(""), query(";"), query("  -- nothing"), query("/* nothing */ ;;")),
    "several statements": steps(query("SELECT 1; SELECT 2; INSERT INTO pets VALUES (1)")),
    "several with an error": steps(query("SELECT 1; SELECT 1/0; SELECT 2")),
    "several are one transaction": steps(
        query("INSERT INTO pets VALUES (1); INSERT INTO pets VALUES (2); SELECT 1/0"),
        query("SELECT count(*) FROM pets"),
    ),
    "several with a commit in between": steps(
        query("INSERT INTO pets VALUES (1); COMMIT; INSERT INTO pets VALUES (2); SELECT 1/0"),
        query("SELECT id FROM pets"),
    ),
    "several that open and end": steps(
        query("BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2"), query("SELECT 3; ROLLBACK"),
    ),
    "empty ones among others": batch(query(""), query("SELECT 1"), query(""), query(";"), ready=4),
    "no rows and no columns": steps(
        query("SELECT"), query("SELECT 1 WHERE false"), query("VALUES (1), (2)"),
    ),
    "syntax error": steps(query("SELEKT 1"), query("SELECT 1;; SELEKT 2"), query("SELECT 'open")),
    "tags": steps(
        query("INSERT INTO pets SELECT generate_series(1, 5)"),
        query("UPDATE pets SET kind = 'cat' WHERE id > 2 RETURNING id"),
        query("DELETE FROM pets WHERE id = 1"),
        query("CREATE TABLE extra AS SELECT 1 AS x"),
        query("DROP TABLE extra"),
        query("EXPLAIN (COSTS off) SELECT 1"),
        query("MERGE INTO pets USING (VALUES (2)) v(i) ON id = i WHEN MATCHED THEN DELETE"),
    ),
    "pipelined": batch(query("SELECT 1"), query("SELECT x"), query("SELECT 3"), ready=3),
    "many pipelined": batch(*[query(f"SELECT {n}") for n in range(60)], ready=60),
    "notices": steps(query(NOTICE.format(1)), query(f"{NOTICE.format(2)}; {WARNING}; SELECT 3")),
    "notices before an error": steps(query(f"{NOTICE.format(1)}; SELECT 1/0"), query("SELECT 1")),
    "notices below the level": steps(
        query("BEGIN; SET LOCAL client_min_messages = error"),
        query(f"{NOTICE.format(1)}; {WARNING}"),
        query("COMMIT"),
    ),
    "transaction": steps(query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("ROLLBACK")),
    "transaction, pipelined": batch(query("BEGIN"), query("SELECT 1"), query("COMMIT"), ready=3),
    "failed transaction, committed": steps(
        query("BEGIN"), query("SELECT nothing"), query("COMMIT"), query("SELECT 1"),
    ),
    "failed transactions, pipelined": batch(
        query("BEGIN"), query("SELECT 1/0"), query("SELECT 2"), query("COMMIT"),
        query("BEGIN"), query("SELECT 1/0"), query("ROLLBACK"), query("SELECT 3"), ready=8,
    ),
    "transactions of warnings": steps(
        query("COMMIT"), query("ROLLBACK"), query("BEGIN"), query("BEGIN"), query("END"),
    ),
    "transaction, chained": steps(
        query("BEGIN ISOLATION LEVEL SERIALIZABLE"), query("COMMIT AND CHAIN"),
        query("SHOW transaction_isolation"), query("SELECT 1/0"), query("ROLLBACK AND CHAIN"),
        query("SELECT 1"), query("COMMIT"),
    ),
    "savepoints": steps(
        query("BEGIN"), query("SAVEPOINT a"), query("INSERT INTO pets VALUES (1)"),
        query("SELECT 1/0"), query("ROLLBACK TO a"), query("SAVEPOINT b"), query("RELEASE b"),
        query("RELEASE never"), query("ROLLBACK TO a"), query("COMMIT"),
        query("SELECT count(*) FROM pets"),
    ),
    "read only": steps(
        query("BEGIN READ ONLY"), query("INSERT INTO pets VALUES (1)"), query("ROLLBACK"),
        query("INSERT INTO pets VALUES (1)"),
    ),
    "statement timeout": steps(
        query("BEGIN; SET LOCAL statement_timeout = 20"), query("SELECT pg_sleep(5)"),
        query("SELECT 1"), query("ROLLBACK"), query("SELECT pg_sleep(0.03)"),
    ),
    "lock timeout of nobody": steps(
        query("BEGIN; SET LOCAL lock_timeout = 20; LOCK TABLE pets"), query("COMMIT"),
    ),
    "transaction's own locks": steps(
        query("BEGIN; SELECT pg_advisory_xact_lock(71)"), query("SELECT pg_advisory_unlock(71)"),
        query("COMMIT"),
    ),
    "function call": steps(PLUS, BINARY_PLUS, NULL_PLUS),
    "function call that fails": steps(MISSING, BAD_PLUS, SHORT_PLUS, query("SELECT 1")),
    "function call in a transaction": steps(
        query("BEGIN"), PLUS, MISSING, MISSING, PLUS, query("ROLLBACK"), PLUS,
    ),
    "function calls, pipelined": batch(
        PLUS, query("SELECT 1"), PLUS, BAD_PLUS, run("SELECT 2"), SYNC, PLUS, ready=6
    ),
    "function call after an unsynced batch": batch(
        parse("SELECT $1::int"), bind("no"), MISSING, SYNC, MISSING, ready=2
    ),
    "function call after a good batch": batch(
        parse("SELECT $1::int"), bind("7"), PLUS, SYNC, query("SELECT 1"), ready=3
    ),
    "notify without listeners": steps(query("NOTIFY nobody, 'hears'"), query("SELECT 1")),
    "large object": steps(
        query("BEGIN; SELECT lo_unlink(7001) FROM pg_largeobject_metadata WHERE oid = 7001"),
        query("SELECT lo_create(7001), lo_open(7001, 131072), lowrite(0, 'abc'), lo_close(0)"),
        query("SELECT lo_get(7001), lo_unlink(7001)"),
        query("COMMIT"),
    ),
    "cursor in a transaction": steps(
        query("BEGIN"), query("DECLARE c CURSOR FOR SELECT generate_series(1, 5)"),
        query("FETCH 2 FROM c"), query("MOVE 1 FROM c"), query("FETCH ALL FROM c"),
        query("FETCH NEXT FROM c; FETCH BACKWARD 1 FROM c"), query("CLOSE c"), query("COMMIT"),
        query("FETCH c"),
    ),
    "rollback to what a cursor saw": steps(
        query("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT 1; SAVEPOINT s"), query("FETCH nothing"),
        query("ROLLBACK TO s; FETCH c"), query("COMMIT"),
    ),
    "two-phase commit is refused alike": steps(
        query("BEGIN"), query("PREPARE TRANSACTION 'x'"), query("SELECT 1"),
    ),
    "transactions, one step each": then(
        *[steps(query(f"BEGIN; SELECT {n}"), query("COMMIT")) for n in range(6)]
    ),
    "queries in halves": steps(
        Step(query("SELECT 1") + query("SELECT 2")[:7]), query("SELECT 2")[7:],
        Step(query("BEGIN") + b"Q"), query("COMMIT")[1:],
    ),
}  # fmt: skip
