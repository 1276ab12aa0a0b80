from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dbopt.migrate.effect import effect_of
from dbopt.migrate.names import old_name
from dbopt.migrate.plan import Action
from dbopt.migrate.undo import Undo
from dbopt.migrate.undo import undos as of_effect
from dbopt.pg.catalog import Catalog, Index
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from dbopt.store.indexruns import IndexStep
from tests.unit.index.builders import catalog, index, table

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def definition(name: str, *columns: str) -> IndexDefinition:
    return IndexDefinition(name, "s", "t", "btree", tuple(map(IndexKey, columns or ("a",))))


def undos(steps: list[IndexStep], there: Catalog, **more: Any) -> list[Undo]:
    return of_effect(effect_of(steps, there), there, **more)


def step(number: int, of: IndexDefinition, sql: str, **facts: Any) -> IndexStep:
    known = {"reverse": "known", "outcome": "done", **facts}
    return IndexStep(
        number, "create", "s", "t", of.name, of.create_sql(concurrently=False), sql, NOW, **known
    )


def created(number: int, of: IndexDefinition, **facts: Any) -> IndexStep:
    return step(number, of, of.create_sql(), **facts)


def dropped(number: int, of: IndexDefinition, **facts: Any) -> IndexStep:
    return step(number, of, f"DROP INDEX CONCURRENTLY IF EXISTS s.{of.name}", **facts)


def renamed(number: int, of: IndexDefinition, to: str) -> IndexStep:
    return step(number, of, f"ALTER INDEX s.{of.name} RENAME TO {to}")


def seen(found: list[Undo]) -> list[tuple[str, str, str]]:
    """Name, action and reason; the action "settled" where nothing is to be done."""
    return [
        (u.name, u.step.action.value if u.step else "settled" if u.settled else "left", u.reason)
        for u in found
    ]


A, B = definition("a"), definition("b", "b")


def undone(steps: list[IndexStep], *there: Index, **more: Any) -> list[tuple[str, str, str]]:
    return seen(undos(steps, catalog(indexes=list(there)), **more))


def test_a_created_index_is_dropped_if_it_is_still_that_one() -> None:
    steps = [created(1, A)]
    assert [("a", "drop", "")] == undone(steps, index("a", "a"))
    assert [("a", "settled", "it is not there any more")] == undone(steps)
    assert [("a", "left", "that name is another index's by now")] == undone(steps, index("a", "b"))
    assert [("a", "left", "pid 9 builds it now")] == undone(
        steps, index("a", "a", valid=False, builder_pid=9)
    )


def test_an_index_that_something_needs_by_now_is_kept() -> None:
    for facts in ({"constraint": "u"}, {"fk_target": True}, {"replica_identity": True}):
        [(name, action, reason)] = undone([created(1, A)], index("a", "a", **facts))
        assert ("a", "left") == (name, action)
        assert reason


def test_an_index_that_a_later_run_made_is_kept() -> None:
    there = index("a", "a")
    assert [("a", "left", "the run r2 has made it since: take that one back first")] == undone(
        [created(1, A)], there, made_by={("s", "a"): "r2"}, run="r1"
    )
    assert [("a", "drop", "")] == undone(
        [created(1, A)], there, made_by={("s", "a"): "r1"}, run="r1"
    )


def test_what_a_later_run_has_now_is_taken_back_first() -> None:
    later, steps = {("s", "z"): "r2"}, [renamed(1, A, "z")]
    first = "the run r2 has {} by now: take that one back first"
    # It has renamed what this one made, or has renamed before.
    assert [("a", "left", first.format("it as z"))] == undone(
        [created(1, A)], index("z", "a"), made_by=later, run="r1"
    )
    assert [("a", "settled", "it is not there any more")] == undone(
        [created(1, A)], index("z", "b"), made_by=later, run="r1"
    )
    moved = {("s", "y"): "r2"}
    assert [("a", "left", first.format("it as y"))] == undone(
        steps, index("y", "a"), made_by=moved, run="r1"
    )
    # It has made again what was gone meanwhile.
    made = "the run r2 has made it since: take that one back first"
    assert [("a", "left", made)] == undone(steps, index("z", "a"), made_by=later, run="r1")
    new = definition("a", "b")
    replaced = [dropped(1, A), created(2, new)]
    assert [("a", "left", made)] == undone(
        replaced, index("a", "b"), made_by={("s", "a"): "r2"}, run="r1"
    )
    assert [("a", "replace")] == [
        u[:2] for u in undone(replaced, index("a", "b"), made_by={("s", "a"): "r1"}, run="r1")
    ]


