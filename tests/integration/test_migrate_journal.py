"""The journal of index migrations in a real store: whole, killed, away, old."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import dbopt
from dbopt.migrate import journal as journals
from dbopt.migrate.journal import StoreJournal, open_run
from dbopt.migrate.plan import Action
from dbopt.migrate.work import Change
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Server, Settings, Store
from dbopt.sql.indexdef import parse_index
from dbopt.store import indexruns
from dbopt.store.link import StoreLink
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.store_support import create_store

SQL = "CREATE INDEX CONCURRENTLY people_mail ON public.people USING btree (mail)"
MAIL = parse_index(SQL)
CREATE = Change(
    Action.CREATE, MAIL, SQL, "DROP INDEX CONCURRENTLY IF EXISTS public.people_mail"
)  # fmt: skip


@pytest.fixture(scope="module")
def dsn(pg_backend: Backend) -> Iterator[str]:
    """A database with a store and a table."""
    with fresh_database(pg_backend) as found:
        create_store(found)
        with connect(found) as connection:
            connection.execute("CREATE TABLE people (id int, mail text)")
        yield found


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as made:
        yield made
        made.execute("TRUNCATE dbopt.index_run, dbopt.index_step, dbopt.managed_index")
        made.execute("DROP INDEX IF EXISTS people_mail")


@pytest.fixture
def settings(dsn: str) -> Settings:
    return Settings(server=Server(dsn=dsn, name="shop-1"))


@pytest.fixture
def told() -> list[str]:
    return []


class Begin(Protocol):
    def __call__(self, settings: Settings, command: str = "", of_run: str = "") -> StoreJournal: ...


@pytest.fixture
def begin(connection: Connection, told: list[str]) -> Iterator[Begin]:
    """Begins runs, and leaves no connection of theirs open."""
    made: list[StoreJournal] = []

    def one(settings: Settings, command: str = "", of_run: str = "") -> StoreJournal:
        made.append(
            open_run(settings, connection, command=command, of_run=of_run, tell=told.append)
        )
        made[-1].begin()
        return made[-1]

    yield one
    for journal in made:
        journal._link.close()


@pytest.fixture
def journal(settings: Settings, begin: Begin) -> StoreJournal:
    return begin(settings, "dbopt index apply")


def rows(connection: Connection, text: str) -> list[dict[str, Any]]:
    return list(connection.execute(text))


def do(connection: Connection, journal: StoreJournal, change: Change) -> None:
    number = journal.began(change)
    connection.execute(change.sql)
    journal.ended(number, "done")


def test_a_run_is_written_as_it_goes(
    connection: Connection, journal: StoreJournal, told: list[str]
) -> None:
    run = indexruns.run_of(connection, journal.run.id)
    assert run is not None
    assert re.fullmatch(r"\d{8}-\d{4}-[2-9a-z]{2}", run.id)
    assert ("shop-1", connection.info.dbname) == (run.target.server, run.target.database)
    assert ("running", None, 0) == (run.outcome, run.ended, run.steps)
    assert (connection.info.user, dbopt.__version__, "dbopt") == (
        run.role, run.version, run.application,
    )  # fmt: skip
    assert run.pid > 0
    assert run.host
    assert run.os_user

    number = journal.began(CREATE)
    [step] = indexruns.steps(connection, run.id)
    assert (1, "create", "public", "people", "people_mail", "began", None) == (
        step.number, step.action, step.schema, step.table, step.index, step.outcome, step.ended,
    )  # fmt: skip
    connection.execute(SQL)
    journal.ended(number, "done")
    failed = journal.began(CREATE)
    journal.ended(failed, "failed", "It was there.")
    assert journal.close("partly", "One of two.")

    first, second = indexruns.steps(connection, run.id)
    assert (SQL, CREATE.reverse, "done", 8192) == (
        first.sql, first.reverse, first.outcome, first.size_bytes,
    )  # fmt: skip
    assert first.duration_ms is not None
    assert first.ended is not None
    assert first.ended >= first.began
    assert ("failed", "It was there.", None) == (second.outcome, second.message, second.size_bytes)
    [run] = indexruns.runs(connection, run.target)
    assert ("partly", "One of two.", 2) == (run.outcome, run.message, run.steps)
    assert run.ended is not None
    assert [] == told


def test_what_is_managed_follows_the_steps(
    settings: Settings, connection: Connection, begin: Begin, journal: StoreJournal
) -> None:
    assert set() == journal.managed()
    do(connection, journal, CREATE)
    assert {("public", "people_mail")} == journal.managed()
    # To be found again changes nothing; as another index it does.
    sql_now = "SELECT run, sql, since FROM dbopt.managed_index"
    made = rows(connection, sql_now)
    second = begin(settings)
    second.note_present([parse_index("create index people_mail on public.people (mail)")])
    assert made == rows(connection, sql_now)
    second.note_present([replace(MAIL, unique=True)])
    [now] = rows(connection, sql_now)
    assert ("", True) == (now["run"], "UNIQUE" in now["sql"])

    rename = "ALTER INDEX public.people_mail RENAME TO people_by_mail"
    do(connection, journal, Change(Action.RENAME, MAIL, rename))
    assert {("public", "people_by_mail")} == journal.managed()
    [found] = indexruns.managed(connection, journal.run.target)
    assert parse_index(found.sql) == replace(MAIL, name="people_by_mail")

    drop = "DROP INDEX CONCURRENTLY IF EXISTS public.people_by_mail"
    do(connection, journal, Change(Action.DROP, replace(MAIL, name="people_by_mail"), drop, SQL))
    assert set() == journal.managed()


def test_an_index_under_the_old_name_of_another_is_not_managed(
    connection: Connection, journal: StoreJournal
) -> None:
    do(connection, journal, CREATE)
    assert {("public", "people_mail")} == journal.managed(catalog.read(connection).indexes)
    connection.execute("DROP INDEX people_mail")
    assert set() == journal.managed(catalog.read(connection).indexes)
    connection.execute("CREATE INDEX people_mail ON people (id)")
    assert set() == journal.managed(catalog.read(connection).indexes)


def test_a_failed_step_is_not_managed(connection: Connection, journal: StoreJournal) -> None:
    journal.ended(journal.began(CREATE), "failed")
    assert set() == journal.managed()


def test_what_a_killed_run_left_is_marked(
    settings: Settings, connection: Connection, begin: Begin, journal: StoreJournal, told: list[str]
) -> None:
    do(connection, journal, CREATE)
    journal.began(replace(CREATE, action=Action.REBUILD))
    other = replace(settings, server=replace(settings.server, name="shop-2"))
    begin(other)
    assert [] == told

    second = begin(settings, "again")

    assert [f"The run {journal.run.id} was killed before it ended; what it left is looked at."] == (
        told
    )
    found = {run.id: run.outcome for run in indexruns.runs(connection, journal.run.target)}
    assert {journal.run.id: "interrupted", second.run.id: "running"} == found
    steps = indexruns.steps(connection, journal.run.id)
    assert ["done", "interrupted"] == [step.outcome for step in steps]
    assert steps[1].ended is None


def test_a_run_that_has_nothing_to_do_leaves_nothing(
    settings: Settings, connection: Connection, journal: StoreJournal
) -> None:
    do(connection, journal, CREATE)
    for _ in range(3):  # replicas
        idle = open_run(settings, connection, command="dbopt index apply")
        assert {("public", "people_mail")} == idle.managed()
        idle.note_present([MAIL])
        assert idle.close("done")
    new = open_run(settings, connection, command="dbopt index apply")
    new.note_present([replace(MAIL, name="found")])
    assert new.close("done")
    assert {"people_mail": journal.run.id, "found": ""} == {
        one.name: one.run for one in indexruns.managed(connection, new.run.target)
    }
    assert [journal.run.id] == [run.id for run in indexruns.runs(connection)]
    # It has marked who was killed.
    assert "interrupted" == indexruns.runs(connection)[0].outcome


def test_a_run_that_fails_before_it_begins_is_written(
    settings: Settings, connection: Connection
) -> None:
    failing = open_run(settings, connection, command="dbopt index apply")
    assert failing.close("failed", "The table is gone.")
    assert [("failed", "The table is gone.")] == [
        (run.outcome, run.message) for run in indexruns.runs(connection)
    ]


def test_servers_of_one_name_are_told_apart(
    settings: Settings, connection: Connection, begin: Begin, journal: StoreJournal, told: list[str]
) -> None:
    do(connection, journal, CREATE)
    assert journal.run.target.system_identifier.isdigit()
    for table in ("index_run", "managed_index"):
        connection.execute(f"UPDATE dbopt.{table} SET system_identifier = '1'")

    here = begin(settings)

    assert set() == here.managed()
    do(connection, here, replace(CREATE, sql=SQL.replace("people_mail", "people_mail2")))
    assert [] == told
    runs = {run.id: run for run in indexruns.runs(connection)}
    assert {journal.run.id: "running", here.run.id: "running"} == {
        id_: run.outcome for id_, run in runs.items()
    }
    assert "1" == runs[journal.run.id].target.system_identifier
    connection.execute("DROP INDEX people_mail2")


def test_a_role_that_may_not_ask_which_server_it_is_has_its_runs(
    settings: Settings, connection: Connection, begin: Begin, told: list[str]
) -> None:
    connection.execute("DROP ROLE IF EXISTS dbopt_blind; CREATE ROLE dbopt_blind")
    connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        connection.execute("SET ROLE dbopt_blind")
        journal = begin(settings)
    finally:
        connection.execute("RESET ROLE")
        connection.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
        connection.execute("DROP ROLE dbopt_blind")
    assert ("", True, []) == (
        journal.run.target.system_identifier, journal.close("done"), told,
    )  # fmt: skip


def test_an_id_that_is_taken_is_changed(
    settings: Settings, connection: Connection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["20261123-0412-k3", "20261123-0412-k3", "20261123-0412-k4"])
    monkeypatch.setattr(journals, "new_id", lambda now: next(ids))
    first = begin(settings)
    second = begin(settings)
    assert ("20261123-0412-k3", "20261123-0412-k4") == (first.run.id, second.run.id)


def test_a_store_that_swallows_runs_does_not_hold_up_one(
    settings: Settings, begin: Begin, connection: Connection, told: list[str]
) -> None:
    """A trigger may: then no id is ever taken."""
    body = "BEGIN RETURN NULL; END"
    connection.execute(f"CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
    connection.execute(
        "CREATE TRIGGER swallow BEFORE INSERT ON dbopt.index_run"
        " FOR EACH ROW EXECUTE FUNCTION swallow()"
    )
    try:
        journal = begin(settings)
        assert not journal.close("done")
    finally:
        connection.execute("DROP FUNCTION swallow CASCADE")
    assert "The store takes no new run" in told[0]
    assert "is not recorded" in told[1]


def test_old_runs_go_when_a_new_one_begins(
    settings: Settings, connection: Connection, begin: Begin, journal: StoreJournal
) -> None:
    do(connection, journal, CREATE)
    journal.close("done")
    connection.execute("UPDATE dbopt.index_run SET began = now() - interval '401 days'")

    later = begin(settings)

    assert [later.run.id] == [run.id for run in indexruns.runs(connection)]
    assert [] == rows(connection, "SELECT FROM dbopt.index_step")
    assert {("public", "people_mail")} == later.managed()


def test_a_store_that_is_away_stops_nothing(
    settings: Settings, connection: Connection, begin: Begin, told: list[str]
) -> None:
    nowhere = "host=127.0.0.1 port=1 user=x dbname=x password=hidden"
    away = replace(settings, store=Store(dsn=nowhere))

    journal = begin(away)
    do(connection, journal, CREATE)
    assert set() == journal.managed()
    assert not journal.close("done")

    assert 2 == len(told)
    assert told[0].startswith("What this run does is not recorded for now. The store: PostgreSQL")
    assert told[1] == (
        f"The run {journal.run.id} is not recorded whole: the store lacks its end and 1 of its 1 "
        "steps."
    )
    assert "hidden" not in "".join(told)


def test_an_old_store_says_what_to_do(
    settings: Settings, connection: Connection, begin: Begin, told: list[str], pg_dsn: str
) -> None:
    old = replace(settings, store=Store(dsn=pg_dsn))

    begin(old)

    assert told == [
        "What this run does is not recorded for now. The store: The store has no tables for runs of"
        " index changes: it is new, or older than dbopt. Run `dbopt migrate upgrade --schema-only`."
    ]


def test_what_could_not_be_written_is_written_later(
    settings: Settings,
    connection: Connection,
    begin: Begin,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store's database takes nobody in the middle of a run."""
    with fresh_database_of(connection) as store_dsn:
        create_store(store_dsn)
        apart = replace(settings, store=Store(dsn=store_dsn))
        journal = begin(apart)
        do(connection, journal, CREATE)
        _close_to_all(connection, store_dsn)
        number = journal.began(replace(CREATE, action=Action.REBUILD))
        assert 1 == len(told)
        _open_to_all(connection, store_dsn)
        # It rests now, so that a store that hangs holds up the run once alone.
        with connect(store_dsn) as store:
            journal.ended(number, "cancelled")
            assert 1 == len(indexruns.steps(store, journal.run.id))
            monkeypatch.setattr(StoreLink, "resting", False)
            last = journal.began(CREATE)
            assert ["done", "cancelled", "began"] == [
                step.outcome for step in indexruns.steps(store, journal.run.id)
            ]
            journal.ended(last, "done")
            assert journal.close("done")
            assert ["done"] == [run.outcome for run in indexruns.runs(store)]
    assert 1 == len(told)


