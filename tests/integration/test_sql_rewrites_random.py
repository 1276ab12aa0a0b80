"""Random statements and what the rules make of them give the same rows, names and types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from dbopt.sql.rules import RULES
from tests.fix_pg import Server, fresh_database
from tests.integration.random_statements import Statements
from tests.support import examples
from tests.unit.sql.rules.asking import rewrites
from tests.unit.sql.rules.sample import DATA, DDL, SAMPLE

STATEMENTS = examples(40)
Row = tuple[bytes | None, ...]
KINDS = (
    *(Statements.distinct, Statements.either, Statements.union),
    *(Statements.asked, Statements.nested),
)


@pytest.fixture(scope="module")
def sample(pg_backend: Server) -> Iterator[psycopg.Connection]:
    with fresh_database(pg_backend) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(DDL)
        connection.execute(DATA)
        connection.execute("set statement_timeout = '5s'")
        yield connection


def answer(connection: psycopg.Connection, sql: str) -> tuple[Counter[Row], list[object]]:
    cursor = connection.execute(sql.encode())
    described = [(column.name, column.type_code) for column in cursor.description or ()]
    result = cursor.pgresult
    assert result is not None
    # As the server sent them: Python has no infinite timestamp.
    columns = range(result.nfields)
    rows = [tuple(result.get_value(row, at) for at in columns) for row in range(result.ntuples)]
    return Counter(rows), list(described)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", [1, 2])
def test_rewrites_of_random_statements(kind: object, seed: int, sample: psycopg.Connection) -> None:
    assert callable(kind)
    statements = Statements(seed)
    compared = 0
    for _ in range(STATEMENTS):
        sql = kind(statements)
        found = {text for rule in RULES for text in rewrites(rule, sql, SAMPLE)}
        before = answer(sample, sql) if found else None
        for rewrite in sorted(found):
            assert before == answer(sample, rewrite), f"{sql}\n{rewrite}"
            compared += 1
    assert compared > STATEMENTS / 20
