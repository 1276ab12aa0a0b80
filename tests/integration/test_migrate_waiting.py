"""Who waits for whom: blockers, deadlines, others' builds, the application's right of way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import DeadlinePassed, MigrationError, ServerLost
from dbopt.index.audit import audit
from dbopt.migrate import operations
from dbopt.migrate.names import new_name
from dbopt.migrate.progress import Progress
from dbopt.migrate.steps import Action
from dbopt.migrate.work import Built, Deadline, Work
from dbopt.pg import catalog, ddl
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index as IndexSettings
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    WANTED,
    Kept,
    apply,
    being_built,
    build,
    drop_step,
    elsewhere,
    found,
    in_background,
    names,
    old_snapshot,
)
from tests.support import wait_until


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TABLES)
        yield made


# --- who waits for whom


def test_a_blocked_build_names_the_blocker_and_leaves_nothing(
    connection: Connection, pg_dsn: str
) -> None:
    looks: list[Progress] = []
    told: list[str] = []
    settings = replace(SETTINGS, build_timeout=2)
    with old_snapshot(pg_dsn) as blocker:
        pid = f"pid {blocker.info.backend_pid} (user postgres, report, idle in transaction"
        with pytest.raises(MigrationError) as caught:
            build(connection, WANTED, settings, report=looks.append, tell=told.append)
        assert "was not built within 2 s: it waited for " + pid in caught.value.message
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
    with (
        old_snapshot(pg_dsn),
        connect(pg_dsn) as mine,
        in_background(lambda: build(mine, WANTED)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        connection.execute("SELECT pg_cancel_backend(%s)", (mine.info.backend_pid,))
    assert "somebody has cancelled it" in str(raised[0])
    assert names(connection) == {}


def test_a_build_cut_off_by_the_server_leaves_nothing(connection: Connection, pg_dsn: str) -> None:
    """The session is terminated: another one cleans up, and the next call goes on."""
    with (
        old_snapshot(pg_dsn),
        connect(pg_dsn) as mine,
        in_background(lambda: build(mine, WANTED)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        connection.execute("SELECT pg_terminate_backend(%s)", (mine.info.backend_pid,))
    assert [ServerLost] == list(map(type, raised))
    assert "Run again" in str(raised[0])
    assert names(connection) == {}
    assert Action.CREATE is build(connection, WANTED).action


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
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn, application_name="somebody") as other,
        in_background(lambda: ddl.create(other, WANTED, concurrently=True)),
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        assert audit(catalog.read(connection), IndexSettings()) == []
        with (
            connect(pg_dsn) as mine,
            in_background(
                lambda: build(mine, WANTED, tell=told.append, report=looks.append)
            ) as raised,
        ):
            wait_until(lambda: looks, what="a look at the other's build")
            blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}
    assert "by pid" in looks[0].phase
    assert ", another session: waiting for it." in told[0]


def test_anothers_build_is_never_cancelled(connection: Connection, pg_dsn: str) -> None:
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn, application_name="somebody") as other,
        in_background(lambda: ddl.create(other, WANTED, concurrently=True)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        with pytest.raises(DeadlinePassed, match=r"which pid .* somebody"):
            build(connection, WANTED, deadline=Deadline.after(0.5))
        blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}


def test_our_own_orphan_is_cancelled_at_the_deadline(connection: Connection, pg_dsn: str) -> None:
    """A dbopt that was killed: its session has our role and our application_name."""
    with (
        old_snapshot(pg_dsn),
        connect(pg_dsn) as orphan,
        in_background(lambda: ddl.create(orphan, WANTED, concurrently=True)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        with pytest.raises(DeadlinePassed, match=r"a run|which pid"):
            build(connection, WANTED, deadline=Deadline.after(0.5))
    assert [psycopg.errors.QueryCanceled] == list(map(type, raised))
    assert names(connection) == {}


def test_a_drop_that_is_blocked_says_by_whom(connection: Connection, pg_dsn: str) -> None:
    build(connection, WANTED)
    step = drop_step(connection, "words_word")
    with psycopg.connect(pg_dsn, application_name="reader") as reader:
        reader.execute("SELECT * FROM words LIMIT 1")
        with pytest.raises(MigrationError, match=r"(?s)reader.*End the long transactions"):
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
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn) as mine,
        in_background(lambda: build(mine, WANTED, settings, journal=journal)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        with connect(pg_dsn) as reader:
            reader.execute("SET statement_timeout = '10s'")
            with elsewhere(pg_dsn, "ALTER TABLE words ADD COLUMN more int") as pid:
                # It waits for a moment only: that may be over before it is looked at.
                wait_until(lambda: _waits(connection, pid) or journal.ends, what="the ALTER")
                reader.execute("SELECT count(*) FROM words")
        blocker.rollback()
    assert raised == []
    assert names(connection) == {"words_word": True}
    outcomes = [outcome for _, outcome, _ in journal.ends]
    assert outcomes[0] == "cancelled"
    assert outcomes[-1] == "done"


def test_with_a_long_lock_timeout_a_reader_waits_for_a_moment_only(
    connection: Connection, pg_dsn: str
) -> None:
    settings = replace(SETTINGS, lock_timeout=30.0)
    told: list[str] = []
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn) as mine,
        in_background(lambda: build(mine, WANTED, settings, tell=told.append)) as raised,
    ):
        wait_until(lambda: being_built(connection), what="the build to show")
        with (
            connect(pg_dsn) as reader,
            elsewhere(pg_dsn, "ALTER TABLE words ADD COLUMN more int") as pid,
        ):
            wait_until(lambda: _waits(connection, pid) or _gave_way(told), what="the ALTER")
            began = time.monotonic()
            reader.execute("SELECT count(*) FROM words")
            waited = time.monotonic() - began
        blocker.rollback()
    assert raised == []
    assert waited < settings.lock_timeout / 2
    assert any(f'"words_word" gives way to pid {pid} (user postgres, somebody' in t for t in told)


def test_one_that_must_always_give_way_ends_and_says_to_whom(
    connection: Connection, pg_dsn: str
) -> None:
    """The application alters the table every moment: nobody waits for long, and not for ever."""
    settings = replace(SETTINGS, attempts=2)
    stop = threading.Event()

    def alter() -> None:
        with connect(pg_dsn, application_name="deploys") as other:
            while not stop.wait(0.05):
                other.execute("BEGIN; LOCK TABLE words IN ACCESS EXCLUSIVE MODE; COMMIT")

    with old_snapshot(pg_dsn), connect(pg_dsn) as mine, in_background(alter):
        with pytest.raises(MigrationError, match=r"at last to pid \d+ \(user postgres, deploys"):
            build(mine, WANTED, settings)
        stop.set()
    assert names(connection).get("words_word") is not True


def test_a_build_that_a_blocker_of_its_own_waits_for_is_no_deadlock(
    connection: Connection, pg_dsn: str
) -> None:
    """PostgreSQL would end one of both after deadlock_timeout, perhaps the application's."""
    settings = replace(SETTINGS, lock_timeout=30)
    patient = make_conninfo(pg_dsn, options="-c deadlock_timeout=20s")  # not all machines are fast
    with psycopg.connect(patient) as writer, connect(patient) as mine:
        writer.execute("INSERT INTO words VALUES (1, 'x')")
        with in_background(lambda: build(mine, WANTED, settings)) as raised:
            wait_until(lambda: being_built(connection), what="the build to show")
            writer.execute("ALTER TABLE words ADD COLUMN more int")
            writer.commit()
    assert raised == []
    assert names(connection) == {"words_word": True}


