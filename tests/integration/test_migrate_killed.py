"""dbopt is killed (SIGKILL) at every point of every operation, then does the step again.

The journal is told before and after each statement that changes something, so one that kills the
process at its n-th call stops exactly between two statements; all n are tried.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from dbopt.migrate.steps import Action
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    UNIQUE,
    WANTED,
    Kept,
    apply,
    being_built,
    build,
    found,
    leave_invalid,
    names,
    old_snapshot,
    planned,
)
from tests.integration.test_migrate_partitions import TREE
from tests.support import wait_until

BY_ID = replace(WANTED, keys=(IndexKey("id"),))
LOGS = replace(WANTED, name="logs_word", table="logs")
MANAGED = (("public", "gone"),)


@dataclass(slots=True)
class Killing(Kept):
    """Kills its process at the n-th call, counted from 0."""

    left: int = 0

    def began(self, change: object) -> int:
        self._count()
        return 0

    def ended(self, number: int, outcome: str, message: str = "") -> None:
        self._count()

    def _count(self) -> None:
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


@dataclass(frozen=True, slots=True)
class Case:
    """`before` is the state, `wanted` what is declared, `points` how many calls there are."""

    before: str
    wanted: tuple[IndexDefinition, ...]
    points: int
    tables: tuple[str, ...] = ("words",)


CASES = {
    "create": Case("", (WANTED,), 2),
    "create, with statistics": Case(
        "", (replace(WANTED, keys=(IndexKey("upper(word)", is_column=False),)),), 4
    ),
    "rename": Case("CREATE INDEX already ON words (word)", (WANTED,), 2),
    "replace": Case("CREATE INDEX words_word ON words (id)", (WANTED,), 6),
    "change names": Case(
        "CREATE INDEX words_id ON words (word); CREATE INDEX words_word ON words (id)",
        (WANTED, replace(BY_ID, name="words_id")),
        4,
    ),
    "drop": Case("CREATE INDEX gone ON words (id)", (), 2),
    "tree": Case(TREE, (LOGS,), 18, ("logs", "logs_a", "logs_b", "logs_b0", "logs_b1")),
    "tree, half made": Case(
        f"{TREE}; CREATE INDEX own ON logs_a (word); CREATE INDEX logs_word ON ONLY logs (word)",
        (LOGS,),
        14,
        ("logs", "logs_a", "logs_b", "logs_b0", "logs_b1"),
    ),
    "tree, replaced": Case(
        f"{TREE}; CREATE INDEX logs_word ON logs (id)",
        (LOGS,),
        22,
        ("logs", "logs_a", "logs_b", "logs_b0", "logs_b1"),
    ),
}


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Where a process with everything imported is forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        yield made


def _perform(dsn: str, wanted: tuple[IndexDefinition, ...], left: int) -> None:
    with connect(dsn) as mine:
        apply(mine, *wanted, managed=MANAGED, journal=Killing(left=left))


def _killed_at(
    forks: multiprocessing.context.ForkServerContext, dsn: str, case: Case, point: int
) -> int | None:
    process = forks.Process(target=_perform, args=(dsn, case.wanted, point))
    process.start()
    process.join(60)
    return process.exitcode


def _again(connection: Connection, before: str) -> None:
    connection.execute("DROP TABLE IF EXISTS words, other, logs; " + TABLES)
    if before:
        connection.execute(before)


@pytest.mark.parametrize("name", CASES)
def test_killed_between_any_two_statements(
    forks: multiprocessing.context.ForkServerContext,
    connection: Connection,
    pg_dsn: str,
    name: str,
) -> None:
    case = CASES[name]
    # All points of what is short; of a replaced tree every third, the three kinds in turn.
    points = range(0, case.points, 1 if case.points < 20 else 3)
    for point in points:
        _again(connection, case.before)
        assert -signal.SIGKILL == _killed_at(forks, pg_dsn, case, point)

        apply(connection, *case.wanted, managed=MANAGED)

        _is_as_declared(connection, case)
    _again(connection, case.before)
    assert 0 == _killed_at(forks, pg_dsn, case, case.points), "there are more points"
    _is_as_declared(connection, case)


def _is_as_declared(connection: Connection, case: Case) -> None:
    assert [] == [
        step
        for step in planned(connection, *case.wanted, managed=MANAGED)
        if step.action is not Action.PRESENT
    ]
    there = [names(connection, table) for table in case.tables]
    assert all(valid for indexes in there for valid in indexes.values()), there
    # One of each declared one on each table, and no other.
    assert [len(case.wanted)] * len(case.tables) == list(map(len, there)), there
    assert {one.name for one in case.wanted} == set(there[0])


def test_killed_while_an_invalid_one_is_rebuilt(
    forks: multiprocessing.context.ForkServerContext, connection: Connection, pg_dsn: str
) -> None:
    case = Case("", (UNIQUE,), 4)
    for point in range(case.points):
        _again(connection, "")
        leave_invalid(connection)
        connection.execute("DELETE FROM words WHERE id > 100")
        assert -signal.SIGKILL == _killed_at(forks, pg_dsn, case, point)
        apply(connection, UNIQUE)
        _is_as_declared(connection, case)


def test_the_server_goes_on_after_a_kill_and_its_work_is_used(
    forks: multiprocessing.context.ForkServerContext, connection: Connection, pg_dsn: str
) -> None:
    _again(connection, "")
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        blocker.rollback()

    with old_snapshot(pg_dsn) as blocker:
        process = forks.Process(target=_perform, args=(pg_dsn, (WANTED,), 99))
        process.start()
        wait_until(lambda: being_built(connection), what="the build to show")
        orphan = found(connection)
        process.kill()
        process.join(60)
        build(connection, WANTED, tell=tell)
    after = found(connection)
    assert orphan is not None
    assert after is not None
    assert (orphan.oid, True) == (after.oid, after.valid)
    assert "a run that has ended: waiting for it." in told[0]


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_tree_is_cleaned_up(
    forks: multiprocessing.context.ForkServerContext,
    connection: Connection,
    pg_dsn: str,
    which: signal.Signals,
) -> None:
    """A build is cancelled and its index dropped; what is finished stays for the next run."""
    _again(connection, TREE)
    wanted = canonical(connection, LOGS)
    with old_snapshot(pg_dsn):
        process = forks.Process(target=_until_a_signal, args=(pg_dsn, LOGS))
        process.start()
        wait_until(lambda: names(connection, "logs_a"), what="the build to show")
        assert process.pid is not None
        os.kill(process.pid, which)
        process.join(60)
        assert 42 == process.exitcode
        assert {} == names(connection, "logs_a")
    build(connection, LOGS)
    assert names(connection, wanted.table) == {"logs_word": True}


def test_a_signal_in_the_middle_of_a_swap_leaves_both_names(
    forks: multiprocessing.context.ForkServerContext, connection: Connection, pg_dsn: str
) -> None:
    _again(connection, "CREATE INDEX words_word ON words (id)")
    with connect(pg_dsn) as holder:
        holder.execute("BEGIN; ALTER INDEX words_word SET (fillfactor = 80)")
        process = forks.Process(target=_until_a_signal, args=(pg_dsn, WANTED))
        process.start()
        wait_until(lambda: _waits_for_a_lock(connection), what="the swap to wait")
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        holder.execute("COMMIT")
    assert 42 == process.exitcode
    assert names(connection) == {"words_word": True, "words_word_dbopt_new": True}
    build(connection, WANTED)
    assert names(connection) == {"words_word": True}


def _waits_for_a_lock(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE 'BEGIN; ALTER INDEX%' AND datname = current_database()"
    ).fetchone()
    return row != {"n": 0}


def _until_a_signal(dsn: str, wanted: IndexDefinition) -> None:
    def leave(number: int, frame: object) -> None:
        raise SystemExit(42)

    signal.signal(signal.SIGTERM, leave)
    try:
        with connect(dsn) as mine:
            build(mine, wanted, replace(SETTINGS, lock_timeout=20))
    except KeyboardInterrupt:
        raise SystemExit(42) from None
