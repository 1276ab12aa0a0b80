"""One step at a time against real servers: creating, repairing, renaming, replacing, dropping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from dbopt.errors import DeadlinePassed, MigrationError, ServerLost
from dbopt.index.audit import audit
from dbopt.migrate import operations
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.progress import Progress
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.work import Built, Deadline, Work
from dbopt.pg import catalog, ddl
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index as IndexSettings
from dbopt.sql.indexdef import IndexKey
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    UNIQUE,
    WANTED,
    Kept,
    apply,
    being_built,
    build,
    elsewhere,
    found,
    in_background,
    leave_invalid,
    names,
    old_snapshot,
    planned,
)
from tests.support import wait_until

BY_ID = replace(WANTED, keys=(IndexKey("id"),))


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TABLES)
        yield made


# --- create and rebuild


def test_an_index_is_built_and_valid(connection: Connection) -> None:
    journal = Kept()
    built = build(connection, WANTED, journal=journal)

    assert Built("words_word", "words", built.ms, True, Action.CREATE) == built
    index = found(connection)
    assert index is not None
    assert (True, replace(WANTED, schema="public")) == (index.valid, index.definition)
    assert [(1, "done", "")] == journal.ends
    assert [
        "CREATE INDEX CONCURRENTLY words_word ON public.words USING btree (word)",
        "DROP INDEX CONCURRENTLY IF EXISTS public.words_word",
    ] == [journal.changes[0].sql, journal.changes[0].reverse]


def test_a_valid_one_is_kept(connection: Connection) -> None:
    build(connection, WANTED)
    before, journal = found(connection), Kept()

    assert Action.PRESENT is build(connection, WANTED, journal=journal).action
    assert (before, []) == (found(connection), journal.changes)


def test_a_step_that_was_planned_long_ago_finds_its_work_done(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    build(connection, WANTED)

    assert Action.PRESENT is operations.perform(Work(connection, SETTINGS), step).action


def test_a_leftover_invalid_one_is_dropped_and_rebuilt(connection: Connection) -> None:
    leave_invalid(connection)
    left, journal = found(connection), Kept()
    connection.execute("DELETE FROM words WHERE id > 100")

    built = build(connection, UNIQUE, journal=journal)

    index = found(connection)
    assert index is not None
    assert left is not None
    assert (built.action, index.valid) == (Action.REBUILD, True)
    assert index.oid != left.oid
    assert ["", "DROP INDEX CONCURRENTLY IF EXISTS public.words_word"] == [
        change.reverse for change in journal.changes
    ]


def test_a_name_that_was_taken_after_the_plan_is_refused(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    connection.execute("CREATE INDEX words_word ON words (id)")
    before = found(connection)

    with pytest.raises(MigrationError, match="exists with another definition"):
        operations.perform(Work(connection, SETTINGS), step)
    assert before == found(connection)


def test_a_name_that_a_table_took_after_the_plan_is_refused(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    connection.execute("CREATE TABLE words_word (id int)")

    with pytest.raises(MigrationError, match="42P07"):
        operations.perform(Work(connection, SETTINGS), step)


def test_a_conflict_is_refused_with_its_reason(connection: Connection) -> None:
    connection.execute("ALTER TABLE words ADD CONSTRAINT words_word UNIQUE (id)")

    with pytest.raises(MigrationError, match="left alone: .*it is a constraint's"):
        build(connection, WANTED)


def test_a_table_that_is_gone_is_named(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    connection.execute("ALTER TABLE words RENAME TO verbs")

    with pytest.raises(MigrationError, match="The table words of index"):
        operations.perform(Work(connection, SETTINGS), step)


def test_a_column_that_is_gone_is_named(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    connection.execute("ALTER TABLE words DROP COLUMN word")

    with pytest.raises(MigrationError, match="a column of it is gone"):
        operations.perform(Work(connection, SETTINGS), step)
    assert names(connection) == {}


def test_duplicate_rows_fail_without_a_leftover_or_a_literal(connection: Connection) -> None:
    journal = Kept()
    with pytest.raises(MigrationError, match="rows that are not") as caught:
        build(connection, UNIQUE, journal=journal)
    assert names(connection) == {}
    assert "w1" not in str(caught.value) + str(journal.ends)
    assert ["failed", "done"] == [outcome for _, outcome, _ in journal.ends]


def test_values_too_long_are_told_with_a_remedy(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO words SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 500) n"
    )

    with pytest.raises(MigrationError, match="values too long.*md5"):
        build(connection, WANTED)
    assert names(connection) == {}


def test_a_role_that_may_not_is_told(connection: Connection, pg_dsn: str) -> None:
    connection.execute("DROP ROLE IF EXISTS migrate_reader; CREATE ROLE migrate_reader")
    step = planned(connection, WANTED)[0]
    connection.execute("SET ROLE migrate_reader")
    try:
        with pytest.raises(MigrationError, match="the role may not.*owner"):
            operations.perform(Work(connection, SETTINGS), step)
    finally:
        connection.execute("RESET ROLE; DROP ROLE migrate_reader")


def test_session_timeouts_are_put_back(connection: Connection) -> None:
    connection.execute("SET lock_timeout = '7s'; SET statement_timeout = '1h'")
    build(connection, WANTED)

    for name, value in (("lock_timeout", "7s"), ("statement_timeout", "1h")):
        row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
        assert row == {"value": value}


def test_an_expression_is_analyzed(connection: Connection) -> None:
    key = IndexKey("upper(word)", is_column=False)
    build(connection, replace(WANTED, keys=(key,)))

    row = connection.execute(
        "SELECT count(*) AS n FROM pg_stats WHERE tablename = 'words_word'"
    ).fetchone()
    assert row == {"n": 1}


def test_no_search_path_matters(connection: Connection) -> None:
    connection.execute('CREATE SCHEMA "Other One"; CREATE TABLE "Other One".words (word text)')
    wanted = replace(WANTED, schema="Other One")
    step = planned(connection, wanted)[0]
    connection.execute("SET search_path = pg_catalog")

    for action in (Action.CREATE, Action.DROP):
        assert (
            action
            is operations.perform(Work(connection, SETTINGS), replace(step, action=action)).action
        )
    connection.execute("RESET search_path")
    assert names(connection) == names(connection, '"Other One".words') == {}


def test_postgresql_15_builds_and_rebuilds_too(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as old:
        old.execute(TABLES)
        leave_invalid(old)
        old.execute("DELETE FROM words WHERE id > 100")

        assert build(old, UNIQUE).action is Action.REBUILD


# --- who waits for whom


def test_a_blocked_build_names_the_blocker_and_leaves_nothing(
    connection: Connection, pg_dsn: str
) -> None:
    looks: list[Progress] = []
    told: list[str] = []
    settings = replace(SETTINGS, build_timeout=1)
    with old_snapshot(pg_dsn) as blocker:
        pid = f"pid {blocker.info.backend_pid} (user postgres report, idle in transaction"
        with pytest.raises(MigrationError) as caught:
            build(connection, WANTED, settings, report=looks.append, tell=told.append)
        assert "was not built within 1 s: it waited for " + pid in caught.value.message
        assert names(connection) == {}
    assert "waiting for old snapshots" in {look.phase for look in looks}
    assert len(told) == 1
    assert f'The index "words_word" waits for {pid}' in told[0]
    assert Action.CREATE is build(connection, WANTED).action


def test_the_deadline_of_the_whole_run_is_told_as_such(connection: Connection, pg_dsn: str) -> None:
    with old_snapshot(pg_dsn), pytest.raises(DeadlinePassed, match=r"the 0\.5 s that were given"):
        build(connection, WANTED, deadline=Deadline.after(0.5))
    assert names(connection) == {}


def test_a_build_that_somebody_cancels_is_not_tried_again(
    connection: Connection, pg_dsn: str
) -> None:
    with old_snapshot(pg_dsn), connect(pg_dsn) as mine:
        with in_background(lambda: build(mine, WANTED)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            connection.execute("SELECT pg_cancel_backend(%s)", (mine.info.backend_pid,))
    assert "somebody has cancelled it" in str(raised[0])
    assert names(connection) == {}


def test_a_build_cut_off_by_the_server_leaves_nothing(connection: Connection, pg_dsn: str) -> None:
    """The session is terminated: another one cleans up, and the next call goes on."""
    with old_snapshot(pg_dsn), connect(pg_dsn) as mine:
        with in_background(lambda: build(mine, WANTED)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            connection.execute("SELECT pg_terminate_backend(%s)", (mine.info.backend_pid,))
    assert [ServerLost] == list(map(type, raised))
    assert "Run again" in str(raised[0])
    assert names(connection) == {}
    assert Action.CREATE is build(connection, WANTED).action


def test_a_prepared_transaction_is_named(connection: Connection, pg_dsn: str) -> None:
    row = connection.execute("SHOW max_prepared_transactions").fetchone()
    if row == {"max_prepared_transactions": "0"}:
        pytest.skip("needs max_prepared_transactions")
    connection.execute("BEGIN; INSERT INTO words VALUES (0); PREPARE TRANSACTION 'import 7'")
    try:
        with pytest.raises(MigrationError, match='prepared transaction "import 7"'):
            build(connection, WANTED, replace(SETTINGS, build_timeout=1))
    finally:
        connection.execute("ROLLBACK PREPARED 'import 7'")


def test_a_blockers_query_is_shown_when_asked_for_without_its_literals(
    connection: Connection, pg_dsn: str
) -> None:
    settings = replace(SETTINGS, build_timeout=1, blocker_queries=True)
    with psycopg.connect(pg_dsn) as writer:
        writer.execute("UPDATE words SET word = 'secret' WHERE id = 1")
        with pytest.raises(MigrationError) as caught:
            build(connection, WANTED, settings)
        writer.rollback()
    assert "UPDATE words SET word = $1 WHERE id = $2" in str(caught.value)
    assert "left; the next run mends it" in str(caught.value)
    assert Action.REBUILD is build(connection, WANTED).action


# --- builds that go on without us


def test_one_being_built_is_waited_for(connection: Connection, pg_dsn: str) -> None:
    told: list[str] = []
    looks: list[Progress] = []
    with old_snapshot(pg_dsn) as blocker:
        with connect(pg_dsn, application_name="somebody") as other:
            with in_background(lambda: ddl.create(other, WANTED, concurrently=True)):
                wait_until(lambda: being_built(connection), what="the build to show")
                assert audit(catalog.read(connection), IndexSettings()) == []
                with connect(pg_dsn) as mine:
                    with in_background(
                        lambda: build(mine, WANTED, tell=told.append, report=looks.append)
                    ) as raised:
                        wait_until(lambda: looks, what="a look at the other's build")
                        blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}
    assert "by pid" in looks[0].phase
    assert ", another session: waiting for it." in told[0]


def test_anothers_build_is_never_cancelled(connection: Connection, pg_dsn: str) -> None:
    with old_snapshot(pg_dsn) as blocker:
        with connect(pg_dsn, application_name="somebody") as other:
            with in_background(lambda: ddl.create(other, WANTED, concurrently=True)) as raised:
                wait_until(lambda: being_built(connection), what="the build to show")
                with pytest.raises(DeadlinePassed, match="which pid .* somebody"):
                    build(connection, WANTED, deadline=Deadline.after(0.5))
                blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}


def test_our_own_orphan_is_cancelled_at_the_deadline(connection: Connection, pg_dsn: str) -> None:
    """A dbopt that was killed: its session has our role and our application_name."""
    with old_snapshot(pg_dsn), connect(pg_dsn) as orphan:
        with in_background(lambda: ddl.create(orphan, WANTED, concurrently=True)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            with pytest.raises(DeadlinePassed, match="a run|which pid"):
                build(connection, WANTED, deadline=Deadline.after(0.5))
    assert [psycopg.errors.QueryCanceled] == list(map(type, raised))
    assert names(connection) == {}


# --- rename, replace, drop


def test_a_renamed_one_keeps_its_pages(connection: Connection) -> None:
    connection.execute("CREATE INDEX already ON words (word)")
    before, journal = found(connection, "already"), Kept()

    assert Action.RENAME is build(connection, WANTED, journal=journal).action

    index = found(connection)
    assert index is not None
    assert before is not None
    assert index.oid == before.oid
    assert [
        (
            "ALTER INDEX public.already RENAME TO words_word",
            "ALTER INDEX public.words_word RENAME TO already",
        )
    ] == [(change.sql, change.reverse) for change in journal.changes]


def test_a_rename_whose_index_is_gone_builds(connection: Connection) -> None:
    connection.execute("CREATE INDEX already ON words (word)")
    step = planned(connection, WANTED)[0]
    connection.execute("DROP INDEX already")

    operations.perform(Work(connection, SETTINGS), step)
    assert names(connection) == {"words_word": True}


def test_a_replacement_never_leaves_the_name_missing(connection: Connection) -> None:
    connection.execute("CREATE INDEX words_word ON words (id)")
    journal = Kept()

    assert Action.REPLACE is build(connection, WANTED, journal=journal).action

    assert names(connection) == {"words_word": True}
    index = found(connection)
    assert index is not None
    assert index.definition.keys == WANTED.keys
    assert [
        "CREATE INDEX CONCURRENTLY words_word_dbopt_new ON public.words USING btree (word)",
        "BEGIN; ALTER INDEX public.words_word RENAME TO words_word_dbopt_old; "
        "ALTER INDEX public.words_word_dbopt_new RENAME TO words_word; COMMIT",
        "DROP INDEX CONCURRENTLY IF EXISTS public.words_word_dbopt_old",
    ] == [change.sql for change in journal.changes]
    assert [
        "DROP INDEX CONCURRENTLY IF EXISTS public.words_word_dbopt_new",
        "BEGIN; ALTER INDEX public.words_word RENAME TO words_word_dbopt_new; "
        "ALTER INDEX public.words_word_dbopt_old RENAME TO words_word; COMMIT",
        "CREATE INDEX CONCURRENTLY words_word_dbopt_old ON public.words USING btree (id)",
    ] == [change.reverse for change in journal.changes]


def test_what_killed_replacements_left_is_used_or_dropped(connection: Connection) -> None:
    for name, column in (("words_word", "id"), (new_name("words_word"), "word")):
        connection.execute(f"CREATE INDEX {name} ON words ({column})")
    connection.execute(f"CREATE INDEX {old_name('words_word')} ON words (id, word)")
    ready = found(connection, new_name("words_word"))

    build(connection, WANTED)

    index = found(connection)
    assert index is not None
    assert ready is not None
    assert index.oid == ready.oid
    assert names(connection) == {"words_word": True}


def test_a_replacement_whose_build_fails_leaves_the_old_one(connection: Connection) -> None:
    connection.execute("CREATE INDEX words_word ON words (id)")
    before = names(connection)

    with pytest.raises(MigrationError, match="rows that are not"):
        build(connection, UNIQUE)
    assert before == names(connection)


def test_a_replacement_of_what_a_constraint_took_meanwhile_is_refused(
    connection: Connection,
) -> None:
    connection.execute("CREATE UNIQUE INDEX words_word ON words (id)")
    step = planned(connection, WANTED)[0]
    connection.execute("ALTER TABLE words ADD CONSTRAINT words_word UNIQUE USING INDEX words_word")

    with pytest.raises(MigrationError, match="cannot give its name away: it is a constraint's"):
        operations.perform(Work(connection, SETTINGS), step)
    constraint = found(connection)
    assert constraint is not None
    assert constraint.valid


def test_two_that_change_names(connection: Connection) -> None:
    other = replace(BY_ID, name="words_id")
    connection.execute(
        "CREATE INDEX words_id ON words (word); CREATE INDEX words_word ON words (id)"
    )
    before = {index.name: index.oid for index in ddl.on_table(connection, WANTED)}

    apply(connection, WANTED, other)

    after = {index.name: index.oid for index in ddl.on_table(connection, WANTED)}
    assert {"words_word": before["words_id"], "words_id": before["words_word"]} == after


def test_a_drop_keeps_what_makes_it_again(connection: Connection) -> None:
    connection.execute("CREATE INDEX gone ON words (id) WITH (fillfactor = 70) WHERE id > 3")
    journal = Kept()

    built = apply(connection, managed=(("public", "gone"),), journal=journal)

    assert [("gone", Action.DROP, False)] == [(one.name, one.action, one.valid) for one in built]
    assert names(connection) == {}
    assert [
        "CREATE INDEX CONCURRENTLY gone ON public.words USING btree (id) "
        "WITH (fillfactor='70') WHERE id > 3"
    ] == [change.reverse for change in journal.changes]


def test_a_drop_that_is_done_or_of_another_index_does_nothing(connection: Connection) -> None:
    connection.execute("CREATE INDEX gone ON words (id)")
    step = planned(connection, prune=True) or [_drop(connection, "gone")]
    connection.execute("DROP INDEX gone; CREATE INDEX gone ON words (word)")

    with pytest.raises(MigrationError, match="it is another one by now"):
        operations.perform(Work(connection, SETTINGS), step[0])
    connection.execute("DROP INDEX gone")
    assert Action.DROP is operations.perform(Work(connection, SETTINGS), step[0]).action


def _drop(connection: Connection, name: str) -> Step:
    index = found(connection, name)
    assert index is not None
    return Step(Action.DROP, index.definition, index)


def test_a_drop_never_takes_what_something_needs(connection: Connection) -> None:
    connection.execute("ALTER TABLE words ADD CONSTRAINT once UNIQUE (id)")

    with pytest.raises(MigrationError, match="it is a constraint's"):
        operations.perform(Work(connection, SETTINGS), _drop(connection, "once"))


def test_a_drop_that_is_blocked_says_by_whom(connection: Connection, pg_dsn: str) -> None:
    build(connection, WANTED)
    step = _drop(connection, "words_word")
    with psycopg.connect(pg_dsn, application_name="reader") as reader:
        reader.execute("SELECT * FROM words LIMIT 1")
        with pytest.raises(MigrationError, match="(?s)reader.*End the long transactions"):
            operations.perform(Work(connection, replace(SETTINGS, build_timeout=1)), step)
        reader.rollback()
    operations.perform(Work(connection, SETTINGS), step)
    assert names(connection) == {}


# --- the application comes first


def test_a_build_gives_way_to_an_alter_table_that_waits_for_it(
    connection: Connection, pg_dsn: str
) -> None:
    """The ALTER waits for the build, and every reader behind the ALTER: the build ends, later
    it is built again."""
    journal = Kept()
    settings = replace(SETTINGS, lock_timeout=0.5)
    with old_snapshot(pg_dsn) as blocker, connect(pg_dsn) as mine:
        with in_background(lambda: build(mine, WANTED, settings, journal=journal)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            with connect(pg_dsn) as reader:
                reader.execute("SET statement_timeout = '2s'")
                with elsewhere(pg_dsn, "ALTER TABLE words ADD COLUMN more int") as pid:
                    wait_until(lambda: _waits(connection, pid), what="the ALTER to wait")
                    reader.execute("SELECT count(*) FROM words")
            blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}
    outcomes = [outcome for _, outcome, _ in journal.ends]
    assert outcomes[0] == "cancelled"
    assert outcomes[-1] == "done"


def test_a_build_that_a_blocker_of_its_own_waits_for_is_no_deadlock(
    connection: Connection, pg_dsn: str
) -> None:
    """PostgreSQL would end one of both after deadlock_timeout, perhaps the application's."""
    settings = replace(SETTINGS, lock_timeout=30)
    with psycopg.connect(pg_dsn) as writer, connect(pg_dsn) as mine:
        writer.execute("INSERT INTO words VALUES (1, 'x')")
        with in_background(lambda: build(mine, WANTED, settings)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            writer.execute("ALTER TABLE words ADD COLUMN more int")
            writer.commit()
    assert raised == []
    assert names(connection) == {"words_word": True}


def _waits(connection: Connection, pid: int) -> bool:
    row = connection.execute(
        "SELECT count(*) AS n FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)
    ).fetchone()
    return row != {"n": 0}
