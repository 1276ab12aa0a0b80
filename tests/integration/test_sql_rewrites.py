"""Every rewrite against the server: the same rows, names and types, and the same tables after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from dbopt.sql.rules import RULES
from dbopt.sql.rules.support import Rule
from tests.fix_pg import Server, fresh_database
from tests.integration import data_rewrites_a, data_rewrites_b
from tests.integration.rewrite_case import Case
from tests.unit.sql.rules.asking import rewrites
from tests.unit.sql.rules.sample import DATA, DDL, SAMPLE

CASES = (*data_rewrites_a.CASES, *data_rewrites_b.CASES)
BY_NAME = {rule.name: rule for rule in RULES}
TABLES = [relation.name for relation in SAMPLE.relations]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement gave and left."""

    columns: list[tuple[str, int]]
    rows: list[str]
    count: int
    tables: dict[str, Counter[str]]


@pytest.fixture(scope="module")
def sample(pg_backend: Server) -> Iterator[psycopg.Connection]:
    with (
        fresh_database(pg_backend) as dsn,
        psycopg.connect(dsn, cursor_factory=psycopg.RawCursor) as connection,
    ):
        connection.execute(DDL)
        connection.execute(DATA)
        connection.commit()
        yield connection


def outcome(connection: psycopg.Connection, sql: str, parameters: tuple[object, ...]) -> Outcome:
    with connection.transaction(force_rollback=True):
        # A text that comes from nobody else, executed as it is.
        cursor = connection.execute(sql.encode(), parameters)
        described = cursor.description
        rows = list(_rows(cursor)) if described else []
        tables = {}
        for name in TABLES:
            found = connection.execute(f"select t::text from {name} t".encode()).fetchall()
            tables[name] = Counter(row[0] for row in found)
    columns = [(column.name, column.type_code) for column in described or ()]
    return Outcome(columns, rows, cursor.rowcount, tables)


def _rows(cursor: psycopg.Cursor) -> Iterator[str]:
    """The rows as the server writes them: Python has no infinite timestamps."""
    result = cursor.pgresult
    assert result is not None
    for row in range(result.ntuples):
        yield str([result.get_value(row, column) for column in range(result.nfields)])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.sql}")
def test_a_rewrite_gives_the_same(case: Case, sample: psycopg.Connection) -> None:
    found = rewrites(BY_NAME[case.rule], case.sql, SAMPLE)
    assert found, "no rewrite is proposed"
    before = outcome(sample, case.sql, case.parameters)
    for rewrite in found:
        after = outcome(sample, rewrite, case.parameters)
        assert before.columns == after.columns
        assert before.count == after.count
        assert before.tables == after.tables
        if case.ordered:
            assert before.rows == after.rows
        assert Counter(before.rows) == Counter(after.rows)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_examples_are_sql_that_the_server_reads(rule: Rule, sample: psycopg.Connection) -> None:
    """The server reads the whole text before it runs the first statement, which fails."""
    for text in (rule.fires, rule.passes):
        with pytest.raises(psycopg.errors.DivisionByZero), sample.transaction():
            sample.execute(f"select 1/0; {text}".encode())


def test_the_schema_is_the_servers(sample: psycopg.Connection) -> None:
    rows = sample.execute(
        """select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
           from pg_class c join pg_attribute a on a.attrelid = c.oid
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
           order by c.oid, a.attnum"""
    ).fetchall()
    expected = [
        (relation.name, column.name, column.type, column.not_null)
        for relation, table in SAMPLE.relations.items()
        for column in table.columns.values()
    ]
    assert expected == rows
