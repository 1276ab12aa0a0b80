"""An index on a partitioned table: built leaf by leaf, attached, repaired, dropped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import psycopg
import pytest

from dbopt.errors import MigrationError
from dbopt.migrate import operations
from dbopt.migrate.names import leaf_name, new_name
from dbopt.migrate.progress import Blocker, Progress
from dbopt.migrate.script import statements
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.watch import Watcher
from dbopt.migrate.work import Change, Work
from dbopt.pg import catalog
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from tests.integration.migrate_support import (
    SETTINGS,
    Kept,
    Meanwhile,
    apply,
    build,
    drop_step,
    found,
    in_background,
    names,
    planned,
)
from tests.support import wait_until

TREE = """
CREATE TABLE logs (id int, day date, word text) PARTITION BY RANGE (day);
CREATE TABLE logs_a PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE logs_b PARTITION OF logs FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')
    PARTITION BY HASH (id);
CREATE TABLE logs_b0 PARTITION OF logs_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE logs_b1 PARTITION OF logs_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO logs SELECT n, '2026-01-01'::date + n % 55, 'w' || n FROM generate_series(1, 200) n;
"""
TABLES = ("logs", "logs_a", "logs_b", "logs_b0", "logs_b1")
WANTED = IndexDefinition("logs_word", "", "logs", "btree", (IndexKey("word"),))


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TREE)
        yield made


def whole(connection: Connection) -> bool:
    """Whether every table of the tree has one valid index, and nothing else."""
    return all(list(names(connection, table).values()) == [True] for table in TABLES)


def leaf(connection: Connection, table: str, name: str = "logs_word") -> str:
    return leaf_name(replace(canonical(connection, WANTED), name=name), table)


def test_a_tree_is_built_leaf_by_leaf(connection: Connection) -> None:
    journal, own = Kept(), leaf(connection, "logs_a")

    assert Action.CREATE is build(connection, WANTED, journal=journal).action

    assert whole(connection)
    assert [
        "CREATE INDEX logs_word ON ONLY public.logs USING btree (word)",
        f"CREATE INDEX CONCURRENTLY {own} ON public.logs_a USING btree (word)",
        f"ALTER INDEX public.logs_word ATTACH PARTITION public.{own}",
    ] == [change.sql for change in journal.changes[:3]]
    assert {"done"} == {outcome for _, outcome, _ in journal.ends}
    assert [] == [s for s in planned(connection, WANTED) if s.action is not Action.PRESENT]


def test_partitions_whose_long_names_begin_alike(connection: Connection) -> None:
    """A name made of the part that all have in common was the first one's alone."""
    for old in ("logs_a", "logs_b", "logs_b0", "logs_b1"):
        connection.execute(f"ALTER TABLE {old} RENAME TO {'x' * 50}_{old}")

    assert Action.CREATE is build(connection, WANTED).action

    assert [] == [s for s in planned(connection, WANTED) if s.action is not Action.PRESENT]


def test_a_sub_partitions_name_that_somebody_takes_meanwhile(connection: Connection) -> None:
    """The leaves below were attached to whatever had the name."""
    taken = f"CREATE INDEX {leaf(connection, 'logs_b')} ON logs_a (id)"
    journal = Meanwhile(connection.info.dsn, "ON ONLY public.logs_b", taken)

    build(connection, WANTED, journal=journal)

    assert [] == [s for s in planned(connection, WANTED) if s.action is not Action.PRESENT]


def test_a_tree_without_partitions_is_ready_at_once(connection: Connection) -> None:
    connection.execute("CREATE TABLE bare (id int) PARTITION BY RANGE (id)")
    build(connection, replace(WANTED, table="bare", keys=(IndexKey("id"),)))

    assert names(connection, "bare") == {"logs_word": True}


def test_what_partitions_have_already_is_attached(connection: Connection) -> None:
    connection.execute("CREATE INDEX own ON logs_a (word); CREATE INDEX other ON logs_b (word)")
    before = found(connection, "own")

    build(connection, WANTED)

    after = found(connection, "own")
    assert whole(connection)
    assert after is not None
    assert before is not None
    assert after.oid == before.oid


