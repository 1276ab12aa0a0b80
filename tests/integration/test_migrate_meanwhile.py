"""What others do between a look at an index and the statement that calls it by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbopt.errors import MigrationError
from dbopt.migrate import operations
from dbopt.migrate.steps import Action
from dbopt.migrate.work import Work
from dbopt.pg.connect import Connection, connect
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    WANTED,
    Meanwhile,
    build,
    drop_step,
    found,
    names,
)


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TABLES)
        yield made


def test_a_replacement_whose_name_is_free_by_now_takes_it(connection: Connection) -> None:
    """What was built is not built again."""
    connection.execute("CREATE INDEX words_word ON words (id)")

    journal = Meanwhile(connection.info.dsn, "BEGIN", "DROP INDEX words_word")
    build(connection, WANTED, journal=journal)
    assert ["CREATE", "BEGIN;", "ALTER"] == [one.sql.split()[0] for one in journal.changes]
    assert {"words_word": True} == names(connection)


def test_a_name_that_changes_hands_just_before_its_rename_is_looked_at_again(
    connection: Connection,
) -> None:
    connection.execute("CREATE INDEX words_by_word ON words (word)")
    other = "ALTER INDEX words_by_word RENAME TO kept; CREATE INDEX words_by_word ON words (id)"

    journal = Meanwhile(connection.info.dsn, "RENAME", other)
    assert Action.RENAME is build(connection, WANTED, journal=journal).action
    assert {"words_by_word": True, "words_word": True} == names(connection)
    named = found(connection)
    assert named is not None
    assert replace(WANTED, schema="public") == named.definition
    assert (1, "cancelled", "somebody else has changed the index") == journal.ends[0]


def test_another_index_that_has_the_name_just_before_its_drop_is_kept(
    connection: Connection,
) -> None:
    connection.execute("CREATE INDEX words_word ON words (word)")
    other = "DROP INDEX words_word; CREATE INDEX words_word ON words (id)"

    journal = Meanwhile(connection.info.dsn, "DROP", other)
    step = drop_step(connection, "words_word")
    with pytest.raises(MigrationError, match="was not dropped: it is another one by now"):
        operations.perform(Work(connection, SETTINGS, journal=journal), step)
    assert {"words_word": True} == names(connection)


def test_an_invalid_index_that_becomes_valid_just_before_its_drop_is_kept(
    connection: Connection,
) -> None:
    """Somebody has built it to its end between the two looks."""
    connection.execute("CREATE INDEX words_word ON words (word)")
    invalid = "UPDATE pg_index SET indisvalid = {} WHERE indexrelid = 'words_word'::regclass"
    connection.execute(invalid.format("false"))
    before = found(connection)

    journal = Meanwhile(connection.info.dsn, "DROP", invalid.format("true"))
    build(connection, WANTED, journal=journal)
    after = found(connection)
    assert before is not None
    assert after is not None
    assert (before.oid, True) == (after.oid, after.valid)