def _gave_way(told: list[str]) -> bool:
    return any("gives way" in line for line in told)


def _waits(connection: Connection, pid: int) -> bool:
    row = connection.execute(
        "SELECT count(*) AS n FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)
    ).fetchone()
    return row != {"n": 0}


def test_a_drop_gives_way_too(connection: Connection, pg_dsn: str) -> None:
    build(connection, WANTED)
    journal = Kept()
    step = drop_step(connection, "words_word")
    settings = replace(SETTINGS, lock_timeout=0.5)
    with psycopg.connect(pg_dsn) as old, connect(pg_dsn) as mine:
        old.execute("SELECT * FROM words LIMIT 1")
        with (
            in_background(
                lambda: operations.perform(Work(mine, settings, journal), step)
            ) as raised,
            connect(pg_dsn) as reader,
        ):
            wait_until(lambda: _waits(connection, mine.info.backend_pid), what="the drop to wait")
            with elsewhere(pg_dsn, "ALTER TABLE words ADD COLUMN more int"):
                wait_until(lambda: journal.ends, what="the drop to end")
                old.rollback()
                reader.execute("SELECT count(*) FROM words")
    assert raised == []
    assert names(connection) == {}
    assert ["cancelled", "done"] == [outcome for _, outcome, _ in journal.ends]


