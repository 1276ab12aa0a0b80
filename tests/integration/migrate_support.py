"""What tests of index operations share: a table, indexes, blockers, one step performed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest

from dbopt.migrate import operations
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.migrate.plan import make_plan
from dbopt.migrate.steps import Action, Step, Wanted
from dbopt.migrate.work import Built, Change, Work
from dbopt.pg import catalog, ddl
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Migrate, Server, Settings
from dbopt.sql.indexdef import IndexDefinition, IndexKey

SETTINGS = Migrate(lock_timeout=0.2, build_timeout=60)
WANTED = IndexDefinition("words_word", "", "words", "btree", (IndexKey("word"),))
UNIQUE = replace(WANTED, unique=True)
TABLES = """
CREATE TABLE words (id int, word text);
CREATE TABLE other (id int);
INSERT INTO words SELECT n, 'w' || n % 100 FROM generate_series(1, 500) n
"""


@dataclass(slots=True)
class Kept:
    """A journal that keeps what it is told."""

    changes: list[Change] = field(default_factory=list)
    ends: list[tuple[int, str, str]] = field(default_factory=list)

    def began(self, change: Change) -> int:
        self.changes.append(change)
        return len(self.changes)

    def ended(self, number: int, outcome: str, message: str = "") -> None:
        self.ends.append((number, outcome, message))


class Meanwhile(Kept):
    """Another session does something just before the first statement that has those words."""

    def __init__(self, dsn: str, words: str, sql: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._words = words
        self._sql = sql

    def began(self, change: Change) -> int:
        if self._sql and self._words in change.sql:
            sql, self._sql = self._sql, ""
            with connect(self._dsn) as other:
                other.execute(sql)
        return super().began(change)


def planned(
    connection: Connection,
    *wanted: IndexDefinition,
    managed: tuple[tuple[str, str], ...] = (),
    prune: bool = False,
) -> list[Step]:
    """The plan of these."""
    found = [Wanted(canonical(connection, one)) for one in wanted]
    return make_plan(found, catalog.read(connection), managed=managed, prune=prune)


def apply(
    connection: Connection,
    *wanted: IndexDefinition,
    settings: Migrate = SETTINGS,
    managed: tuple[tuple[str, str], ...] = (),
    **work: Any,
) -> list[Built]:
    """Plan and perform each step that changes something or says why not, as a run does."""
    built = []
    for step in planned(connection, *wanted, managed=managed):
        if step.action is Action.PRESENT:
            continue
        built.append(operations.perform(Work(connection, settings, **work), step))
        if built[-1].action is Action.BUSY:
            return built + apply(connection, *wanted, settings=settings, managed=managed, **work)
    return built


def build(
    connection: Connection, wanted: IndexDefinition, settings: Migrate = SETTINGS, **work: Any
) -> Built:
    """Perform the step of one index, whatever it is."""
    step = planned(connection, wanted)[0]
    return operations.perform(Work(connection, settings, **work), step)


def names(connection: Connection, table: str = "words") -> dict[str, bool]:
    """The indexes of a table, and whether each is valid."""
    rows = connection.execute(
        "SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index"
        " WHERE indrelid = %s::regclass ORDER BY 1",
        (table,),
    ).fetchall()
    return {row["name"]: row["valid"] for row in rows}


def found(connection: Connection, name: str = "words_word") -> catalog.Index | None:
    return ddl.find(connection, "public", name)


def drop_step(connection: Connection, name: str) -> Step:
    """The drop of an index that is there."""
    index = found(connection, name)
    assert index is not None
    return Step(Action.DROP, index.definition, index)


def leave_invalid(connection: Connection, definition: IndexDefinition = UNIQUE) -> None:
    """A failed unique build."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        ddl.create(connection, definition, concurrently=True)
    assert names(connection, definition.table)[definition.name] is False


def being_built(connection: Connection, name: str = "words_word") -> bool:
    index = found(connection, name)
    return index is not None and index.builder_pid is not None


@contextmanager
def old_snapshot(dsn: str) -> Iterator[psycopg.Connection]:
    """A REPEATABLE READ transaction on another table: every concurrent build waits for it."""
    with psycopg.connect(dsn, application_name="report") as blocker:
        blocker.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        blocker.execute("SELECT count(*) FROM other")
        yield blocker
        blocker.rollback()


@contextmanager
def locked(dsn: str, wait: float = 1.0) -> Iterator[Guard]:
    """Another run, which has the migration lock within `wait` seconds, and holds it."""
    settings = Settings(server=Server(dsn=dsn))
    with Guard(lambda: direct_session(settings), print) as guard:
        guard.take(wait)
        guard.call("deploy")
        yield guard


@contextmanager
def in_background(act: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Run it in a thread, and wait for its end; what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def elsewhere(dsn: str, sql: str, *, name: str = "somebody") -> Iterator[int]:
    """Another session that runs a statement meanwhile; its process id."""
    with connect(dsn, application_name=name) as other:
        pid = other.info.backend_pid
        with in_background(lambda: other.execute(sql)):
            yield pid
