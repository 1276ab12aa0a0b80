from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.plan import Action, Wanted, make_plan
from tests.unit.migrate.plan_support import (
    LEAF,
    OTHER,
    PARENT,
    define,
    index,
    planned,
    snapshot,
    told,
    view,
)


def test_the_same_meaning_under_another_name_is_renamed() -> None:
    (step,) = planned([define("i")], index(9, "twin"))

    assert told([step]) == [("rename", "i", "twin")]
    assert step.reason == "it is called twin"


@pytest.mark.parametrize(
    "trait", [{"constraint": "u", "unique": True}, {"extension": True}, {"parent": 77}]
)
def test_what_cannot_be_renamed_serves_as_it_is(trait: dict[str, Any]) -> None:
    wanted = define("i", unique=bool(trait.get("unique")))
    (step,) = planned([wanted], index(9, "theirs", **trait))

    assert told([step]) == [("present", "i", "theirs")]
    assert step.reason.startswith("as theirs: ")


def test_a_deferrable_constraint_does_not_serve() -> None:
    later = index(9, "theirs", unique=True, constraint="u", deferrable=True)

    assert told(planned([define("i", unique=True)], later)) == [("create", "i", None)]
    named = replace(later, definition=define("i", unique=True))
    assert told(planned([define("i", unique=True)], named)) == [("conflict", "i", "i")]


def test_a_primary_key_serves_a_unique_index_but_not_a_plain_one() -> None:
    key = index(9, "t_pkey", unique=True, constraint="p")

    assert told(planned([define("i", unique=True)], key)) == [("present", "i", "t_pkey")]
    assert told(planned([define("i")], key)) == [("create", "i", None)]


def test_an_invalid_twin_is_left_alone_and_told_of() -> None:
    (step,) = planned([define("i")], index(9, "twin", valid=False))

    assert (step.action, step.reason) == (Action.CREATE, "twin means the same and is invalid")


def test_a_twin_that_is_being_built_is_waited_for() -> None:
    (step,) = planned([define("i")], index(9, "twin", valid=False, builder_pid=7))

    assert (step.action, step.reason) == (Action.BUSY, "pid 7 builds twin now")


def test_another_meaning_under_the_name_is_replaced() -> None:
    (step,) = planned([define("i")], index(9, "i", "b"))

    assert told([step]) == [("replace", "i", "i")]
    assert (step.ready, step.reason.partition(":")[0]) == (None, "that name is another index's")


def test_a_replacement_that_a_killed_run_has_built_is_used() -> None:
    ready = index(8, new_name("i"))

    (step,) = planned([define("i")], index(9, "i", "b"), ready, index(7, "another"))
    assert (step.action, step.ready) == (Action.REPLACE, ready)
    assert told(planned([define("i")], ready)) == [("rename", "i", new_name("i"))]


def test_a_twin_takes_the_name_that_another_meaning_has() -> None:
    twin = index(8, "twin")

    (step,) = planned([define("i")], index(9, "i", "b"), twin)
    assert (step.action, step.ready) == (Action.REPLACE, twin)


@pytest.mark.parametrize(
    "trait", ["constraint", "fk_target", "replica_identity", "extension", "parent"]
)
def test_what_something_else_needs_is_never_replaced(trait: str) -> None:
    more: dict[str, Any] = {trait: {"constraint": "p", "parent": 77}.get(trait, True)}
    (step,) = planned([define("i")], index(9, "i", "b", **more))

    assert told([step]) == [("conflict", "i", "i")]
    assert step.reason.startswith("that name is taken (")


def test_a_partitioned_index_with_a_constraint_among_its_parts_is_never_replaced() -> None:
    old = index(8, "i", "b", PARENT)
    part = index(9, "part", "b", LEAF, parent=8, constraint="u")

    (step,) = planned([define("i", table="p")], old, part)

    assert step.action is Action.CONFLICT
    assert "part: it is a constraint's" in step.reason


def test_a_name_on_another_table_is_a_conflict_unless_managed_or_asked_for() -> None:
    other = index(9, "i", table=OTHER)

    (step,) = planned([define("i")], other)
    assert step.action is Action.CONFLICT
    assert "which dbopt does not manage, on u" in step.reason
    assert told(planned([define("i")], other, managed={("public", "i")})) == [("replace", "i", "i")]
    assert told(planned([define("i")], other, prune=True)) == [("replace", "i", "i")]


def test_a_name_of_something_else_is_a_conflict() -> None:
    catalog = snapshot(others=(view("i"),))
    steps = make_plan([Wanted(define("i")), Wanted(define("u", "b"))], catalog)

    assert [(s.action, s.reason) for s in steps] == [
        (Action.CONFLICT, "that name is taken by a view"),
        (Action.CONFLICT, "that name is taken by a table"),
    ]


