"""Portals: row limits, suspension, several at once."""

from __future__ import annotations

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
)

SERIES = "SELECT generate_series(1, 7)"
LATE = "SELECT 1/(3-g) FROM generate_series(1, 9) g"
INSERTS = "INSERT INTO pets SELECT generate_series(1, 5) RETURNING id"

SCRIPTS: Scripts = {
    "rows by portions": steps(
        query("BEGIN"),
        parse(SERIES) + bind(portal="p") + execute("p", 3) + SYNC,
        execute("p", 3) + execute("p", 3) + execute("p", 3) + SYNC,
        close("P", "p") + execute("p") + SYNC,
        query("ROLLBACK"),
    ),
    "portions with flushes": steps(
        Step(parse(SERIES) + bind() + execute("", 3) + FLUSH, b"s"),
        Step(execute("", 3) + FLUSH, b"s"),
        Step(execute("", 3) + FLUSH, b"C"),
        SYNC,
    ),
    "suspended outside a transaction": steps(
        Step(parse(SERIES) + bind(portal="p") + execute("p", 2) + FLUSH, b"s"),
        Step(execute("p", 2) + FLUSH, b"s"),
        SYNC,
        execute("p", 2) + SYNC,
    ),
    "exactly as many as there are": steps(
        parse(SERIES) + bind() + execute("", 7) + execute("", 7) + SYNC,
        parse(SERIES) + bind() + execute("", 8) + SYNC,
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
    "two portals over batches": steps(
        query("BEGIN"),
        parse(SERIES, "s") + bind(name="s", portal="p") + bind(name="s", portal="q") + SYNC,
        execute("p", 2) + SYNC, execute("q", 3) + SYNC, execute("p", 2) + execute("q", 3) + SYNC,
        close("P", "p") + execute("q") + SYNC, execute("p") + SYNC, query("COMMIT"),
        execute("q") + SYNC,
    ),
    "three portals, one fails": steps(
        query("BEGIN"),
        parse(SERIES, "s") + parse(LATE, "l") + bind(name="s", portal="p")
        + bind(name="l", portal="q") + bind(name="s", portal="r") + SYNC,
        execute("p", 1) + execute("q", 2) + execute("r", 1) + SYNC,
        execute("p", 1) + execute("q", 2) + execute("r", 1) + SYNC,
        execute("p", 1) + SYNC, query("ROLLBACK"),
    ),
    "an unnamed portal replaced while suspended": steps(
        query("BEGIN"),
        parse(SERIES) + bind() + execute("", 2) + bind() + execute("", 3) + SYNC,
        execute("", 9) + SYNC, query("COMMIT"),
    ),
    "a portal gone after its Sync": steps(
        parse(SERIES) + bind(portal="p") + execute("p", 2) + SYNC, execute("p", 2) + SYNC
    ),
    "a portal gone with its savepoint": steps(
        query("BEGIN; SAVEPOINT s"), parse(SERIES) + bind(portal="p") + execute("p", 2) + SYNC,
        query("ROLLBACK TO s"), execute("p", 2) + SYNC, query("ROLLBACK"),
    ),
    "a portal of a finished statement": steps(
        parse(INSERTS) + bind() + execute() + execute() + SYNC, query("SELECT count(*) FROM pets"),
    ),
    "writes by portions": steps(
        query("BEGIN"), parse(INSERTS) + bind(portal="p") + execute("p", 2) + SYNC,
        execute("p", 2) + SYNC, execute("p", 2) + SYNC, query("COMMIT"),
        query("SELECT count(*) FROM pets"),
    ),
    "described between portions": steps(
        query("BEGIN"), parse(SERIES) + bind(portal="p") + describe("P", "p") + SYNC,
        execute("p", 2) + describe("P", "p") + execute("p", 2) + SYNC, query("COMMIT"),
    ),
    "closed while suspended": steps(
        query("BEGIN"), parse(SERIES) + bind(portal="p") + execute("p", 2) + close("P", "p") + SYNC,
        bind(portal="p") + execute("p", 3) + SYNC, query("COMMIT"),
    ),
    "an SQL cursor as a portal": steps(
        query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 7)"),
        describe("P", "c") + execute("c", 2) + SYNC, query("FETCH 2 FROM c"), execute("c") + SYNC,
        close("P", "c") + SYNC, query("FETCH c"), query("ROLLBACK"),
    ),
    "a portal as an SQL cursor": steps(
        query("BEGIN"), parse(SERIES) + bind(portal="p") + execute("p", 2) + SYNC,
        query("FETCH 2 FROM p"), query("CLOSE p"), execute("p") + SYNC, query("ROLLBACK"),
    ),
    "a query between portions": steps(
        query("BEGIN"), parse(SERIES) + bind(portal="p") + bind() + execute("p", 2) + SYNC,
        query("SELECT 'between'"), execute("p", 2) + SYNC, execute() + SYNC, query("COMMIT"),
    ),
    "negative and huge limits": steps(
        parse(SERIES) + bind() + execute("", -1) + SYNC,
        parse(SERIES) + bind() + execute("", 2**31 - 1) + SYNC,
    ),
    "a thousand portions": steps(
        query("BEGIN"),
        parse("SELECT generate_series(1, 1000)") + bind(portal="p") + execute("p", 1) * 1001 + SYNC,
        query("COMMIT"),
    ),
}  # fmt: skip