def test_a_dropped_index_is_built_again() -> None:
    steps = [dropped(1, A)]
    [undo] = undos(steps, catalog())
    assert undo.step is not None
    assert (Action.CREATE, A) == (undo.step.action, undo.step.definition)
    assert "CREATE INDEX CONCURRENTLY a ON s.t USING btree (a)" == undo.sql
    assert [("a", "settled")] == [u[:2] for u in undone(steps, index("a", "a"))]
    assert [("a", "settled", "other does what it did")] == undone(steps, index("other", "a"))


def test_the_table_may_be_gone() -> None:
    found = undos([dropped(1, A)], catalog(tables=[table("other")]))
    assert [("a", "left", "its table is not there any more")] == seen(found)


def test_a_name_is_given_back() -> None:
    steps = [renamed(1, A, "z")]
    [undo] = undos(steps, catalog(indexes=[index("z", "a")]))
    assert undo.step is not None
    assert Action.RENAME is undo.step.action
    assert "ALTER INDEX s.z RENAME TO a" == undo.sql
    assert [("a", "left", "z is not there any more")] == undone(steps, index("y", "a"))
    assert [("a", "left", "it is not there any more")] == undone(steps)
    needed = index("z", "a", fk_target=True)
    assert [("a", "left", "z keeps its name: a foreign key points at it")] == undone(steps, needed)
    # Of several that mean the same it is the one that was renamed.
    [undo] = undos(steps, catalog(indexes=[index("b", "a"), index("z", "a")]))
    assert "ALTER INDEX s.z RENAME TO a" == undo.sql
    assert [("a", "left", "z is not there any more")] == undone(
        steps, index("b", "a"), index("z", "b")
    )


def test_the_sql_for_people_is_what_the_server_takes() -> None:
    there = index("a", "a")
    [plain] = undos([created(1, A)], catalog(indexes=[there]))
    [whole] = undos([created(1, A)], catalog(indexes=[replace(there, partitioned=True)]))

    assert ["DROP INDEX CONCURRENTLY IF EXISTS s.a", "DROP INDEX IF EXISTS s.a"] == [
        plain.sql, whole.sql,
    ]  # fmt: skip


def test_a_replacement_is_replaced_by_what_was_there() -> None:
    new = definition("a", "b")
    steps = [
        created(1, replace(new, name="a_dbopt_new")),
        renamed(2, A, "a_dbopt_old"),
        renamed(3, replace(new, name="a_dbopt_new"), "a"),
        dropped(4, replace(A, name="a_dbopt_old")),
    ]
    [undo] = undos(steps, catalog(indexes=[index("a", "b")]))
    assert undo.step is not None
    assert (Action.REPLACE, A) == (undo.step.action, undo.step.definition)
    # Somebody has put another one there since.
    assert [("a", "left", "that name is another index's by now")] == undone(steps, index("a", "c"))
    # It is as before already.
    assert [("a", "settled")] == [u[:2] for u in undone(steps, index("a", "a"))]
    # Others that mean the same, a constraint's too, were there beside it.
    for twin in (index("twin", "a"), index("twin", "a", constraint="u")):
        [undo] = undos(steps, catalog(indexes=[index("a", "b"), twin, index("third", "a")]))
        assert undo.step is not None
        assert (A, None) == (undo.step.definition, undo.step.ready)
        assert Action.REPLACE is undo.step.action
        assert undos(steps, catalog(indexes=[index("a", "c"), twin]))[0].step is None
        # What a killed rollback has built of it is used.
        half = index("a_dbopt_new", "a")
        [undo] = undos(steps, catalog(indexes=[index("a", "b"), twin, half]))
        assert undo.step is not None
        assert half == undo.step.ready