def test_an_attached_invalid_leaf_is_repaired_in_its_place(connection: Connection) -> None:
    """PostgreSQL makes the parent valid when one is attached again, not when it is repaired."""
    unique = replace(WANTED, unique=True, keys=(IndexKey("day"), IndexKey("id")))
    connection.execute("INSERT INTO logs VALUES (1000, '2026-01-01'), (1000, '2026-01-01')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY own ON logs_a (day, id)")
    connection.execute("CREATE UNIQUE INDEX logs_word ON ONLY logs (day, id)")
    connection.execute("ALTER INDEX logs_word ATTACH PARTITION own")
    connection.execute("DELETE FROM logs WHERE id = 1000")
    journal = Kept()

    assert Action.ATTACH is build(connection, unique, journal=journal).action

    assert whole(connection)
    assert "REINDEX INDEX CONCURRENTLY public.own" in [change.sql for change in journal.changes]


def test_a_repair_that_fails_leaves_no_copy(connection: Connection) -> None:
    unique = replace(WANTED, unique=True, keys=(IndexKey("day"), IndexKey("id")))
    connection.execute("INSERT INTO logs VALUES (1000, '2026-01-01'), (1000, '2026-01-01')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY own ON logs_a (day, id)")
    connection.execute("CREATE UNIQUE INDEX logs_word ON ONLY logs (day, id)")
    connection.execute("ALTER INDEX logs_word ATTACH PARTITION own")

    with pytest.raises(MigrationError, match=r"rows that are not.*is invalid still"):
        build(connection, unique)
    assert names(connection, "logs_a") == {"own": False}


def test_a_parent_that_only_has_to_look_again(connection: Connection) -> None:
    """All are attached and valid, and the parent is not."""
    build(connection, WANTED)
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN"
        " ('logs_word'::regclass, (SELECT inhrelid FROM pg_inherits"
        "   WHERE inhparent = 'logs_word'::regclass AND inhrelid IN"
        "   (SELECT indexrelid FROM pg_index WHERE indrelid = 'logs_b'::regclass)))"
    )

    assert Action.ATTACH is build(connection, WANTED).action
    assert whole(connection)


def test_a_partition_that_comes_meanwhile_gets_its_own(connection: Connection) -> None:
    class Coming(Kept):
        def began(self, change: Change) -> int:
            if "logs_a" in change.sql and len(self.changes) < 3:
                connection_b.execute(
                    "CREATE TABLE logs_c (LIKE logs);"
                    "ALTER TABLE logs ATTACH PARTITION logs_c"
                    " FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"
                )
                self.changes += [change] * 3
            return super().began(change)

    with connect(connection.info.dsn) as connection_b:
        build(connection, WANTED, journal=Coming())
    assert whole(connection)
    assert list(names(connection, "logs_c").values()) == [True]


@pytest.mark.parametrize("word", ["CONCURRENTLY logs_a_", "ATTACH PARTITION public.logs_a_"])
@pytest.mark.parametrize(
    ("sql", "now"),
    [
        ("ALTER TABLE logs DETACH PARTITION logs_a", {}),
        ("ALTER TABLE logs_a RENAME TO logs_z", {"logs_z": 1}),
        ("DROP TABLE logs_a; CREATE TABLE logs_a (LIKE logs)", {}),
    ],
)
def test_a_partition_that_goes_meanwhile_fails_nothing(
    connection: Connection, sql: str, now: dict[str, int], word: str
) -> None:
    """Between the look at the tree and the statement; its index goes where it had one already."""
    build(connection, WANTED, journal=Meanwhile(connection.info.dsn, word, sql))

    assert {"logs_word": True} == names(connection, "logs")
    tables = ["logs_b0", "logs_b1", *now]
    assert [[True]] * len(tables) == [list(names(connection, one).values()) for one in tables]
    assert now or {} == names(connection, "logs_a")


def test_a_build_that_gives_way_to_a_detach_is_not_done_again(
    connection: Connection, pg_dsn: str
) -> None:
    journal = Kept()
    with psycopg.connect(pg_dsn) as reader, connect(pg_dsn) as mine:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT FROM pg_class LIMIT 1")
        with in_background(lambda: build(mine, WANTED, journal=journal)) as raised:
            wait_until(lambda: names(connection, "logs_a"), what="the build")
            connection.execute("ALTER TABLE logs DETACH PARTITION logs_a")
            reader.rollback()
    assert raised == []
    built = [change for change in journal.changes if change.sql.startswith("CREATE INDEX CONC")]
    assert ["logs_a", "logs_b0", "logs_b1"] == [change.definition.table for change in built]
    assert [{"logs_word": True}, {}] == [names(connection, one) for one in ("logs", "logs_a")]


