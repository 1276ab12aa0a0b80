from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbopt.pg.connect import Connection, connect
from dbopt.pg.mistake import server_mistake
from dbopt.sql.parse import split


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE people (id int)")
        yield made


@pytest.mark.parametrize(
    ("text", "rest", "reason"),
    [
        ("SELECT 1;\n SELECT 'ü' || FROM people", "FROM people", "syntax error (42601)"),
        ("SELECT 1; SELECT 'é𝄞', nme FROM people", "nme FROM people", "undefined column (42703)"),
        ("SELECT 1; SELECT * FROM persons", "persons", "undefined table (42P01)"),
        ("SELECT 1; SELECT id = 'x' FROM people", "'x' FROM people", "(22P02)"),
        ("SELECT 1; CREATE TABLE x (a int)", "CREATE TABLE x (a int)", "syntax error (42601)"),
    ],
)
def test_the_place_is_the_servers(
    connection: Connection, text: str, rest: str, reason: str
) -> None:
    found = server_mistake(connection, split(text)[1])
    assert found is not None
    assert (rest, True) == (text[found.offset :], found.certain)
    assert found.reason.endswith(reason)


def test_its_words_may_quote_a_constant(connection: Connection) -> None:
    statement = split("SELECT id = 'secret' FROM people")[0]
    quiet, loud = (server_mistake(connection, statement, words=w) for w in (False, True))
    assert quiet is not None
    assert "secret" not in quiet.reason
    assert loud is not None
    assert 'invalid input syntax for type integer: "secret"' == loud.reason


def test_what_it_takes_is_no_mistake_and_is_not_kept(connection: Connection) -> None:
    for _ in range(2):
        assert None is server_mistake(connection, split("SELECT id FROM people WHERE id = $1")[0])
    assert 0 == len(connection.execute("SELECT FROM pg_prepared_statements").fetchall())
