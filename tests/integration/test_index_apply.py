from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import (
    MigrationBusy,
    MigrationError,
    MigrationRefused,
    ServerLost,
    UsageError,
)
from dbopt.migrate import operations, run, runner
from dbopt.migrate.looks import sessions
from dbopt.migrate.outcome import Applied, Outcome
from dbopt.migrate.run import ADDING, Options
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.storeschema import make_store
from dbopt.migrate.work import Built, Change, Unrecorded, Work
from dbopt.pg import canonical, catalog
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Migrate, Server, Settings
from tests.integration.migrate_support import in_background, locked
from tests.support import wait_until

DECLARED = """
CREATE INDEX people_mail ON people (mail);
CREATE UNIQUE INDEX people_lower ON people (lower(mail)) WHERE id > 0;
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn, application_name="test") as made:
        made.execute("CREATE TABLE people (id int, mail text); CREATE TABLE pets (id int)")
        made.execute("INSERT INTO people SELECT n, 'm' || n FROM generate_series(1, 200) n")
        yield made


@pytest.fixture
def settings(connection: Connection, pg_dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "people.sql").write_text(DECLARED)
    return Settings(
        server=Server(dsn=pg_dsn),
        index=Index(directory=str(tmp_path)),
        migrate=Migrate(lock_timeout=0.5, build_timeout=30, lock_wait=30),
    )


def _declare(settings: Settings, text: str) -> None:
    Path(settings.index.directory, "people.sql").write_text(text)


def _states(connection: Connection) -> dict[str, bool]:
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid IN ('people'::regclass, 'pets'::regclass) ORDER BY 1"
    ).fetchall()
    return {row["relname"]: row["indisvalid"] for row in rows}


def _apply(settings: Settings, told: list[str] | None = None, /, **options: object) -> Applied:
    made = replace(Options(record=False), **options)  # type: ignore[arg-type]
    return run.apply(settings, made, tell=(lambda line: None) if told is None else told.append)


def _actions(applied: Applied) -> dict[str, Action]:
    return {built.name: built.action for built in applied.built}


def test_all_that_is_declared_is_built_and_then_nothing_is_left_to_do(
    settings: Settings, connection: Connection
) -> None:
    applied = _apply(settings)

    assert _actions(applied) == {"people_mail": Action.CREATE, "people_lower": Action.CREATE}
    assert (applied.outcome, applied.left, applied.exit_code) == (Outcome.DONE, (), 0)
    assert _states(connection) == {"people_lower": True, "people_mail": True}

    again = _apply(settings)
    assert set(_actions(again).values()) == {Action.PRESENT}
    assert (again.outcome, again.changed) == (Outcome.DONE, ())


def test_each_step_is_told_with_its_number(settings: Settings) -> None:
    steps: list[tuple[int, int, str]] = []
    run.apply(
        settings,
        Options(record=False),
        stepping=lambda number, total, step: steps.append((number, total, step.definition.name)),
    )
    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    assert {step[2] for step in steps} == {"people_mail", "people_lower"}


def test_a_failed_step_stops_no_other(settings: Settings, connection: Connection) -> None:
    """Duplicates that the look before does not see: they come between it and the build."""
    _declare(settings, "CREATE UNIQUE INDEX a_unique ON people (mail);" + DECLARED)

    def spoil(number: int, total: int, step: object) -> None:
        if number == 1:
            connection.execute("INSERT INTO people SELECT -id, mail FROM people WHERE id = 7")

    applied = run.apply(settings, Options(record=False), stepping=spoil)

    assert [failed.name for failed in applied.failed] == ["a_unique"]
    assert "rows that are not" in applied.failed[0].message
    assert applied.failed[0].remedy
    assert [step.definition.name for step in applied.left] == ["a_unique"]
    assert (applied.outcome, applied.exit_code) == (Outcome.PARTLY, 4)
    assert _states(connection) == {"people_lower": True, "people_mail": True}
    with pytest.raises(MigrationError, match="rows that are not"):
        applied.raise_for_failure()


def test_a_finding_about_one_index_lets_the_others_go_on(
    settings: Settings, connection: Connection
) -> None:
    connection.execute("INSERT INTO people SELECT id, mail FROM people")

    applied = _apply(settings)

    assert [failed.name for failed in applied.failed] == ["people_lower"]
    assert (applied.outcome, applied.exit_code) == (Outcome.PARTLY, 4)
    assert _states(connection) == {"people_mail": True}


def test_an_old_transaction_forbids_the_builds_that_would_wait_for_it(
    settings: Settings, connection: Connection, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _declare(settings, DECLARED + "CREATE INDEX pets_id ON pets (id);")
    monkeypatch.setattr(sessions, "_BRIEF", 0.0)  # any transaction is long enough to be told of
    strict = replace(settings, migrate=replace(settings.migrate, max_transaction_age=0.001))
    with psycopg.connect(pg_dsn) as writer:
        pid = writer.info.backend_pid
        writer.execute("INSERT INTO people VALUES (0, 'new')")
        applied = _apply(strict)
        writer.rollback()

    assert {failed.name for failed in applied.failed} == {"people_mail", "people_lower"}
    assert f"pid {pid}" in applied.failed[0].message
    assert [built.name for built in applied.changed] == ["pets_id"]


def test_where_no_step_can_be_done_the_run_is_refused(
    settings: Settings, connection: Connection
) -> None:
    _declare(settings, DECLARED.split(";")[1] + ";")
    connection.execute("INSERT INTO people SELECT id, mail FROM people")

    with pytest.raises(MigrationRefused, match="people_lower") as caught:
        _apply(settings)
    assert caught.value.exit_code == 7
    assert _states(connection) == {}


def test_a_missing_table_is_refused_before_the_first_build(
    settings: Settings, connection: Connection
) -> None:
    _declare(settings, DECLARED + "CREATE INDEX z ON nowhere (a);")

    with pytest.raises(MigrationRefused, match=r"people\.sql:4.* table nowhere"):
        _apply(settings)
    assert _states(connection) == {}


def test_only_some(settings: Settings, connection: Connection) -> None:
    assert _actions(_apply(settings, only=("people_lower",))) == {"people_lower": Action.CREATE}
    assert _states(connection) == {"people_lower": True}
    with pytest.raises(UsageError, match="Did you mean people_mail"):
        _apply(settings, only=("people_mial",))
    assert _apply(settings, only=("people",)).outcome is Outcome.DONE
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_another_name_and_another_meaning(settings: Settings, connection: Connection) -> None:
    connection.execute("CREATE INDEX other ON people (mail)")
    connection.execute("CREATE INDEX people_lower ON people (id)")

    applied = _apply(settings)

    assert _actions(applied) == {"people_mail": Action.RENAME, "people_lower": Action.REPLACE}
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_a_deploys_migration_takes_no_index_away(
    settings: Settings, connection: Connection
) -> None:
    connection.execute("CREATE INDEX people_lower ON people (id)")

    applied = _apply(settings, actions=ADDING, prune=True)

    assert _actions(applied) == {"people_mail": Action.CREATE}
    assert "`dbopt index apply --only people_lower`" in applied.failed[0].remedy
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_what_was_not_shown_is_not_taken_away(settings: Settings, connection: Connection) -> None:
    _apply(settings)
    connection.execute("CREATE INDEX extra ON people (id)")

    applied = _apply(settings, prune=True, shown=frozenset())
    assert "was shown did not say" in applied.failed[0].message
    assert "extra" in _states(connection)

    applied = _apply(settings, prune=True, shown=frozenset({("public", "extra")}))
    assert _actions(applied)["extra"] is Action.DROP
    assert "extra" not in _states(connection)


def test_what_dbopt_made_and_nobody_declares_is_dropped(
    settings: Settings, connection: Connection
) -> None:
    runner.upgrade(settings, indexes=False)
    connection.execute("CREATE INDEX theirs ON people (id)")
    recorded = Options()
    assert run.apply(settings, recorded).run
    _declare(settings, DECLARED.partition(";")[0] + ";")

    applied = run.apply(settings, recorded)

    assert applied.outcome is Outcome.DONE
    assert [built.name for built in applied.changed] == ["people_lower"]
    assert _states(connection) == {"people_mail": True, "theirs": True}


def test_where_nothing_is_declared_nothing_is_dropped(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    """The wrong directory."""
    runner.upgrade(settings, indexes=False)
    run.apply(settings)
    elsewhere = replace(settings, index=Index(directory=str(tmp_path / "empty")))
    (tmp_path / "empty").mkdir()

    with pytest.raises(MigrationRefused, match="2 that dbopt manages would be dropped"):
        run.apply(elsewhere)
    assert len(_states(connection)) == 2
    assert run.apply(elsewhere, Options(prune=True, actions=ADDING)).changed == ()
    assert len(run.apply(elsewhere, Options(prune=True)).changed) == 2
    assert _states(connection) == {}


def _project(settings: Settings, name: str, directory: Path, text: str) -> Settings:
    directory.mkdir()
    (directory / "pets.sql").write_text(text)
    return replace(settings, index=Index(directory=str(directory), project=name))


def test_a_table_without_any_declaration_may_be_another_projects(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    """Two applications, neither with a name, each with the indexes of its own table."""
    runner.upgrade(settings, indexes=False)
    other = _project(settings, "", tmp_path / "other", "CREATE INDEX pets_id ON pets (id);")
    for one in (settings, other, settings):
        _apply(one, record=True)
    assert {"people_lower", "people_mail", "pets_id"} == set(_states(connection))


def test_a_project_drops_all_that_it_declares_no_more_and_nothing_of_another(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    runner.upgrade(settings, indexes=False)
    shop = replace(settings, index=replace(settings.index, project="shop"))
    pets = _project(shop, "pets", tmp_path / "pets", "CREATE INDEX pets_id ON pets (id);")
    extra = Path(shop.index.directory, "extra.sql")
    extra.write_text("CREATE INDEX pets_shop ON pets (id) WHERE id > 1;")
    for one in (shop, pets):
        _apply(one, record=True)
    extra.unlink()

    assert Action.DROP is _actions(_apply(shop, record=True))["pets_shop"]
    assert {"people_lower", "people_mail", "pets_id"} == set(_states(connection))
    assert _apply(pets, record=True).changed == ()


def test_a_role_that_may_not_make_the_store_works_unrecorded(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    connection.execute("DROP ROLE IF EXISTS dbopt_owner; CREATE ROLE dbopt_owner LOGIN")
    connection.execute("GRANT CREATE ON SCHEMA public TO dbopt_owner")
    connection.execute("ALTER TABLE people OWNER TO dbopt_owner")
    dsn = make_conninfo(pg_dsn, user="dbopt_owner")
    theirs = replace(settings, server=Server(dsn=dsn))
    told: list[str] = []
    try:
        options = Options(prepare=lambda: make_store(theirs, 1.0))
        applied = run.apply(theirs, options, tell=told.append)
    finally:
        connection.execute("DROP OWNED BY dbopt_owner CASCADE; DROP ROLE dbopt_owner")

    assert applied.outcome is Outcome.DONE, applied
    assert 2 == len(told)
    assert told[0].startswith("What this run does is not recorded for now. The store: ")
    assert "42501 (permission denied for database" in told[0]
    assert "is not recorded whole" in told[1]


def test_a_step_whose_session_is_always_ended_fails_alone(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody ends each build of that index; the server itself is there."""
    perform = operations.perform

    def ended(work: Work, step: Step) -> Built:
        if step.definition.name == "people_mail":
            pid = work.connection.info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        return perform(work, step)

    monkeypatch.setattr(operations, "perform", ended)
    few = replace(settings, migrate=replace(settings.migrate, attempts=2))

    applied = _apply(few)

    assert [failed.name for failed in applied.failed] == ["people_mail"]
    assert "lost" in applied.failed[0].message
    assert [built.name for built in applied.changed] == ["people_lower"]


