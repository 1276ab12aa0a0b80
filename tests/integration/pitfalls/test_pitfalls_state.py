"""Pitfalls of session state: what follows a client, what must not reach the next one."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.wire import encode
from tests.integration.gateway_support import (
    SYNC,
    Message,
    Raw,
    connected,
    query,
    raw_client,
    run,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.place import Place, ask

ODD = 'it\'s \\ "odd"; SELECT 1/0; -- $$ %s \u00e9'


def set_names(found: list[Message]) -> set[str]:
    """The names of ParameterStatus messages."""
    return {payload.partition(b"\0")[0].decode() for kind, payload in found if kind == b"S"}


def test_pitfall_parameters_are_compared_at_each_checkout(single: Place) -> None:
    """Each finds its own, however often the backend went to another."""
    zones = ["Asia/Tokyo", "Europe/Berlin", "America/Lima"]
    with single.clients(3) as clients:
        for raw, zone in zip(clients, zones, strict=True):
            raw.ask(query(f"SET TimeZone = '{zone}'"))
        for _ in range(3):
            assert zones == [ask(raw, "SHOW TimeZone") for raw in clients]


def test_pitfall_values_are_quoted(single: Place) -> None:
    """They come from clients: an odd one must not become SQL, nor another value."""
    literal = "'" + ODD.replace("'", "''") + "'"
    with single.client(application_name="plain") as other:
        expected = direct_name(single, ODD)
        with single.client(application_name=ODD) as raw:
            for _ in range(2):
                assert "plain" == ask(other, "SHOW application_name")
                assert expected == ask(raw, "SHOW application_name")
            raw.ask(query("SET standard_conforming_strings = off"))
            raw.ask(query("SET search_path = 'a\\\\b'"))
            raw.ask(query("SET standard_conforming_strings = on"))
            raw.ask(query(f"SET application_name = {literal}"))
            assert "plain" == ask(other, "SHOW application_name")
            assert expected == ask(raw, "SHOW application_name")
            assert '"a\\b"' == ask(raw, "SHOW search_path")


def direct_name(place: Place, name: str) -> str | None:
    """What the server itself makes of an application_name."""
    with raw_client(place.dsn, application_name=name) as raw:
        return ask(raw, "SHOW application_name")


def test_pitfall_names_keep_their_exact_case(single: Place) -> None:
    """A client looks for DateStyle, not for datestyle, whatever case it asked in."""
    greetings = []
    for dsn in (single.dsn, single.gateway.dsn()):
        parts = {key: str(part) for key, part in conninfo_to_dict(dsn).items()}
        with connected(parts["host"], int(parts["port"])) as raw:
            wishes = {"timezone": "Asia/Tokyo", "DATESTYLE": "German", "extra_float_digits": "2"}
            greeting = raw.login(user=parts["user"], database=parts["dbname"], **wishes)
            greetings.append({payload for kind, payload in greeting if kind == b"S"})
            found = raw.ask(query("SET tIMEzONE = 'UTC'; SET datestyle = 'ISO'"))
            assert {"TimeZone", "DateStyle"} == set_names(found)
    assert greetings[0] == greetings[1]


def test_pitfall_empty_application_name_is_a_value(single: Place) -> None:
    """A client that gives none has none: not the gateway's own, nor another client's."""
    with (
        single.client(application_name="named") as named,
        single.client() as without,
        single.client(application_name="") as empty,
    ):
        for _ in range(2):
            assert "named" == ask(named, "SHOW application_name")
            assert "" == ask(without, "SHOW application_name")
            assert "" == ask(empty, "SHOW application_name")
        named.ask(query("SET application_name = ''"))
        assert "" == ask(without, "SHOW application_name")
        assert "" == ask(named, "SHOW application_name")


def test_pitfall_no_redundant_set(single: Place) -> None:
    """pgbouncer#879: clients with equal settings cost nothing; others one query at a checkout."""
    with single.clients(2, application_name="same", TimeZone="Asia/Tokyo") as clients:
        for raw in clients:
            ask(raw, "SELECT 'first'")
        link = single.tap.link_of("SELECT 'first'")
        before = len(link.messages)
        for _ in range(5):
            for raw in clients:
                ask(raw, "SELECT 'again'")
        assert [(b"Q", b"SELECT 'again'\0")] * 10 == link.messages[before:]
        clients[0].ask(query("SET TimeZone = 'UTC'"))
        before = len(link.messages)
        for _ in range(3):
            for raw in reversed(clients):
                ask(raw, "SELECT 'again'")
        assert 12 == len(link.messages) - before