def test_a_unique_one_without_the_partition_key_is_refused_in_words(
    connection: Connection,
) -> None:
    step = planned(connection, WANTED)[0]
    bad = replace(step, definition=replace(step.definition, unique=True))

    with pytest.raises(MigrationError, match="must hold all columns of the partition key"):
        operations.perform(Work(connection, SETTINGS), bad)
    assert [{}] * 5 == [names(connection, table) for table in TABLES]


def test_foreign_partitions_are_refused(connection: Connection) -> None:
    step = planned(connection, WANTED)[0]
    connection.execute(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE FOREIGN TABLE logs_f PARTITION OF logs FOR VALUES FROM ('2027-01-01') TO"
        " ('2027-02-01') SERVER s"
    )

    with pytest.raises(MigrationError, match="foreign tables"):
        operations.perform(Work(connection, SETTINGS), step)


def test_a_failing_leaf_keeps_the_others_for_the_next_run(connection: Connection) -> None:
    unique = replace(WANTED, unique=True, keys=(IndexKey("day"), IndexKey("id")))
    connection.execute("INSERT INTO logs VALUES (1000, '2026-02-01'), (1000, '2026-02-01')")

    with pytest.raises(MigrationError, match="rows that are not"):
        build(connection, unique)
    kept = names(connection, "logs_a")
    assert list(kept.values()) == [True]
    connection.execute("DELETE FROM logs WHERE id = 1000")
    build(connection, unique)
    assert whole(connection)
    assert kept == names(connection, "logs_a")


def test_a_tree_is_replaced_and_replaced_back(connection: Connection) -> None:
    other = replace(WANTED, keys=(IndexKey("id"),))
    for wanted in (WANTED, other, WANTED, other):
        build(connection, wanted)
        assert whole(connection)
        assert list(names(connection, "logs")) == ["logs_word"]
    index = found(connection, "logs_word")
    assert index is not None
    assert index.definition.keys == other.keys
    assert found(connection, new_name("logs_word")) is None


def test_a_tree_is_dropped_with_what_was_never_attached(connection: Connection) -> None:
    stored = canonical(connection, WANTED)
    connection.execute("CREATE INDEX logs_word ON ONLY logs (word)")
    connection.execute(f"CREATE INDEX {leaf(connection, 'logs_a')} ON logs_a (word)")
    journal = Kept()
    index = found(connection, "logs_word")

    operations.perform(Work(connection, SETTINGS, journal), Step(Action.DROP, stored, index))

    assert [{}] * 5 == [names(connection, table) for table in TABLES]
    assert "DROP INDEX IF EXISTS public.logs_word" == journal.changes[0].sql
    assert "CREATE INDEX logs_word ON public.logs USING btree (word)" == journal.changes[0].reverse


@pytest.mark.parametrize("scripted", [False, True])
def test_a_tree_is_dropped_with_a_branch_that_was_never_attached(
    connection: Connection, scripted: bool
) -> None:
    """A run was killed when one of a partition's own two partitions had its index."""
    branch, *leaves = (leaf(connection, table) for table in ("logs_b", "logs_b0", "logs_b1"))
    connection.execute("CREATE INDEX logs_word ON ONLY logs (word)")
    connection.execute(f"CREATE INDEX {branch} ON ONLY logs_b (word)")
    connection.execute(f"CREATE INDEX {leaves[0]} ON logs_b0 (word)")
    connection.execute(f"ALTER INDEX {branch} ATTACH PARTITION {leaves[0]}")
    connection.execute(f"CREATE INDEX {leaves[1]} ON logs_b1 (word)")
    managed = (("public", "logs_word"),)

    if scripted:
        (part,) = statements(planned(connection, managed=managed), catalog.read(connection))
        for one in part.statements:
            connection.execute(one.sql)
    else:
        apply(connection, managed=managed)

    assert [{}] * 5 == [names(connection, table) for table in TABLES]


def test_expressions_of_leaves_are_analyzed(connection: Connection) -> None:
    build(connection, replace(WANTED, keys=(IndexKey("upper(word)", is_column=False),)))

    row = connection.execute(
        "SELECT count(DISTINCT tablename) AS n FROM pg_stats WHERE tablename LIKE 'logs%idx'"
    ).fetchone()
    assert row == {"n": 3}


def test_a_short_lock_is_tried_for_again_and_again(connection: Connection, pg_dsn: str) -> None:
    """ON ONLY wants SHARE: no writer waits behind it for longer than lock_timeout."""
    journal = Kept()
    with psycopg.connect(pg_dsn) as writer, connect(pg_dsn) as mine:
        writer.execute("LOCK TABLE logs IN ROW EXCLUSIVE MODE")
        with in_background(lambda: build(mine, WANTED, journal=journal)) as raised:
            wait_until(lambda: len(journal.ends) > 1, what="a second try")
            writer.rollback()
    assert raised == []
    assert whole(connection)
    assert ["failed", "failed"] == [outcome for _, outcome, _ in journal.ends[:2]]
    assert "55P03" in journal.ends[0][2]


