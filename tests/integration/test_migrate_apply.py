from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from dbopt.errors import FeatureNotSupported, MigrationError
from dbopt.index.audit import audit
from dbopt.migrate.apply import Built, build, remove
from dbopt.migrate.plan import Action
from dbopt.migrate.progress import Progress, sibling, watching
from dbopt.pg import catalog, ddl
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index as IndexSettings
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from tests.support import wait_until

SETTINGS = Migrate(lock_timeout=0.2, build_timeout=60)
WANTED = IndexDefinition("words_word", "", "words", "btree", (IndexKey("word"),))
UNIQUE = replace(WANTED, unique=True)


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE words (id int, word text); CREATE TABLE other (id int)")
        made.execute("INSERT INTO words SELECT n, 'w' || n % 100 FROM generate_series(1, 500) n")
        yield made


def _found(connection: Connection, name: str = "words_word") -> catalog.Index | None:
    return ddl.find(connection, "public", name)


def _leave_invalid(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        ddl.create(connection, UNIQUE, concurrently=True)
    left = _found(connection)
    assert left is not None
    assert not left.valid


@contextmanager
def _old_snapshot(dsn: str) -> Iterator[psycopg.Connection]:
    """A REPEATABLE READ transaction on another table: every concurrent build waits for it."""
    with psycopg.connect(dsn, application_name="report") as blocker:
        blocker.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        blocker.execute("SELECT count(*) FROM other")
        yield blocker
        blocker.rollback()


def test_an_index_is_built_and_valid(connection: Connection) -> None:
    built = build(connection, WANTED, SETTINGS)

    assert Built("words_word", "words", built.ms, True, Action.CREATE) == built
    found = _found(connection)
    assert found is not None
    assert (True, replace(WANTED, schema="public")) == (found.valid, found.definition)


def test_a_valid_one_is_kept(connection: Connection) -> None:
    build(connection, WANTED, SETTINGS)
    before = _found(connection)

    assert Action.PRESENT is build(connection, WANTED, SETTINGS).action
    assert before == _found(connection)


def test_one_of_another_name_and_the_same_meaning_serves(connection: Connection) -> None:
    connection.execute("CREATE INDEX already ON words (word)")

    built = build(connection, WANTED, SETTINGS)

    assert (built.name, built.action) == ("already", Action.PRESENT)
    assert _found(connection) is None


def test_a_leftover_invalid_one_is_dropped_and_rebuilt(connection: Connection) -> None:
    _leave_invalid(connection)
    left = _found(connection)
    connection.execute("DELETE FROM words WHERE id > 100")

    built = build(connection, UNIQUE, SETTINGS)

    found = _found(connection)
    assert found is not None
    assert left is not None
    assert (built.action, found.valid) == (Action.REBUILD, True)
    assert found.oid != left.oid


def test_a_taken_name_is_refused_and_left_alone(connection: Connection) -> None:
    connection.execute("CREATE INDEX words_word ON words (id)")
    before = _found(connection)

    with pytest.raises(MigrationError, match="exists with another definition"):
        build(connection, WANTED, SETTINGS)
    assert before == _found(connection)


def test_an_invalid_index_of_another_definition_is_never_dropped(connection: Connection) -> None:
    _leave_invalid(connection)
    before = _found(connection)

    with pytest.raises(MigrationError, match="another definition"):
        build(connection, WANTED, SETTINGS)
    assert before == _found(connection)


def test_a_name_taken_on_another_table_is_refused(connection: Connection) -> None:
    connection.execute("CREATE INDEX words_word ON other (id)")

    with pytest.raises(MigrationError, match=r"ON public\.other"):
        build(connection, WANTED, SETTINGS)


def test_a_table_of_that_name_is_refused(connection: Connection) -> None:
    connection.execute("CREATE TABLE words_word (id int)")

    with pytest.raises(MigrationError, match="42P07"):
        build(connection, WANTED, SETTINGS)


def test_duplicate_rows_fail_without_a_leftover_or_a_literal(connection: Connection) -> None:
    with pytest.raises(MigrationError, match="rows that are not") as caught:
        build(connection, UNIQUE, SETTINGS)
    assert _found(connection) is None
    assert "w1" not in str(caught.value)


def test_a_blocked_build_names_the_blocker_and_leaves_nothing(
    connection: Connection, pg_dsn: str
) -> None:
    looks: list[Progress] = []
    with _old_snapshot(pg_dsn) as blocker:
        with pytest.raises(MigrationError) as caught:
            build(connection, WANTED, replace(SETTINGS, build_timeout=1), looks.append)
        message = str(caught.value)
        assert "not built within 1 s: it waited for" in message
        assert (
            f"pid {blocker.info.backend_pid} (user postgres report, idle in transaction" in message
        )
        assert _found(connection) is None
    assert "waiting for old snapshots" in {look.phase for look in looks}
    assert Action.CREATE is build(connection, WANTED, SETTINGS).action


def test_session_timeouts_are_put_back(connection: Connection) -> None:
    connection.execute("SET lock_timeout = 0")
    build(connection, WANTED, SETTINGS)

    for name in ("lock_timeout", "statement_timeout"):
        row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
        assert row == {"value": "0"}


def test_one_being_built_is_neither_invalid_nor_ours(connection: Connection, pg_dsn: str) -> None:
    def build_elsewhere() -> None:
        with connect(pg_dsn) as elsewhere:
            ddl.create(elsewhere, WANTED, concurrently=True)

    with _old_snapshot(pg_dsn):
        thread = threading.Thread(target=build_elsewhere)
        thread.start()
        wait_until(lambda: _being_built(connection), what="the build to show")
        assert audit(catalog.read(connection), IndexSettings()) == []
        with pytest.raises(MigrationError, match="is being built: pid"):
            build(connection, WANTED, SETTINGS)
    thread.join()
    assert Action.PRESENT is build(connection, WANTED, SETTINGS).action


def _being_built(connection: Connection) -> bool:
    found = _found(connection)
    return found is not None and found.builder_pid is not None


def test_a_build_cut_off_by_the_server_leaves_nothing(connection: Connection, pg_dsn: str) -> None:
    """The session is terminated: another one cleans up."""
    errors: list[Exception] = []

    def build_here(mine: Connection) -> None:
        try:
            build(mine, WANTED, SETTINGS)
        except MigrationError as error:
            errors.append(error)

    with _old_snapshot(pg_dsn), connect(pg_dsn) as mine:
        thread = threading.Thread(target=build_here, args=(mine,))
        thread.start()
        wait_until(lambda: _being_built(connection), what="the build to show")
        connection.execute("SELECT pg_terminate_backend(%s)", (mine.info.backend_pid,))
        thread.join()
    assert len(errors) == 1
    assert _found(connection) is None


def test_an_expression_is_analyzed(connection: Connection) -> None:
    key = IndexKey("upper(word)", is_column=False)
    build(connection, replace(WANTED, keys=(key,)), SETTINGS)

    row = connection.execute(
        "SELECT count(*) AS n FROM pg_stats WHERE tablename = 'words_word'"
    ).fetchone()
    assert row == {"n": 1}


def test_a_missing_table_is_named(connection: Connection) -> None:
    with pytest.raises(MigrationError, match="The table nowhere of index"):
        build(connection, replace(WANTED, table="nowhere"), SETTINGS)


def test_a_missing_column_is_refused_before_anything_is_built(connection: Connection) -> None:
    with pytest.raises(MigrationError, match="42703"):
        build(connection, replace(WANTED, keys=(IndexKey("nothing"),)), SETTINGS)


def test_a_partitioned_table_is_refused(connection: Connection) -> None:
    connection.execute("CREATE TABLE part (id int, word text) PARTITION BY RANGE (id)")

    with pytest.raises(FeatureNotSupported, match="partitioned"):
        build(connection, replace(WANTED, table="part"), SETTINGS)


def test_remove_drops_what_is_as_declared(connection: Connection) -> None:
    build(connection, WANTED, SETTINGS)

    assert remove(connection, WANTED, SETTINGS)
    assert _found(connection) is None
    assert not remove(connection, WANTED, SETTINGS)


def test_remove_leaves_another_definition_and_a_missing_table(connection: Connection) -> None:
    connection.execute("CREATE INDEX words_word ON words (id)")

    assert not remove(connection, WANTED, SETTINGS)
    assert not remove(connection, replace(WANTED, table="nowhere"), SETTINGS)
    assert _found(connection) is not None


def test_remove_that_is_blocked_says_what_to_do(connection: Connection, pg_dsn: str) -> None:
    build(connection, WANTED, SETTINGS)
    with psycopg.connect(pg_dsn) as reader:
        reader.execute("SELECT * FROM words LIMIT 1")
        with pytest.raises(MigrationError, match="End the long transactions"):
            remove(connection, WANTED, replace(SETTINGS, lock_timeout=0.05))
        reader.rollback()
    assert remove(connection, WANTED, SETTINGS)


def test_watching_sees_the_sibling_and_ends(connection: Connection) -> None:
    with sibling(connection) as other:
        assert connection.info.backend_pid != other.info.backend_pid
    with watching(connection, "nothing") as watch:
        pass
    assert watch.blockers == ()


def test_postgresql_15_builds_and_rebuilds_too(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as old:
        old.execute(
            "CREATE TABLE words (id int, word text); INSERT INTO words VALUES (1,'a'),(2,'a')"
        )
        _leave_invalid(old)
        old.execute("DELETE FROM words")

        assert build(old, UNIQUE, SETTINGS).action is Action.REBUILD
