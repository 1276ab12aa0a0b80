"""One step at a time against real servers: creating, repairing, renaming, replacing, dropping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbopt.errors import MigrationError
from dbopt.migrate import operations
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.steps import Action
from dbopt.migrate.work import Built, Work
from dbopt.pg import ddl
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexKey
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    UNIQUE,
    WANTED,
    Kept,
    apply,
    build,
    drop_step,
    found,
    leave_invalid,
    names,
    planned,
)

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

    with pytest.raises(MigrationError, match=r"left alone: .*it is a constraint's"):
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

    with pytest.raises(MigrationError, match=r"values too long.*md5"):
        build(connection, WANTED)
    assert names(connection) == {}


def test_a_role_that_may_not_is_told(connection: Connection, pg_dsn: str) -> None:
    connection.execute("DROP ROLE IF EXISTS migrate_reader; CREATE ROLE migrate_reader")
    step = planned(connection, WANTED)[0]
    connection.execute("SET ROLE migrate_reader")
    try:
        with pytest.raises(MigrationError, match=r"the role may not.*owner"):
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


def test_what_a_killed_run_has_built_of_another_declaration_makes_room(
    connection: Connection,
) -> None:
    """The declaration was changed between the run that was killed and this one."""
    for name in ("words_word", new_name("words_word")):
        ddl.create(
            connection, replace(WANTED, name=name, keys=(IndexKey("id"),)), concurrently=True
        )

    assert [Action.REPLACE] == [one.action for one in apply(connection, WANTED)][:1]
    assert {"words_word": True} == names(connection)


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
    step = planned(connection, prune=True) or [drop_step(connection, "gone")]
    connection.execute("DROP INDEX gone; CREATE INDEX gone ON words (word)")

    with pytest.raises(MigrationError, match="it is another one by now"):
        operations.perform(Work(connection, SETTINGS), step[0])
    connection.execute("DROP INDEX gone")
    assert Action.DROP is operations.perform(Work(connection, SETTINGS), step[0]).action


def test_a_drop_never_takes_what_something_needs(connection: Connection) -> None:
    connection.execute("ALTER TABLE words ADD CONSTRAINT once UNIQUE (id)")

    with pytest.raises(MigrationError, match="it is a constraint's"):
        operations.perform(Work(connection, SETTINGS), drop_step(connection, "once"))