def test_those_that_have_changed_names_change_them_back() -> None:
    ring = [definition("a"), definition("b", "b"), definition("c", "a", "b")]
    steps = [renamed(1, ring[0], "z"), renamed(2, ring[1], "a"), renamed(3, ring[2], "b")]
    steps.append(renamed(4, replace(ring[0], name="z"), "c"))
    there = [index("c", "a"), index("a", "b"), index("b", "a", "b")]
    found = undos(steps, catalog(indexes=there))
    assert {("a", "c"), ("b", "a"), ("c", "b")} == {
        (u.name, u.step.existing.name) for u in found if u.step and u.step.existing
    }
    assert 1 == sum(u.step.holder is not None for u in found if u.step)
    # In the middle of it one has stepped aside.
    [aside] = [u.name for u in found if u.step and u.step.holder]
    left = [one for one in there if one.name != aside]
    moved = next(one for one in there if one.name == aside)
    passing = replace(moved.definition, name=old_name(aside))
    left.append(replace(moved, definition=passing))
    assert {"rename"} == {action for _, action, _ in undone(steps, *left)}


def test_what_a_killed_replacement_has_left() -> None:
    new = replace(definition("a", "b"), name="a_dbopt_new")
    swap = step(
        2, new, "BEGIN; ALTER INDEX s.a RENAME TO a_dbopt_old;"
        " ALTER INDEX s.a_dbopt_new RENAME TO a; COMMIT", outcome="interrupted",
    )  # fmt: skip
    steps = [created(1, new), swap]
    # The names were not changed.
    assert [("a_dbopt_new", "drop", "")] == undone(
        steps, index("a", "a"), index("a_dbopt_new", "b")
    )
    # They were, and the old one was not dropped yet.
    there = catalog(indexes=[index("a", "b"), index("a_dbopt_old", "a")])
    effect = effect_of(steps, there)
    assert [("a", "replace")] == [u[:2] for u in seen(of_effect(effect, there))]
    assert [("a", "settled")] == [
        u[:2] for u in seen(of_effect(effect, catalog(indexes=[index("a", "a")])))
    ]
    # It was dropped, which nobody noted: what it was is not known, and what took over stays.
    assert [("a", "left")] == [u[:2] for u in undone(steps, index("a", "b"))]
    # A rollback was killed before it had dropped what it put aside.
    steps = [*steps, dropped(3, replace(A, name="a_dbopt_old"))]
    assert [("a", "settled"), ("a_dbopt_old", "drop")] == [
        u[:2] for u in undone(steps, index("a", "a"), index("a_dbopt_old", "b"))
    ]


def test_builds_come_before_drops_and_the_last_first() -> None:
    c, d = definition("c", "c"), definition("d", "a", "b")
    steps = [created(1, A), dropped(2, B), created(3, c), dropped(4, d)]
    found = undone(steps, index("a", "a"), index("c", "c"))
    assert [("d", "create"), ("b", "create"), ("c", "drop"), ("a", "drop")] == [
        u[:2] for u in found
    ]


def test_steps_that_failed_are_nothing_to_undo_and_interrupted_ones_are_looked_for() -> None:
    there = index("a", "a")
    assert [] == undone([created(1, A, outcome="failed")], there)
    assert [] == undone([created(1, A, outcome="cancelled")], there)
    for outcome in ("interrupted", "began"):  # nobody has marked the killed run yet
        assert [("a", "drop", "")] == undone([created(1, A, outcome=outcome)], there)
    assert [("a", "settled", "it is not there any more")] == undone(
        [created(1, A, outcome="interrupted")]
    )