def test_a_short_lock_that_is_never_free_is_told_with_its_holder(
    connection: Connection, pg_dsn: str
) -> None:
    settings = replace(SETTINGS, lock_timeout=1.5, attempts=1)
    with psycopg.connect(pg_dsn, application_name="import") as writer:
        writer.execute("LOCK TABLE logs IN ROW EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match=r"others have held locks .*: it waited .*import"):
            build(connection, WANTED, settings)
    assert [{}] * 5 == [names(connection, table) for table in TABLES]


@pytest.fixture
def give_way_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first look somebody has waited for us too long."""
    looks = count()

    def once(*_: object) -> Blocker | None:
        return Blocker(7, "web", "", "active", 1.0) if next(looks) == 0 else None

    monkeypatch.setattr(Watcher, "must_give_way", once)


@pytest.mark.usefixtures("give_way_once")
@pytest.mark.parametrize(
    ("before", "held"),
    [
        ("", "LOCK TABLE logs IN ROW EXCLUSIVE MODE"),
        ("CREATE INDEX other ON logs (word)", "ALTER INDEX other RENAME TO another"),
    ],
    ids=["ON ONLY", "rename"],
)
def test_a_short_statement_gives_way_and_is_tried_again(
    connection: Connection, pg_dsn: str, before: str, held: str
) -> None:
    journal = Kept()
    connection.execute(before)
    settings = replace(SETTINGS, lock_timeout=5.0)
    with psycopg.connect(pg_dsn) as holder, connect(pg_dsn) as mine:
        step = planned(mine, WANTED)[0]
        holder.execute(held)
        work = Work(mine, settings, journal)
        with in_background(lambda: operations.perform(work, step)) as raised:
            wait_until(lambda: journal.ends, what="it to give way")
            holder.rollback()
    assert raised == []
    assert whole(connection)
    assert ("cancelled", "done") == (journal.ends[0][1], journal.ends[-1][1])
    assert "pid 7 (user web, active" in journal.ends[0][2]


def test_the_looks_say_which_partition(connection: Connection, pg_dsn: str) -> None:
    looks: list[Progress] = []
    with psycopg.connect(pg_dsn) as writer, connect(pg_dsn) as mine:
        writer.execute("LOCK TABLE logs_b0 IN ROW EXCLUSIVE MODE")
        with in_background(lambda: build(mine, WANTED, report=looks.append)) as raised:
            # Of another partition too there may be a look, on a slow machine.
            (look, *_) = wait_until(lambda: [one for one in looks if one.blockers], what="a look")
            writer.rollback()
    assert raised == []
    assert (2, 3) == look.part
    assert "logs_word" == look.name
    assert look.note.startswith("partition 2 of 3, waiting for writers before build, waiting ")
    assert 1 / 3 <= look.fraction < 2 / 3


def test_postgresql_15_builds_and_drops_trees_too(pg15_dsn: str) -> None:
    with connect(pg15_dsn) as old:
        old.execute(TREE)
        build(old, WANTED)
        assert whole(old)
        operations.perform(Work(old, SETTINGS), drop_step(old, "logs_word"))
        assert apply(old, replace(WANTED, keys=(IndexKey("id"),)))[0].valid
        assert whole(old)


def test_a_statement_of_many_locks_waits_for_them_together(
    connection: Connection, pg_dsn: str
) -> None:
    """To drop a tree locks all of its tables: what it has keeps readers out while it wants more."""
    build(connection, WANTED)
    step, journal = drop_step(connection, "logs_word"), Kept()
    settings = replace(SETTINGS, lock_timeout=0.6)
    with psycopg.connect(pg_dsn) as reader, connect(pg_dsn) as mine:
        reader.execute("SELECT * FROM logs_b1")
        with in_background(
            lambda: operations.perform(Work(mine, settings, journal), step)
        ) as raised:
            wait_until(lambda: journal.changes, what="the drop to begin")
            started = time.monotonic()
            connection.execute("SELECT * FROM ONLY logs")
            blocked = time.monotonic() - started
            wait_until(lambda: journal.ends, what="its end")
            reader.rollback()
    assert raised == []
    assert blocked < 10 * settings.lock_timeout
    assert {} == names(connection, "logs")