def test_a_server_that_is_lost_while_the_declarations_are_read_is_waited_for(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not refuse them: they are tried again."""
    create, ended = canonical.create, count()

    def end(session: Connection, *args: object, **more: object) -> None:
        if next(ended) == 0:
            pid = session.info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        create(session, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(canonical, "create", end)
    told: list[str] = []

    assert _apply(settings, told).outcome is Outcome.DONE
    assert told[0] == "The plan: the server was lost. Waiting for it."


def test_a_run_that_an_error_has_ended_is_not_done(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.upgrade(settings, indexes=False)
    few = replace(settings, migrate=replace(settings.migrate, attempts=1))
    monkeypatch.setattr(canonical, "create", lambda session, *_, **__: session.close())
    made = run.Run(few, Options())

    with pytest.raises(ServerLost):
        made.go()

    assert made.applied.outcome is Outcome.FAILED
    kept = connection.execute("SELECT outcome, message FROM dbopt.index_run").fetchone()
    assert kept is not None
    assert kept["outcome"] == "failed"
    assert "the connection to PostgreSQL was lost" in kept["message"]


def test_a_server_that_is_lost_while_another_run_is_waited_for_is_waited_for_too(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    told: list[str] = []
    waiting = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'dbopt' AND datname = current_database()"
    )
    with (
        locked(pg_dsn) as other,
        in_background(lambda: _apply(settings, told)) as raised,
    ):
        wait_until(lambda: told, what="the run to wait")
        connection.execute(waiting)
        wait_until(lambda: "The server is back; going on." in told, what="it to be back")
        other.close()
    assert raised == []
    assert _states(connection) == {"people_lower": True, "people_mail": True}


@pytest.mark.parametrize("late", [False, True])
def test_a_declared_table_that_somebody_has_locked_is_looked_at_again(
    settings: Settings, pg_dsn: str, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Before the plan, or when a step is to be done: a deploy does not fail by another's lock."""
    monkeypatch.setattr(catalog, "LOCK_TIMEOUT", 0.05)
    told: list[str] = []
    with psycopg.connect(pg_dsn) as other:
        pid = other.info.backend_pid

        def lock(*_: object) -> None:
            other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")

        def tell(line: str) -> None:
            told.append(line)
            other.rollback()

        if not late:
            lock()
        applied = run.apply(
            settings, Options(record=False), stepping=lock if late else None, tell=tell
        )

    assert applied.outcome is Outcome.DONE
    assert f"public.people is locked by pid {pid} (ACCESS EXCLUSIVE). Waiting for it." in told[0]


def test_what_a_crash_has_undone_is_done_again(settings: Settings, connection: Connection) -> None:
    """With synchronous_commit = off a server may forget its last commits."""
    told: list[str] = []

    def forget(number: int, total: int, step: object) -> None:
        if (number, total) == (2, 2):
            connection.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indrelid = 'people'::regclass"
            )

    applied = run.apply(settings, Options(record=False), stepping=forget, tell=told.append)

    assert (applied.outcome, applied.left) == (Outcome.DONE, ())
    assert [Action.CREATE, Action.CREATE, Action.REBUILD] == [one.action for one in applied.built]
    assert f"There is more to do by now: {applied.built[0].name}." in told
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_a_run_goes_on_for_a_few_passes_and_not_for_ever(
    settings: Settings, connection: Connection
) -> None:
    """Somebody takes an index away each time that it was built."""
    passes: list[int] = []

    def take(number: int, total: int, step: object) -> None:
        if number == total:
            passes.append(total)
            connection.execute("DROP INDEX IF EXISTS people_mail, people_lower")

    run.apply(settings, Options(record=False), stepping=take)

    assert len(passes) == 1 + run.PASSES