@pytest.fixture
def owner(connection: Connection) -> Iterator[str]:
    """A role that owns the table, and sees of other sessions what everybody does."""
    connection.execute(
        "DROP ROLE IF EXISTS migrate_owner; CREATE ROLE migrate_owner LOGIN;"
        "GRANT CREATE, USAGE ON SCHEMA public TO migrate_owner;"
        "ALTER TABLE words OWNER TO migrate_owner"
    )
    yield "migrate_owner"
    connection.execute(
        "ALTER TABLE words OWNER TO postgres; DROP OWNED BY migrate_owner; DROP ROLE migrate_owner"
    )


def test_without_pg_monitor_a_blocker_is_named_as_far_as_can_be(
    connection: Connection, pg_dsn: str, owner: str
) -> None:
    with (
        old_snapshot(pg_dsn),
        connect(pg_dsn, user=owner) as mine,
        pytest.raises(MigrationError, match=r"user postgres, report, state hidden"),
    ):
        build(mine, WANTED, replace(SETTINGS, build_timeout=1))


def test_without_pg_monitor_anothers_build_is_waited_for(
    connection: Connection, pg_dsn: str, owner: str
) -> None:
    told: list[str] = []
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn, user=owner) as mine,
        connect(pg_dsn) as other,
        in_background(lambda: ddl.create(other, WANTED, concurrently=True)),
    ):
        wait_until(lambda: being_built(connection), what="the build to show")

        def tell(line: str) -> None:
            told.append(line)
            blocker.rollback()

        build(mine, WANTED, tell=tell)
    assert names(connection) == {"words_word": True}
    assert "another session: waiting for it." in told[0]


def test_a_successor_that_is_being_built_is_waited_for_and_used(
    connection: Connection, pg_dsn: str
) -> None:
    """A dbopt that was killed while it replaced an index: its server session goes on."""
    connection.execute("CREATE INDEX words_word ON words (id)")
    successor = replace(WANTED, name=new_name("words_word"))
    built: list[Built] = []
    with (
        old_snapshot(pg_dsn) as blocker,
        connect(pg_dsn) as orphan,
        connect(pg_dsn) as mine,
        in_background(lambda: ddl.create(orphan, successor, concurrently=True)),
    ):
        wait_until(lambda: being_built(connection, successor.name), what="the build to show")
        begun = found(connection, successor.name)
        with in_background(
            lambda: built.extend(apply(mine, WANTED, tell=lambda line: blocker.rollback()))
        ) as raised:
            pass
    assert raised == []
    assert [Action.BUSY, Action.REPLACE] == [one.action for one in built]
    index = found(connection)
    assert begun is not None
    assert index is not None
    assert index.oid == begun.oid
    assert names(connection) == {"words_word": True}
