"""dbopt.sql against the server itself: pg_stat_statements' texts and pg_get_indexdef's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString, NamedTuple, cast

import psycopg
import pytest

from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.functions import volatilities
from dbopt.sql.indexdef import parse_index

HERE = Path(__file__).parent
TABLE: LiteralString = (
    "create table t (a int, b int, c varchar(20), ok bool, ts timestamptz, j jsonb, n numeric)"
)


def lines(name: str) -> list[LiteralString]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [cast(LiteralString, line) for line in text.splitlines() if not line.startswith("--")]


MORE: LiteralString = "create table k (id int primary key, v text)"
_VARIABLE = re.compile("⟦(.*?)¦(.*?)⟧")


class Case(NamedTuple):
    """Two texts of one statement, and why the two sides may disagree about them."""

    one: str
    other: str
    why: str

    @property
    def same(self) -> bool:
        return fingerprint(self.one) == fingerprint(self.other)


def cases() -> list[Case]:
    rows = (HERE / "data_sql_agreement.tsv").read_text(encoding="utf-8").splitlines()
    return [_case(*row.partition("\t")) for row in rows if row[0] != "#"]


def _case(text: str, _tab: str, why: str) -> Case:
    one, other = (_VARIABLE.sub(rf"\{n}", text).replace("␤", "\n") for n in (1, 2))
    return Case(one, other, why)


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


def kept(conn: psycopg.Connection, text: str) -> tuple[int, str]:
    """Runs a statement; the queryid and the text that the server keeps of it."""
    conn.execute("discard all")
    if text.startswith(("fetch", "move", "lock", "savepoint", "release", "rollback to")):
        conn.execute("begin; savepoint s1; savepoint s2; declare c cursor for select 1")
    conn.execute("prepare p1 as select 1; prepare p2 as select 2")
    conn.execute("select pg_stat_statements_reset()")
    conn.execute(cast(LiteralString, text))
    if text != "rollback":
        conn.execute("rollback; reset search_path")
    found = conn.execute(
        "select queryid, query from pg_stat_statements s, pg_database d where d.oid = dbid"
        " and datname = current_database() and query not like '%pg_stat_statements%'"
    ).fetchall()
    own = {"rollback", "reset search_path"} - {text}
    [(queryid, query)] = [row for row in found if row[1] not in own]
    return queryid, query


@pytest.mark.pg(">= 18")
def test_the_same_queryid_means_the_same_fingerprint(conn: psycopg.Connection) -> None:
    every = cases()
    assert len(every) >= 200
    conn.prepare_threshold = None
    conn.execute(MORE)
    disagreed, texts = [], {}
    for case in every:
        (one, text), (other, _) = kept(conn, case.one), kept(conn, case.other)
        if (one == other) != case.same:
            disagreed.append(case)
        if fingerprint(text) != fingerprint(case.one):
            texts[case.one] = text
    assert [case for case in every if case.why] == disagreed
    assert {} == texts


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