def test_a_session_that_was_ended_is_opened_again_at_once(
    connection: Connection, journal: StoreJournal, told: list[str]
) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    journal.ended(journal.began(CREATE), "done")
    assert ["done"] == [s.outcome for s in indexruns.steps(connection, journal.run.id)]
    assert [] == told


def test_a_row_that_is_refused_does_not_hold_up_the_others(
    connection: Connection, journal: StoreJournal, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoreLink, "resting", False)
    connection.execute("ALTER TABLE dbopt.index_step ADD CONSTRAINT odd CHECK (number <> 1)")
    try:
        journal.ended(journal.began(CREATE), "done")
        journal.ended(journal.began(CREATE), "done")
    finally:
        connection.execute("ALTER TABLE dbopt.index_step DROP CONSTRAINT odd")
    assert [2] == [step.number for step in indexruns.steps(connection, journal.run.id)]
    assert 1 == len(told)
    assert "23514 (check violation)" in told[0]
    assert journal.close("done")
    assert [1, 2] == [step.number for step in indexruns.steps(connection, journal.run.id)]


def test_a_run_is_whole_where_old_ones_may_not_be_forgotten(
    settings: Settings, begin: Begin, connection: Connection, told: list[str]
) -> None:
    """A role without DELETE."""
    body = "BEGIN RAISE insufficient_privilege; END"
    connection.execute(f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
    connection.execute(
        "CREATE TRIGGER keep BEFORE DELETE ON dbopt.index_run EXECUTE FUNCTION keep()"
    )
    try:
        assert begin(settings).close("done")
    finally:
        connection.execute("DROP FUNCTION keep CASCADE")
    assert rows(connection, "SELECT outcome FROM dbopt.index_run") == [{"outcome": "done"}]
    assert [line for line in told if "not recorded whole" in line] == []


def test_a_locked_store_holds_up_nothing_for_long(
    dsn: str, connection: Connection, journal: StoreJournal, told: list[str]
) -> None:
    with connect(dsn) as locker, locker.transaction():
        locker.execute("LOCK dbopt.index_step")
        number = journal.began(CREATE)
        journal.ended(number, "done")
    assert 1 == len(told)
    assert "55P03" in told[0]
    assert journal.close("done")


def test_text_that_the_store_cannot_hold(connection: Connection, journal: StoreJournal) -> None:
    journal.ended(journal.began(CREATE), "failed", "bad \0 \ud800 byte")
    [step] = indexruns.steps(connection, journal.run.id)
    assert "bad  ? byte" == step.message


def test_a_rolled_back_run_is_marked(
    settings: Settings, connection: Connection, begin: Begin, journal: StoreJournal
) -> None:
    journal.close("done")
    undo = begin(settings, of_run=journal.run.id)
    undo.mark(journal.run.id, "rolled back")
    undo.close("done")
    found = {run.id: (run.outcome, run.of_run) for run in indexruns.runs(connection)}
    assert {journal.run.id: ("rolled back", ""), undo.run.id: ("done", journal.run.id)} == found


@contextmanager
def fresh_database_of(connection: Connection) -> Iterator[str]:
    """An empty database on the same server."""
    name = f"store_{uuid.uuid4().hex[:8]}"
    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_conninfo(connection.info.dsn, dbname=name)
    finally:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _close_to_all(connection: Connection, dsn: str) -> None:
    """As a server that stops: sessions end, and none is let in."""
    name = conninfo_to_dict(dsn)["dbname"]
    _allow(connection, str(name), False)
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
    )


def _open_to_all(connection: Connection, dsn: str) -> None:
    _allow(connection, str(conninfo_to_dict(dsn)["dbname"]), True)


def _allow(connection: Connection, name: str, allowed: bool) -> None:
    text = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    connection.execute(text.format(sql.Identifier(name), sql.Literal(allowed)))