def test_pitfall_set_local_and_rollback_leave_nothing(single: Place) -> None:
    """What the transaction undoes must not be remembered, of the client or of the backend."""
    with single.clients(2, application_name="kept") as (raw, other):
        zone = ask(raw, "SHOW TimeZone")
        for end in ("COMMIT", "ROLLBACK"):
            raw.ask(query("BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'"))
            assert "Asia/Tokyo" == ask(raw, "SHOW TimeZone")
            raw.ask(query(end))
            assert [zone] * 2 == [ask(client, "SHOW TimeZone") for client in (other, raw)]
        raw.ask(query("BEGIN; SET TimeZone = 'Asia/Tokyo'; SET application_name = 'gone'"))
        raw.ask(query("SELECT 1/0"))
        raw.ask(query("ROLLBACK"))
        for client in (other, raw, other):
            found = ask(client, "SHOW TimeZone"), ask(client, "SHOW application_name")
            assert (zone, "kept") == found


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(
    "text", ["SET TimeZone = 'No/Where'", "SET client_encoding = 'none'", "SET nothing_such = 1"]
)
def test_pitfall_invalid_set_fails_at_once_and_for_its_client_alone(
    single: Place, text: str, extended: bool
) -> None:
    """pgdog#887: one that were kept and sent later would fail another statement, or client."""
    with single.clients(2) as (raw, other):
        zone = ask(other, "SHOW TimeZone")
        found = raw.ask(run(text) + SYNC if extended else query(text))
        assert sqlstates(found)[0] in ("22023", "42704")
        raw.ask(query("BEGIN") + query(text) + query("COMMIT"), 3)
        for client in (other, raw):
            assert zone == ask(client, "SHOW TimeZone")


# What cannot be shared


def keeps_to_its_client(
    place: Place, make: str, seen: str, expected: str, clean: str, probe: str, nothing: str
) -> None:
    """State of one client stays with it, is seen by no other, and ends with it.

    While it is there others may wait, or be served by a clean session: both are right.
    """
    with place.clients(2) as (raw, other):
        assert [] == sqlstates(raw.ask(query(make)))
        other.send(query(probe))
        assert expected == ask(raw, seen)
        assert expected == ask(raw, seen)
        assert [] == sqlstates(raw.ask(query(clean)))
        assert nothing == value_of(other)
        assert [] == sqlstates(raw.ask(query(make)))
        assert expected == ask(raw, seen)
    with place.clients(2) as clients:
        assert [nothing] * 2 == [ask(raw, probe) for raw in clients]


def value_of(raw: Raw) -> str:
    """The one value that comes next."""
    (row,) = [payload for kind, payload in raw.until(b"Z") if kind == b"D"]
    return row[6:].decode()


@pytest.mark.parametrize(
    ("make", "clean"),
    [
        ("SELECT set_config('app.tenant', 'mine', false)", "RESET app.tenant"),
        ("SET app.tenant = 'mine'", "SET app.tenant = ''"),
        ("DO $$BEGIN PERFORM set_config('app.tenant', 'mine', false); END$$", "RESET ALL"),
        ("SET SESSION app.tenant TO mine; SELECT 1", "DISCARD ALL"),
    ],
)
def test_pitfall_set_config_stays_with_its_client(single: Place, make: str, clean: str) -> None:
    """pgbouncer#396, #452: SET leakage; by a function call too."""
    probe = "SELECT coalesce(current_setting('app.tenant', true), '')"
    keeps_to_its_client(single, make, probe, "mine", clean, probe, "")


@pytest.mark.parametrize(
    ("make", "clean"),
    [
        ("SET ROLE pg_monitor", "RESET ROLE"),
        ("SET SESSION ROLE pg_monitor", "SET ROLE NONE"),
        ("SET SESSION AUTHORIZATION pg_monitor", "RESET SESSION AUTHORIZATION"),
        ("SELECT set_config('role', 'pg_monitor', false)", "DISCARD ALL"),
    ],
)
def test_pitfall_set_role_stays_with_its_client(single: Place, make: str, clean: str) -> None:
    """The worst of leaks: the next client would act as somebody else."""
    me = single.sql("SELECT current_user")[0]
    show = "SELECT current_user"
    keeps_to_its_client(single, make, show, "pg_monitor", clean, show, me)


