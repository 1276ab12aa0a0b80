"""dbopt.sql.effects against the server: each text of its data runs, and the session is compared.

Each text runs in a session of its own that is dirty already, so that what cleans is seen too. What
changed must be what the entries say, and what they say must change, unless the note is "careful".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import pq

from dbopt.sql.effects import Effect, SessionStatement, effects
from tests.fix_pg import Server, fresh_database
from tests.unit.sql.test_effects import CASES, Case

OBJECTS: LiteralString = """
    drop schema public cascade;
    create schema public;
    create table t (id int, name text);
    insert into t values (1, 'a');
    create table x (a int);
    create table temp (a int);
    create sequence sq;
    create procedure nothing() language plpgsql as 'begin null; end';
    create procedure set_it(name text) language plpgsql as 'begin null; end';
    create procedure run(code text) language plpgsql as 'begin execute ''do ''||quote_literal(
        ''begin ''||code||''; end''); end';
"""
ROLES: LiteralString = """
    do $$ begin
        if not exists (select from pg_roles where rolname = 'dbopt_one') then
            create role dbopt_one superuser;
            create role dbopt_other superuser;
        end if;
    end $$
"""
DIRT: LiteralString = """
    load 'plpgsql';
    set session authorization dbopt_one;
    set role dbopt_other;
    set work_mem = '5MB';
    set my.one = '1';
    set application_name = 'dirty';
    set datestyle = sql, mdy;
    set time zone 'Asia/Tokyo';
    listen seen;
    prepare foo(int) as select $1 as b;
    prepare "Foo" as select 1 as b;
    create temp table tt (a int);
    create temp sequence ts;
    declare h cursor with hold for select 1;
    select pg_advisory_lock(1), pg_advisory_lock_shared(2);
"""
PROBES: dict[str, LiteralString] = {
    "settings": """
        select name, setting from pg_settings
        where name not in ('is_superuser', 'role', 'session_authorization')
            and name not like 'transaction\\_%'
        union all
        select name, current_setting(name, true)
        from unnest(array['my.one', 'my.two', 'role.x', 'time.zone', 'session.x', 'local.x'])
            as custom (name)
        where coalesce(current_setting(name, true), '') != ''
    """,
    "who": "select current_user, session_user",
    "listening": "select pg_listening_channels()",
    "prepared": "select name from pg_prepared_statements where from_sql and statement != ''",
    "temp": """
        select oid from pg_class where relnamespace = pg_my_temp_schema()
        union select oid from pg_proc where pronamespace = pg_my_temp_schema()
    """,
    "held": "select name from pg_cursors where is_holdable",
    "locks": """
        select objid, objsubid, mode, classid from pg_locks
        where locktype = 'advisory' and pid = pg_backend_pid()
    """,
}
SHOWS: dict[Effect, tuple[str, ...]] = {
    Effect.SET: ("settings",),
    Effect.RESET: ("settings",),
    Effect.SET_CONFIG: ("settings",),
    Effect.SET_ROLE: ("who",),
    Effect.LISTEN: ("listening",),
    Effect.UNLISTEN: ("listening",),
    Effect.PREPARE: ("prepared",),
    Effect.DEALLOCATE: ("prepared",),
    Effect.TEMP: ("temp",),
    Effect.DROP: ("temp",),
    Effect.HOLD: ("held",),
    Effect.CLOSE: ("held",),
    Effect.ADVISORY: ("locks",),
    Effect.ADVISORY_UNLOCK: ("locks",),
}
"""Which probe sees an effect; DISCARD and DO have their own rules."""

State = dict[str, frozenset[Any]]


@pytest.fixture(scope="module")
def database(pg_backend: Server) -> Iterator[str]:
    with fresh_database(pg_backend) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(OBJECTS)
        connection.execute(ROLES)
        yield dsn


def state(connection: psycopg.Connection) -> State:
    return {name: frozenset(connection.execute(sql).fetchall()) for name, sql in PROBES.items()}


def run(connection: psycopg.Connection, sql: str) -> str:
    """Run a text in one Query message; the error's SQLSTATE, or "". A COMMIT leaves no block."""
    result = connection.pgconn.exec_(sql.encode())
    failed = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    if connection.info.transaction_status is not pq.TransactionStatus.IDLE:
        connection.pgconn.exec_(b"rollback")
    return failed.decode()


def restore(database: str, sql: str) -> None:
    """Undo what a text did to the database."""
    if re.search("made|temp|drop|alter|index", sql):
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(OBJECTS)


def seen(found: tuple[SessionStatement, ...]) -> set[str]:
    """What the entries say that changes."""
    probes = {probe for one in found for probe in SHOWS.get(one.kind, ())}
    for one in found:
        if one.kind is Effect.DISCARD and one.every:
            probes |= PROBES.keys()
        elif one.kind is Effect.DISCARD and one.names == ("temp",):
            probes.add("temp")
    return probes


RUNNABLE = [case for case in CASES if case.note not in {"error", "own"}]
REFUSED = [case for case in CASES if case.note == "error"]


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.sql[:60])
def test_the_session_changes_as_the_entries_say(database: str, case: Case) -> None:
    found = effects(case.sql.encode())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(DIRT)
        before = state(connection)
        assert "" == run(connection, case.sql)
        after = state(connection)
    restore(database, case.sql)
    changed = {name for name in PROBES if before[name] != after[name]}
    if any(one.kind is Effect.DO for one in found):
        return
    assert changed <= seen(found)
    if case.note != "careful":
        assert changed == seen(found)
    assert_names(found, before["settings"] ^ after["settings"])


def assert_names(found: tuple[SessionStatement, ...], changed: frozenset[Any]) -> None:
    """Only the named settings changed, where the entries name them."""
    setting = [one for one in found if "settings" in SHOWS.get(one.kind, ())]
    if any(one.every or not one.names for one in [*setting, *found[:1]]):
        return
    named = {name for one in setting for name in one.names}
    assert {name.lower() for name, _ in changed} <= named


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.sql[:60])
def test_the_server_refuses(database: str, case: Case) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(DIRT)
        assert "" != run(connection, case.sql)
