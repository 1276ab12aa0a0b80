"""dbopt.sql.classify against the server: its grammar, the locks that it takes, what it refuses.

EXPLAIN locks what a statement would: AccessShare or RowShare on what it reads, RowExclusive on
what it writes, views among them. That is compared, by a Schema that was read from the server.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest

from dbopt.pg.connect import connect
from dbopt.pg.schema import read_schema
from dbopt.sql.classify import classify, judge
from dbopt.sql.columns import uses_of_tree
from dbopt.sql.parse import split
from dbopt.sql.query import Kind, Relation
from dbopt.sql.schema import RelationKind, Schema
from tests.fix_pg import Server, fresh_database
from tests.integration.classify_support import (
    FUNCTIONS,
    OBJECTS,
    columns_of,
    locked,
    mutant,
    outcome,
    sqlstate,
)
from tests.support import examples
from tests.unit.sql.test_classify import CASES, FILES, Case, cases

SYSTEM = {"pg_catalog", "information_schema"}


@pytest.fixture(scope="module")
def dsn(pg_backend: Server) -> Iterator[str]:
    with fresh_database(pg_backend) as made:
        with psycopg.connect(made, autocommit=True) as connection:
            connection.execute(FUNCTIONS)
            connection.execute(OBJECTS)
        yield made


@pytest.fixture
def conn(dsn: str) -> Iterator[psycopg.Connection]:
    # Its own prepared statements would go with DEALLOCATE ALL.
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        yield connection


@pytest.fixture(scope="module")
def schema(dsn: str) -> Schema:
    with connect(dsn) as connection:
        return read_schema(connection)


@pytest.mark.pg(">= 18")
def test_the_server_knows_the_grammar_of_every_example(conn: psycopg.Connection) -> None:
    """Parse alone runs nothing, and of a command that is no query it looks at the grammar only."""
    ours = [case for name in FILES if name != "statements.tsv" for case in cases(name)]
    refused = [
        case.sql
        for case in ours
        if sqlstate(conn.pgconn.prepare(b"", case.sql.encode())) == "42601"
    ]
    assert len(ours) >= 600
    assert [] == refused


def explainable(case: Case) -> bool:
    """A query, DML, or what makes a table of a query."""
    if len(split(case.sql)) != 1:
        return False
    kinds = {Kind.READ, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE}
    return case.kind in kinds or (case.kind == Kind.DDL and judge(case.sql)[0].tree is not None)


@pytest.mark.pg(">= 16")
def test_what_is_read_and_written_is_what_the_server_locks(
    conn: psycopg.Connection, schema: Schema
) -> None:
    compared, wrong = 0, []
    for case in filter(explainable, CASES):
        server = locked(conn, case.sql)
        if server is None:
            continue
        compared += 1
        [judged] = judge(case.sql, schema=schema)
        known = {relation for relation in judged.does.reads if relation.schema not in SYSTEM}
        # A table that is being made is not there yet; the views inside a view are left out.
        new = {one for one in judged.does.writes if one not in schema.relations}
        inner = {one for one in server.reads - known if _is_inner(one, known, schema)}
        ours = (known, set(judged.does.writes) - new)
        if ours != (server.reads - inner, server.writes):
            wrong.append((case.sql, ours, server))
    assert [] == wrong
    assert compared >= 250


def test_no_column_is_attributed_to_another_table(conn: psycopg.Connection, schema: Schema) -> None:
    """With a schema, and by the text alone. Nothing depends on the system's own relations."""
    compared, wrong, found = 0, [], 0
    for case in CASES:
        server = columns_of(conn, case.sql) if case.kind == Kind.READ else None
        judged = next(iter(judge(case.sql)), None)
        if server is None or judged is None or judged.tree is None:
            continue
        compared += 1
        if any(relation.name.startswith("pg_") for relation in judged.does.reads):
            continue
        known = {(use.relation, use.column) for use in uses_of_tree(judged.tree, schema)}
        named = {(use.relation.name, use.column) for use in uses_of_tree(judged.tree)}
        found += len(known)
        if known - server or named - {(relation.name, name) for relation, name in server}:
            wrong.append((case.sql, known - server, named, server))
    assert [] == wrong
    assert (compared >= 150, found >= 300) == (True, True)


def _is_inner(relation: Relation, reads: set[Relation], schema: Schema) -> bool:
    """Whether the server has come to it by a view that is read, or as a partition."""
    if relation == Relation("public", "p1"):
        return Relation("public", "p") in reads
    kinds = {schema.relations[one].kind for one in reads if one in schema.relations}
    return schema.relations[relation].kind is RelationKind.VIEW and RelationKind.VIEW in kinds


LEFT: LiteralString = """
    select pg_current_xact_id_if_assigned()::text,
        (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
        current_setting('a.b', true)
"""


def left_by(conn: psycopg.Connection, begin: LiteralString, text: str) -> str:
    """What a text leaves in a transaction, which is rolled back: its error, or what it wrote."""
    conn.execute(begin)
    try:
        if state := outcome(conn, text):
            return state
        row = conn.execute(LEFT).fetchone()
        return "" if row is not None and row[:2] == (None, 0) and not row[2] else f"left {row}"
    finally:
        conn.execute("rollback")
        conn.execute("deallocate all")


def shown_to_write(conn: psycopg.Connection, text: str) -> str:
    """Why the server holds that a text writes; "" where it does not, or cannot run it."""
    for begin in ("begin read only", "begin"):
        left = left_by(conn, begin, text)
        if left == "25006" or left.startswith("left"):
            return left
    return ""


def test_no_example_that_is_called_read_only_writes(
    conn: psycopg.Connection, schema: Schema
) -> None:
    conn.execute("set statement_timeout = '1s'")
    called = [case.sql for case in CASES if reads_only(case.sql, schema)]
    wrong = {text: why for text in called if (why := shown_to_write(conn, text))}
    assert len(called) >= 200
    assert {} == wrong


def reads_only(text: str, schema: Schema | None) -> bool:
    return classify(text, schema=schema).read_only


def test_no_mutant_that_is_called_read_only_writes(
    conn: psycopg.Connection, schema: Schema
) -> None:
    """Nothing raises, and no text is called read-only that the server holds for a write."""
    conn.execute("set statement_timeout = '1s'")
    rng = random.Random(4)  # noqa: S311 - no secret
    texts = [case.sql for case in CASES if case.sql.strip()]
    seen, ran, wrong = 0, 0, {}
    while seen < examples(300):
        text = mutant(rng, texts)
        if not reads_only(text, schema) or "\0" in text:
            continue
        seen += 1
        if why := shown_to_write(conn, text):
            wrong[text] = why
        ran += left_by(conn, "begin", text) == ""
    assert {} == wrong
    assert ran > seen / 10


def test_a_view_is_as_it_does(conn: psycopg.Connection, schema: Schema) -> None:
    assert "25006" == shown_to_write(conn, "select * from noted")
    [judged] = judge("select * from noted", schema=schema)
    assert not judged.does.read_only
    assert "view noted calls vol(), which is volatile" in [d.because for d in judged.does.doubts]
