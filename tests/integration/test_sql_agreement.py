"""dbopt.sql against the server itself: pg_stat_statements' texts and pg_get_indexdef's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString, cast

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.sql.fingerprint import fingerprint, normalize
from dbopt.sql.functions import volatilities
from dbopt.sql.indexdef import parse_index
from dbopt.sql.redact import redact
from tests.integration.agreement_support import Recorder, agreement, cases
from tests.support import examples

HERE = Path(__file__).parent
TABLE: LiteralString = (
    "create table t (a int, b int, c varchar(20), ok bool, ts timestamptz, j jsonb, n numeric)"
)


def lines(name: str) -> list[LiteralString]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [cast(LiteralString, line) for line in text.splitlines() if not line.startswith("--")]


@pytest.fixture
def conn(pg_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
        connection.execute(TABLE)
        yield connection


def recorded(conn: psycopg.Connection, statement: LiteralString) -> set[int]:
    """The fingerprints of the texts that pg_stat_statements keeps of this statement."""
    conn.execute("select pg_stat_statements_reset()")
    conn.execute(statement)
    rows = conn.execute(
        "select query from pg_stat_statements join pg_database d on d.oid = dbid"
        " where datname = current_database() and query not like '%pg_stat_statements%'"
    )
    return {fingerprint(text) for (text,) in rows.fetchall()}


@pytest.mark.pg(">= 18")
def test_the_fingerprint_of_the_servers_text_is_the_clients(conn: psycopg.Connection) -> None:
    statements = lines("data_sql_statements.sql")
    assert len(statements) >= 50
    expected = {statement: {fingerprint(statement)} for statement in statements}
    assert expected == {statement: recorded(conn, statement) for statement in statements}


@pytest.fixture
def recorder(pg_dsn: str) -> Iterator[Recorder]:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
        yield Recorder(connection)


@pytest.mark.pg(">= 18")
def test_the_same_queryid_means_the_same_fingerprint(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    every = cases()
    found = agreement(every, recorder)
    with capsys.disabled():
        print(f"\nPostgreSQL 18: {found}")
    assert len(found.seen) >= 1000
    assert [case for case in every if case.disputed] == found.disagreed
    assert [] == found.unexplained
    assert found.rate >= 0.99
    assert {} == {
        case.one: found.seen[case.one].text
        for case in every
        if not case.why and fingerprint(found.seen[case.one].text) != fingerprint(case.one)
    }


def test_an_older_server_agrees_but_for_lists_and_utility_statements(
    pg15_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before 18 it counts the constants of a list, and keeps those of utility statements.

    One fingerprint then stands for several queryids, and gathers what they count.
    """
    new = {text for case in cases() if case.new for text in case[:2]}
    every = [case for case in cases() if new.isdisjoint(case[:2])]
    with psycopg.connect(pg15_dsn, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
        found = agreement(every, Recorder(connection))
    with capsys.disabled():
        print(f"\nPostgreSQL 15: {found}")
    assert len(found.seen) >= 1000
    assert [] == [case for case in found.disagreed if not case.disputed]
    assert found.rate >= 0.99


PIECES = (
    "ab",
    "'",
    "''",
    "\\",
    "\\\\",
    ";",
    "--",
    "/*",
    "*/",
    "$$",
    "$a$",
    "$1",
    " ",
    "\n",
    '"',
    "é",
    "?",
    ",",
)
BODIES = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
BITS = st.text("01", max_size=5)
PLAIN = BODIES.map(lambda body: body.replace("'", "''"))
FORMS = [
    BODIES.filter(lambda body: "$q$" not in body).map("$q${}$q$".format),
    BODIES.map(lambda body: "E'" + body.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    BITS.map("B'{}'".format),
    BITS.map("x'{}'".format),
    st.integers(0, 10**20).map(str),
    st.decimals(0, 1000, places=3).map(str),
    st.sampled_from(
        ["1e5", ".5", "2.", "1_000", "0x1F", "0o17", "0b1", "null", "true", "-1", "- .5"]
    ),
]
GAPS = st.sampled_from([",", " , ", ",\n", "/* ' */, ", ", -- '\n", ", /* /* */ ' */"])


def literals(conforming: bool) -> st.SearchStrategy[str]:
    """Constants in every form that a server takes whose standard_conforming_strings is this."""
    if conforming:
        unicode = PLAIN.filter(lambda body: "\\" not in body).map("U&'{}\\0061'".format)
        return st.one_of(PLAIN.map("'{}'".format), PLAIN.map("N'{}'".format), unicode, *FORMS)
    escaped = PLAIN.map(lambda body: body.replace("\\", "\\\\"))
    by_backslash = BODIES.map(lambda body: body.replace("\\", "\\\\").replace("'", "\\'"))
    return st.one_of(escaped.map("'{}'".format), by_backslash.map("n'{}'".format), *FORMS)


@pytest.mark.pg(">= 18")
@pytest.mark.parametrize("conforming", [True, False])
def test_the_server_finds_the_same_constants(recorder: Recorder, conforming: bool) -> None:
    """Whatever they hold: each is one `$n` to it, and as many are one `?` each to us."""
    recorder.run_before(f"set standard_conforming_strings = {conforming}")

    @given(st.lists(st.tuples(literals(conforming), GAPS), min_size=1, max_size=6))
    @settings(max_examples=examples(150), deadline=None)
    def agree(parts: list[tuple[str, str]]) -> None:
        text = "select " + "".join(part + gap for part, gap in parts) + "1"
        expected = "select " + " , ".join("?" * (len(parts) + 1))
        assert expected == normalize(text, conforming=conforming)
        seen = recorder.one(text)
        assert expected == normalize(seen.text, conforming=conforming)
        assert expected == normalize(redact(text, conforming=conforming))

    agree()


def shown(conn: psycopg.Connection) -> str:
    """pg_get_indexdef of the one index of the table, which is dropped."""
    row = conn.execute(
        "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 't'::regclass"
    ).fetchone()
    assert row is not None
    conn.execute("drop table t")
    conn.execute(TABLE)
    return str(row[0])


@pytest.mark.parametrize("declared", lines("data_sql_indexes.sql"))
def test_a_declared_index_is_the_one_that_the_server_shows(
    conn: psycopg.Connection, declared: LiteralString
) -> None:
    conn.execute(declared)
    ours, server = parse_index(declared), parse_index(shown(conn))
    assert ours.same_as(server)
    assert server.covers(ours)
    conn.execute(cast(LiteralString, ours.create_sql(concurrently=False)))
    assert server.same_as(parse_index(shown(conn)))


@pytest.mark.pg("== 18")
def test_the_volatilities_are_what_the_server_says(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "select proname, case when bool_or(provolatile = 'v') then 'v'"
        " when bool_or(provolatile = 's') then 's' else 'i' end"
        " from pg_proc where pronamespace = 'pg_catalog'::regnamespace group by proname"
    ).fetchall()
    assert dict(rows) == volatilities()