def test_one_index_that_is_only_to_be_dropped_is_no_wrong_option_afterwards(
    settings: Settings, connection: Connection
) -> None:
    connection.execute("CREATE INDEX people_id ON people (id)")

    applied = _apply(settings, prune=True, only=("people_id",))

    assert (applied.outcome, _actions(applied)) == (Outcome.DONE, {"people_id": Action.DROP})
    assert _states(connection) == {}


def test_a_drop_waits_for_what_replaces_it(settings: Settings, connection: Connection) -> None:
    _apply(settings)
    _declare(settings, "CREATE UNIQUE INDEX people_id ON people (id);" + DECLARED.partition(";")[0])

    def spoil(number: int, total: int, step: object) -> None:
        if number == 1:
            connection.execute("INSERT INTO people (id) VALUES (7)")

    applied = run.apply(settings, Options(record=False, prune=True), stepping=spoil)

    assert {failed.name for failed in applied.failed} == {"people_id"}
    assert _states(connection)["people_lower"]


def test_a_conflict_is_told_with_its_reason(settings: Settings, connection: Connection) -> None:
    connection.execute("ALTER TABLE people ADD CONSTRAINT people_mail UNIQUE (id)")

    applied = _apply(settings)

    assert [failed.name for failed in applied.failed] == ["people_mail"]
    assert "constraint" in applied.failed[0].message
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_the_deadline_ends_the_run_and_says_what_is_left(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    told: list[str] = []
    with psycopg.connect(pg_dsn) as writer:
        writer.execute("INSERT INTO people VALUES (0, 'new')")
        applied = _apply(settings, told, deadline=1.5)
        pid = writer.info.backend_pid
        writer.rollback()

    assert (applied.outcome, applied.exit_code) == (Outcome.DEADLINE, 6)
    assert len(applied.left) == 2
    (failed,) = applied.failed
    assert f"before the 1.5 s that were given were over: it waited for pid {pid}" in failed.message
    assert f"SELECT pg_terminate_backend({pid}). Run again" in failed.remedy
    assert _apply(settings).outcome is Outcome.DONE
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_another_run_is_named_and_not_waited_for(settings: Settings, pg_dsn: str) -> None:
    with (
        locked(pg_dsn),
        pytest.raises(MigrationBusy, match=r"runs: pid \d+ user postgres application deploy"),
    ):
        _apply(settings, wait=0.0)


def test_a_lost_lock_is_taken_again_and_told(settings: Settings, connection: Connection) -> None:
    told: list[str] = []

    def steal(number: int, total: int, step: object) -> None:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    applied = run.apply(settings, Options(record=False), stepping=steal, tell=told.append)

    assert applied.outcome is Outcome.DONE
    assert "The migration lock was lost with its session, and is held again." in told


def test_a_lock_lost_among_partitions_is_held_again_before_the_next_one(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("CREATE TABLE logs (id int) PARTITION BY HASH (id)")
    for number in range(2):
        connection.execute(
            f"CREATE TABLE logs_{number} PARTITION OF logs"
            f" FOR VALUES WITH (MODULUS 2, REMAINDER {number})"
        )
    _declare(settings, "CREATE INDEX logs_id ON logs (id);")
    told: list[str] = []
    concurrent = count()

    def steal(journal: Unrecorded, change: Change) -> int:
        if "CONCURRENTLY" in change.sql and next(concurrent) == 0:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        return 0

    monkeypatch.setattr(Unrecorded, "began", steal)

    assert _apply(settings, told).outcome is Outcome.DONE
    assert "The migration lock was lost with its session, and is held again." in told


def test_all_of_its_sessions_may_be_ended_between_two_steps(
    settings: Settings, connection: Connection
) -> None:
    def end(number: int, total: int, step: object) -> None:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'dbopt%' AND datname = current_database()"
        )

    runner.upgrade(settings, indexes=False)
    applied = run.apply(settings, Options(), stepping=end)

    assert applied.outcome is Outcome.DONE, applied
    assert _states(connection) == {"people_lower": True, "people_mail": True}


def test_a_step_that_somebody_else_has_done_meanwhile_is_present(
    settings: Settings, connection: Connection
) -> None:
    def do_it(number: int, total: int, step: object) -> None:
        if number == 1:
            connection.execute(DECLARED)

    applied = run.apply(settings, Options(record=False), stepping=do_it)

    assert set(_actions(applied).values()) == {Action.PRESENT}
    assert applied.outcome is Outcome.DONE


def test_a_table_that_is_dropped_meanwhile_fails_its_own_step(
    settings: Settings, connection: Connection
) -> None:
    _declare(settings, DECLARED + "CREATE INDEX pets_id ON pets (id);")

    def drop(number: int, total: int, step: object) -> None:
        connection.execute("DROP TABLE IF EXISTS pets")

    applied = run.apply(settings, Options(record=False), stepping=drop)

    assert [failed.name for failed in applied.failed] == ["pets_id"]
    assert "The table pets of index" in applied.failed[0].message
    assert len(applied.changed) == 2


def test_without_a_store_the_run_is_done_and_says_so(
    settings: Settings, connection: Connection
) -> None:
    told: list[str] = []
    applied = run.apply(settings, Options(), tell=told.append)

    assert applied.outcome is Outcome.DONE
    assert len([line for line in told if "not recorded" in line]) >= 1


def test_postgresql_15_too(pg15_dsn: str, settings: Settings) -> None:
    old = replace(settings, server=Server(dsn=pg15_dsn))
    with connect(pg15_dsn) as made:
        made.execute("CREATE TABLE people (id int, mail text)")

    assert _apply(old).outcome is Outcome.DONE