def test_what_was_done_again_after_the_server_was_lost_counts_once() -> None:
    new = replace(definition("a", "b"), name="a_dbopt_new")
    names = (
        "BEGIN; ALTER INDEX s.a RENAME TO a_dbopt_old;"
        " ALTER INDEX s.a_dbopt_new RENAME TO a; COMMIT"
    )
    old = replace(A, name="a_dbopt_old")
    steps = [
        created(1, new, outcome="interrupted"), created(2, new),
        step(3, new, names, outcome="interrupted"), step(4, new, names),
        dropped(5, old, outcome="interrupted"), dropped(6, old),
    ]  # fmt: skip
    for once in (steps, steps[1::2], [steps[0], steps[2], steps[4]]):
        assert [("a", "replace")] == [u[:2] for u in undone(once, index("a", "b"))]


def test_a_drop_that_was_stopped_in_its_middle_is_taken_back() -> None:
    half = index("a", "a", valid=False)
    for outcome in ("failed", "cancelled"):
        stopped = [dropped(1, A, outcome=outcome)]
        assert [("a", "rebuild")] == [u[:2] for u in undone(stopped, half)]
        assert [] == undone(stopped, index("a", "a"))
        # Somebody else has dropped it.
        assert [] == undone(stopped)
        assert [] == undone([dropped(1, A, outcome=outcome, reverse="")], half)
    evil = step(1, A, "DROP INDEX a; DROP INDEX a a", outcome="failed")
    assert [] == undone([evil], half)


def test_what_the_store_says_is_not_believed() -> None:
    evil = step(1, A, "CREATE INDEX a ON s.t (a) WHERE true; DROP TABLE s.t")
    [undo] = undos([evil], catalog(indexes=[index("a", "a")]))
    assert undo.step is None
    assert not undo.settled
    worse = replace(dropped(1, A), definition="DROP TABLE s.t")
    assert [("a", "left")] == [u[:2] for u in undone([worse])]


def test_a_partitions_index_goes_with_the_whole() -> None:
    parent = index("a", "a", partitioned=True)
    leaf_of = table("leaf", oid=2, parent=1)
    leaf = index("leaf_idx", "a", on=leaf_of, parent=parent.oid)
    steps = [created(1, A), created(2, leaf.definition)]
    tables = [table(partitioned=True), leaf_of]

    whole = undos(steps, catalog(tables=tables, indexes=[parent, leaf]))
    assert [("a", "drop", "")] == seen(whole)

    # A run that built one for a new partition of an index that was there.
    alone = undos(steps[1:], catalog(tables=tables, indexes=[parent, leaf]))
    assert [("leaf_idx", "left", "it is a part of a partitioned table's index")] == seen(alone)


def test_what_was_there_before_does_not_go_with_the_whole_that_it_was_attached_to() -> None:
    whole, leaf, old = definition("a"), replace(definition("a1"), table="t1"), "old"
    steps = [
        created(1, whole),
        created(2, leaf),
        step(3, leaf, "ALTER INDEX s.a ATTACH PARTITION s.a1"),
        step(4, replace(leaf, name=old, table="t2"), "ALTER INDEX s.a ATTACH PARTITION s.old"),
    ]
    top = replace(index("a", "a"), oid=1, partitioned=True)
    parts = [
        replace(index("a1", "a", table="t1"), oid=2, parent=1),
        replace(index("old", "a", table="t2"), oid=3, parent=1),
    ]
    here = [("a1", "left", "it is a part of a partitioned table's index")]
    reason = "old was there before, and would go with it"

    assert [*here, ("a", "left", reason)] == undone(steps, top, *parts)
    assert ("a", "drop", "") in undone(steps[:3], top, parts[0])
    # What has come with a partition since is no forerunner, and is told.
    reason = "it takes old with it, which came with a partition since"
    assert ("a", "drop", reason) in undone(steps[:3], top, *parts)