def test_a_name_for_a_moment_that_is_taken_is_a_conflict() -> None:
    key = index(8, new_name("i"), "c", constraint="u")
    (step,) = planned([define("i")], index(9, "i", "b"), key)

    assert step.action is Action.CONFLICT
    assert step.reason == (
        "the name i_dbopt_new is needed for a moment, and is taken: it is a constraint's"
    )


def test_another_schema_is_another_index() -> None:
    elsewhere = index(9, "i")
    elsewhere = replace(elsewhere, definition=replace(elsewhere.definition, schema="archive"))

    assert told(planned([define("i")], elsewhere)) == [("create", "i", None)]


def test_a_table_that_is_not_there_is_a_conflict() -> None:
    (step,) = planned([define("i", table="nowhere")])

    assert step.action is Action.CONFLICT
    assert step.reason.startswith("its table is not in this database")


def test_nulls_not_distinct_needs_version_15() -> None:
    wanted = [Wanted(define("i", unique=True, nulls_not_distinct=True))]

    assert make_plan(wanted, snapshot())[0].action is Action.CREATE
    assert make_plan(wanted, snapshot(version=14))[0].action is Action.CONFLICT


def test_other_storage_or_tablespace_is_told_and_not_built_again() -> None:
    wanted = define("i", storage=(("fillfactor", "70"),), tablespace="fast")
    (step,) = planned([wanted], index(9, "i"))

    assert step.action is Action.PRESENT
    assert step.reason == "its storage parameters and tablespace differ: ALTER INDEX changes them"


# --- two of one meaning


def test_of_two_of_one_meaning_the_first_gets_the_index() -> None:
    steps = planned([define("i"), define("j")])

    assert told(steps) == [("create", "i", None), ("present", "j", None)]
    assert steps[1].reason == "as i, which is declared and means the same"


def test_of_two_of_one_meaning_the_one_that_is_there_has_it() -> None:
    assert told(planned([define("i"), define("j")], index(9, "j"))) == [
        ("present", "i", "j"),
        ("present", "j", "j"),
    ]
    both = planned([define("i"), define("j")], index(8, "i"), index(9, "j"))
    assert told(both) == [("present", "i", "i"), ("present", "j", "j")]


def test_of_two_of_one_meaning_the_second_leads_where_the_first_cannot_have_its_name() -> None:
    key = index(9, "i", "b", constraint="u", unique=True)

    steps = planned([define("i"), define("j"), define("k")], key)

    # As the next plan says, when j is there.
    assert told(steps) == [("present", "i", None), ("create", "j", None), ("present", "k", None)]
    assert "as j, which is declared and means the same" == steps[0].reason == steps[2].reason
    again = planned([define("i"), define("j"), define("k")], key, index(10, "j"))
    assert told(again) == [("present", "i", "j"), ("present", "j", "j"), ("present", "k", "j")]


def test_one_that_is_declared_twice_is_made_once() -> None:
    assert told(planned([define("i"), define("i")])) == [
        ("create", "i", None),
        ("present", "i", None),
    ]


# --- names that change hands


def test_a_chain_of_renames_frees_names_first() -> None:
    declared = [define("b", "a"), define("c", "b"), define("a", "c")]
    there = [index(7, "a", "a"), index(8, "b", "b")]

    steps = planned(declared, *there)

    assert told(steps) == [("rename", "c", "b"), ("rename", "b", "a"), ("create", "a", None)]
    assert [step.holder for step in steps] == [None, None, None]


def test_two_that_change_names() -> None:
    a, b = index(7, "a", "x"), index(8, "b", "y")

    steps = planned([define("a", "y"), define("b", "x")], a, b)

    assert told(steps) == [("rename", "b", "a"), ("rename", "a", "b")]
    assert [step.holder for step in steps] == [b, None]


def test_two_that_change_names_are_gone_on_with() -> None:
    there = [index(7, "b", "x"), index(8, old_name("b"), "y")]

    assert told(planned([define("a", "y"), define("b", "x")], *there)) == [
        ("rename", "a", old_name("b")),
        ("present", "b", "b"),
    ]


def test_three_in_a_ring() -> None:
    there = [index(6, "a", "x"), index(7, "b", "y"), index(8, "c", "z")]

    steps = planned([define("a", "y"), define("b", "z"), define("c", "x")], *there)

    assert sorted(told(steps)) == [
        ("rename", "a", "b"),
        ("rename", "b", "c"),
        ("rename", "c", "a"),
    ]
    assert [step.holder.name if step.holder else None for step in steps] == ["b", None, None]


def test_a_name_whose_index_serves_another_as_it_is_is_a_conflict() -> None:
    key = index(9, "i", "b", constraint="u", unique=True)

    assert told(planned([define("i"), define("j", "b", unique=True)], key)) == [
        ("conflict", "i", "i"),
        ("present", "j", "i"),
    ]
