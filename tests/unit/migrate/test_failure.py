from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from psycopg import errors

from dbopt.errors import DeadlinePassed, MigrationError, ServerLost
from dbopt.migrate import failure
from dbopt.migrate.progress import Blocker
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.task import Task
from dbopt.migrate.watch import GaveWay
from dbopt.migrate.work import Deadline, Work
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("i", "s", "t", "btree", (IndexKey("a"),))


def _task(**work: Any) -> Task:
    """A task that talks to no server."""
    none = cast("Any", SimpleNamespace())
    made = Task(Work(none, Migrate(), **work), Step(Action.CREATE, WANTED), none, none)
    made.blockers = (Blocker(7, "ann", "", "", 0),)
    return made


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (errors.UniqueViolation("(a)=(5)"), "is unique, and the table holds rows", "duplicates"),
        (errors.DiskFull("base/5"), "the disk is full, in the tablespace or where", "TABLESPACE"),
        (errors.OutOfMemory(), "no memory left", "maintenance_work_mem"),
        (errors.InsufficientPrivilege(), "the role may not", "owner"),
        (errors.ProgramLimitExceeded(), "values too long", "md5"),
        (errors.DeadlockDetected(), "have waited for each other", "Run again"),
        (errors.UndefinedTable(), "the table is gone", "Correct"),
        (errors.LockNotAvailable(), "each time: it waited for pid 7 (user ann", "lock_timeout"),
        (errors.FeatureNotSupported(), "the partition key", "Correct"),
        (errors.ReadOnlySqlTransaction(), "25006", "standby"),
        (errors.InternalError("boom"), "XX000", "Mend"),
        (errors.QueryCanceled(), "somebody has cancelled it", "agree"),
        (
            GaveWay(Blocker(8, "web", "", "active", 0)),
            "that waited for its lock, at last to pid 8 (user web, active).",
            "Run again",
        ),
    ],
)
def test_each_cause_has_its_words_and_its_remedy(error: Exception, words: str, remedy: str) -> None:
    made = failure.of(_task(), WANTED, error, "Something is left.")

    assert made.message.startswith('The index "i" on t ')
    assert words in made.message
    assert made.message.endswith(" Something is left.")
    assert remedy in made.hint
    assert "5" not in made.message.replace("25006", "")
    assert type(made) is MigrationError


def test_a_lost_connection_is_lost() -> None:
    for error in (errors.AdminShutdown(), psycopg.OperationalError("gone")):
        assert isinstance(failure.of(_task(), WANTED, error), ServerLost)


def test_a_full_tablespace_is_named() -> None:
    made = failure.of(_task(), replace(WANTED, tablespace="fast"), errors.DiskFull())

    assert 'in the tablespace "fast" or' in made.message


def test_whose_time_was_over_is_told() -> None:
    task = _task()
    task.limit = Deadline(0.0, 1.0)
    late = _task(deadline=Deadline(0.0, 30.0))
    late.limit = Deadline(0.0, 1.0)

    made = failure.of(task, WANTED, errors.QueryCanceled())
    assert "was not built within 3600 s: it waited for pid 7" in made.message
    assert "migrate.build_timeout" in made.hint
    whole = failure.of(late, WANTED, errors.QueryCanceled())
    assert isinstance(whole, DeadlinePassed)
    assert "before the 30 s that were given were over" in whole.message
