"""What the planner makes of an index, asked of real servers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbopt.migrate.verify import Use, look, uses
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexDefinition, parse_index

MAIL = parse_index("CREATE INDEX people_mail ON public.people (mail)")
NAME = parse_index("CREATE INDEX people_name ON public.people (name)")
OTHERS = "Not examined: statements of other roles, since this one is a superuser."


def prepare(connection: psycopg.Connection[object] | Connection) -> None:
    connection.execute("CREATE TABLE people (id int, mail text, name text)")
    connection.execute(
        "INSERT INTO people SELECT n, 'm' || n, 'n' || n FROM generate_series(1, 5000) n"
    )
    connection.execute("CREATE INDEX people_mail ON people (mail)")
    connection.execute("CREATE INDEX people_name ON people (name)")
    connection.execute("ANALYZE people")
    connection.execute("SELECT pg_stat_statements_reset()")
    connection.execute("SELECT id FROM people WHERE mail = 'm7'")
    connection.execute("UPDATE people SET id = 8 WHERE mail = 'm8'")
    connection.execute("SELECT count(*) FROM people")
    connection.execute("INSERT INTO people VALUES (1, 'a', 'b')")
    connection.execute("CREATE TEMPORARY TABLE people_gone (a int)")
    connection.execute("SELECT a FROM people_gone")
    connection.execute("DROP TABLE people_gone")


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        prepare(made)
        yield made


def test_the_statements_that_would_use_an_index(connection: Connection) -> None:
    found = look(connection, MAIL)
    assert (3, 2, 2, OTHERS) == (
        found.statements,
        found.used,
        len(found.fingerprints),
        found.unseen,
    )
    assert f"people_mail: 2 of 3 statements that read its table would use it. {OTHERS}" == str(
        found
    )
    assert {"people_mail", "people_name"} == {use.index for use in uses(connection, [MAIL, NAME])}
    assert (3, 0) == (look(connection, NAME).statements, look(connection, NAME).used)
    assert found.to_dict()["fingerprints"] == list(found.fingerprints)


def test_on_15(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as connection:
        prepare(connection)
        found = look(connection, MAIL)
        assert (3, 2) == (found.statements, found.used)


def test_nothing_is_executed(connection: Connection) -> None:
    before = connection.execute("SELECT count(*) FROM people WHERE id = 8").fetchone()
    look(connection, MAIL)
    assert before == connection.execute("SELECT count(*) FROM people WHERE id = 8").fetchone()
    assert "IDLE" == connection.info.transaction_status.name


def test_a_role_that_is_no_superuser_sees_what_it_may(connection: Connection, pg_dsn: str) -> None:
    role = sql.Identifier(f"verify_{connection.info.backend_pid}")
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    connection.execute(sql.SQL("GRANT SELECT, UPDATE ON people TO {}").format(role))
    try:
        name = f"verify_{connection.info.backend_pid}"
        with connect(make_conninfo(pg_dsn, user=name)) as other:
            found = look(other, MAIL)
            hidden = "Not examined: statements of other roles, which are hidden from this one."
            assert Use("people_mail", unseen=hidden) == found
            assert f"people_mail: {hidden}" == str(found)
            connection.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(role))
            found = look(other, MAIL)
            assert (3, 2, "") == (found.statements, found.used, found.unseen)
    finally:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_what_cannot_be_examined_is_said(connection: Connection) -> None:
    gone = IndexDefinition("gone", "public", "people", "btree", MAIL.keys)
    assert "Not examined: the index is not there." == look(connection, gone).unseen
    found = look(connection, MAIL, seconds=0.0)
    assert 0 == found.statements
    assert found.unseen.endswith("Time for more of them was over after 0 s.")
    connection.execute("DROP EXTENSION pg_stat_statements")
    words = "Not examined: pg_stat_statements is not installed in this database."
    assert words == look(connection, MAIL).unseen


def test_the_indexes_of_partitions_count_for_the_whole(connection: Connection) -> None:
    connection.execute("CREATE TABLE logs (at int, who text) PARTITION BY RANGE (at)")
    connection.execute("CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (9)")
    connection.execute("INSERT INTO logs SELECT 1, 'w' || n FROM generate_series(1, 5000) n")
    connection.execute("CREATE INDEX logs_who ON logs (who)")
    connection.execute("ANALYZE logs")
    connection.execute("SELECT at FROM logs WHERE who = 'w1'")
    found = look(connection, parse_index("CREATE INDEX logs_who ON public.logs (who)"))
    assert (1, 1) == (found.used, min(found.statements, 1))
