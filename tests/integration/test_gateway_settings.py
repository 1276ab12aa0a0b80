"""Settings of a session are the client's own, whichever backend it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.fix_gateway import Gateway, GatewayFactory, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.integration.gateway_support import (
    SYNC,
    bind,
    connected,
    execute,
    fields,
    raw_client,
    rows,
    run,
    sqlstates,
)
from tests.support import wait_until

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def one_backend(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, pool__max_size=1) as gateway,
    ):
        yield gateway


def show(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def two(gateway: Gateway) -> Iterator[tuple[Connection, Connection]]:
    with (
        gateway.connect(application_name="one") as first,
        gateway.connect(application_name="two") as second,
    ):
        yield first, second


def test_settings_stay_with_their_client(one_backend: Gateway) -> None:
    with two(one_backend) as (first, second):
        default = show(first, "TimeZone")
        first.execute("SET TimeZone = 'Asia/Tokyo'")
        first.execute('SET search_path = pg_catalog, "it\'s", "a,b"')
        first.execute("SET DateStyle = 'German, DMY'")
        for _ in range(3):
            assert default == show(second, "TimeZone")
            assert ("two", '"$user", public') == (
                show(second, "application_name"), show(second, "search_path"),
            )  # fmt: skip
            assert "Asia/Tokyo" == show(first, "TimeZone")
            assert 'pg_catalog, "it\'s", "a,b"' == show(first, "search_path")
            assert ("one", "German, DMY") == (
                show(first, "application_name"), show(first, "DateStyle"),
            )  # fmt: skip


def test_a_setting_that_is_rolled_back(one_backend: Gateway) -> None:
    with two(one_backend) as (first, second):
        before = show(first, "TimeZone")
        with first.transaction(force_rollback=True):
            first.execute("SET TimeZone = 'Asia/Tokyo'")
            assert "Asia/Tokyo" == show(first, "TimeZone")
        with second.transaction():
            second.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
        assert [before, before] == [show(first, "TimeZone"), show(second, "TimeZone")]


def test_who_leaves_in_a_transaction_leaves_no_setting(one_backend: Gateway) -> None:
    with one_backend.connect() as probe:
        expected = show(probe, "search_path"), show(probe, "TimeZone")
    with one_backend.connect(options="-c search_path=secret") as connection:
        connection.execute("BEGIN")
        connection.execute("SET search_path = other; SET TimeZone = 'Asia/Tokyo'")
    with one_backend.connect(application_name="new") as connection:
        assert expected == (show(connection, "search_path"), show(connection, "TimeZone"))


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ("-c statement_timeout=12345", "statement_timeout", "12345ms"),
        ("-cstatement_timeout=7s", "statement_timeout", "7s"),
        ("--search_path=a-b-c", "search_path", "a-b-c"),
        ("--statement-timeout=8s", "statement_timeout", "8s"),
        (r"-c myapp.path=a\ b\\c", "myapp.path", r"a b\c"),
        ("-c select.from=it's", "select.from", "it's"),
        ("-c myapp.tenant=ünïcödé-☃", "myapp.tenant", "ünïcödé-☃"),
    ],
)
def test_startup_options(one_backend: Gateway, options: str, name: str, expected: str) -> None:
    with one_backend.connect() as plain, one_backend.connect(options=options) as special:
        for _ in range(2):
            assert expected == show(special, name)
            row = plain.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
            assert row is not None
            assert expected != row[0]


@pytest.mark.parametrize(
    ("parameters", "sqlstate"),
    [
        ({"options": "-c no_such_setting=1"}, "42704"),
        ({"options": "-c statement_timeout=soon"}, "22023"),
        ({"options": "-c shared_buffers=1"}, "55P02"),
        ({"options": "-B 100"}, "08P01"),
        ({"client_encoding": "KLINGON"}, "22023"),
        ({"a b": "1"}, "08P01"),
    ],
)
def test_settings_that_are_refused(
    one_backend: Gateway, parameters: dict[str, str], sqlstate: str
) -> None:
    parts = conninfo_to_dict(one_backend.dsn())
    names = {"user": str(parts["user"]), "database": str(parts["dbname"])}
    with connected(one_backend.host, one_backend.port) as raw:
        assert [sqlstate] == sqlstates(raw.login(**names, **parameters))
    with one_backend.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_bytes_that_are_no_text(one_backend: Gateway) -> None:
    """A name in no encoding must not cost a backend, nor the reports."""
    parts = conninfo_to_dict(one_backend.dsn())
    names = {"user": str(parts["user"]), "database": str(parts["dbname"])}
    for _ in range(3):
        with connected(one_backend.host, one_backend.port) as raw:
            greeting = raw.login(**names, application_name="\udcff\udcfe")
            assert greeting[-1][0] in b"ZE"
    with one_backend.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    one_backend.seen.next_frame()


@pytest.mark.parametrize("encoding", ["LATIN1", "SJIS", "GBK", "BIG5"])
def test_encodings_do_not_spill(one_backend: Gateway, encoding: str) -> None:
    with (
        one_backend.connect(client_encoding=encoding) as foreign,
        one_backend.connect(options="-c myapp.name=你\\\\表\\\\'x") as other,
    ):
        for _ in range(3):
            assert encoding == show(foreign, "client_encoding")
            assert "你\\表\\'x" == show(other, "myapp.name")
            assert "UTF8" == show(other, "client_encoding")


def test_the_welcome_tells_the_settings(one_backend: Gateway) -> None:
    for _ in range(2):  # the first asks the server, the second is told from memory
        with one_backend.connect(application_name="me", options="-c TimeZone=Asia/Tokyo") as made:
            info = made.info.parameter_status
            assert ("me", "Asia/Tokyo", "UTF8") == (
                info("application_name"), info("TimeZone"), info("client_encoding"),
            )  # fmt: skip
            assert "on" == info("integer_datetimes")
            assert made.info.server_version >= 130000


def test_an_unnamed_statement_is_its_clients(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as one, raw_client(one_backend.dsn()) as two:
        assert [(b"secret",)] == rows(one.ask(run("SELECT 'secret'") + SYNC))
        found = two.ask(bind() + execute() + SYNC)
        assert "26000" == fields(found[0])["C"]
        assert [] == rows(found)


@pytest.mark.parametrize("reset", ["DISCARD ALL", "RESET ALL", "RESET TimeZone; RESET ALL"])
def test_a_reset_leads_to_the_clients_own_settings(one_backend: Gateway, reset: str) -> None:
    """As asyncpg and Npgsql do it when a connection goes back to their pool."""
    options = "-c TimeZone=Asia/Tokyo -c statement_timeout=12345"
    with (
        one_backend.connect(application_name="me", options=options, prepare_threshold=None) as mine,
        one_backend.connect(application_name="other") as other,
    ):
        for turn in range(2):
            mine.execute("SET TimeZone = 'CET'")
            assert ("CET", "12345ms") == (show(mine, "TimeZone"), show(mine, "statement_timeout"))
            mine.execute(reset)
            assert ("Asia/Tokyo", "12345ms", "me") == (
                show(mine, "TimeZone"), show(mine, "statement_timeout"),
                show(mine, "application_name"),
            )  # fmt: skip
            assert ("0", "other") == (
                show(other, "statement_timeout"), show(other, "application_name"),
            ), turn  # fmt: skip
            with mine.transaction():
                mine.execute("RESET TimeZone")
                mine.execute("SET TimeZone = 'CET'")
            assert "CET" == show(mine, "TimeZone")


def test_new_defaults_of_the_server_reach_new_clients(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    gateway = make_gateway(pool__max_size=1, pool__max_lifetime=1.0)
    with gateway.connect() as before:
        old = show(before, "TimeZone")
        name = psycopg.sql.Identifier(pg_conn.info.dbname)
        alter = psycopg.sql.SQL("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'")
        pg_conn.execute(alter.format(name))

        def new() -> bool:
            with gateway.connect() as connection:
                told = connection.info.parameter_status("TimeZone")
                assert told == show(connection, "TimeZone")
            return told == "Asia/Tokyo"

        wait_until(new, 10, "a backend with the new default")
        assert old == show(before, "TimeZone")