@pytest.mark.parametrize(
    ("make", "clean"),
    [
        ("CREATE TEMP TABLE t AS SELECT 7 AS x", "DROP TABLE t"),
        ("CREATE TABLE pg_temp.t AS SELECT 7 AS x", "DISCARD TEMP"),
        ("SELECT 7 AS x INTO TEMPORARY t", "DISCARD ALL"),
        ("CREATE TEMP VIEW t AS SELECT 7 AS x", "DROP VIEW t"),
        ("DO $$BEGIN EXECUTE 'CREATE TEMP TABLE t AS SELECT 7 AS x'; END$$", "DROP TABLE t"),
    ],
)
def test_pitfall_temp_tables_stay_with_their_client(single: Place, make: str, clean: str) -> None:
    """They are on one backend, and would hide a table of the next client there."""
    probe = "SELECT to_regclass('pg_temp.t') IS NOT NULL"
    keeps_to_its_client(single, make, "SELECT x FROM t", "7", clean, probe, "f")


@pytest.mark.parametrize(
    ("make", "clean"),
    [
        ("SELECT pg_advisory_lock(8)", "SELECT pg_advisory_unlock(8)"),
        ("SELECT pg_try_advisory_lock(8)", "SELECT pg_advisory_unlock_all()"),
        ("SELECT pg_advisory_lock_shared(8)", "SELECT pg_advisory_unlock_shared(8)"),
        ("BEGIN; SELECT pg_advisory_lock(8); COMMIT", "DISCARD ALL"),
    ],
)
def test_pitfall_session_advisory_locks_stay_with_their_client(
    single: Place, make: str, clean: str
) -> None:
    """Whoever unlocks must be on the backend that locked; and a lock must end with its client."""
    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8 "
        "AND pid = pg_backend_pid()"
    )
    keeps_to_its_client(single, make, held, "1", clean, held, "0")


@pytest.mark.parametrize("clean", ["CLOSE c", "CLOSE ALL", "DISCARD ALL"])
def test_pitfall_with_hold_cursors_stay_with_their_client(single: Place, clean: str) -> None:
    """They outlive their transaction."""
    make = "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 5 FROM generate_series(1, 9); COMMIT"
    probe = "SELECT count(*) FROM pg_cursors WHERE name = 'c'"
    keeps_to_its_client(single, make, "FETCH c", "5", clean, probe, "0")


@pytest.mark.parametrize("clean", ["UNLISTEN news", "UNLISTEN *", "DISCARD ALL"])
def test_pitfall_listen_stays_with_its_client(single: Place, clean: str) -> None:
    """pgbouncer#655, odyssey#365: it works in transaction mode, and only for who listens."""
    with single.clients(3) as (raw, other, third):
        assert "CZ" == shape(raw.ask(query("LISTEN news")))
        assert "1" == ask(other, "SELECT 1")  # a listener keeps nobody waiting
        single.sql("NOTIFY news, 'one'")
        (notified,) = raw.until(b"A")
        assert b"news\0one\0" == notified[1][4:]
        third.ask(query("NOTIFY news, 'two'"))
        (notified,) = raw.until(b"A")
        assert b"news\0two\0" == notified[1][4:]
        assert "CZ" == shape(raw.ask(query(clean)))
        single.sql("NOTIFY news, 'three'")
        for client in (raw, other, third):
            assert "TDCZ" == shape(client.ask(query("SELECT pg_sleep(0.05)")))


def test_pitfall_notice_notification_or_parameter_status_on_an_idle_backend_is_no_dirt(
    single: Place,
) -> None:
    """They come at any time; the backend is as good as before, and no client is told."""
    with single.clients(2) as (raw, other):
        pid = ask(raw, "SELECT pg_backend_pid()")
        link = single.tap.link_of("SELECT pg_backend_pid()")
        notification = b"A" + (4 + 4 + 5 + 4).to_bytes(4) + b"\0\0\0\7" + b"news\0" + b"one\0"
        link.inject(encode.notice("An old tale.", "00000"))
        link.inject(notification)
        link.inject(encode.parameter_status("in_hot_standby", "off"))
        single.gateway.seen.next_frame()
        found = other.ask(query("SELECT pg_backend_pid()"))
        assert ("TDCZ", pid) == (shape(found), found[1][1][6:].decode())
        assert not link.closed.is_set()
