from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.migrate.names import leaf_name
from dbopt.migrate.parts import MAX_TURNS, foreign
from dbopt.migrate.plan import Action, Step, Wanted, make_plan
from tests.unit.migrate.plan_support import (
    BRANCH,
    LEAF,
    PARENT,
    PLAIN,
    TABLES,
    TWIG,
    define,
    index,
    planned,
    snapshot,
    view,
)

WANTED = define("i", table="p")


def _tree(step: Step) -> dict[str, Any]:
    """Action and existing index by table, partitions too."""
    found = {step.definition.table: (step.action.value, step.existing and step.existing.name)}
    for part in step.partitions:
        found |= _tree(part)
    return found


def _whole(*, valid: bool = True, **leaf: Any) -> list[Any]:
    return [
        index(11, "i", table=PARENT, valid=valid),
        replace(index(12, "leaf", table=LEAF, parent=11), **leaf),
        index(13, "branch", table=BRANCH, parent=11),
        index(14, "twig", table=TWIG, parent=13),
    ]


def test_one_that_is_not_there_is_made_on_every_partition_leaves_first() -> None:
    (step,) = planned([WANTED])

    assert step.action is Action.CREATE
    assert [part.definition.table for part in step.partitions] == ["p1", "ps"]
    assert [part.definition.table for part in step.partitions[1].partitions] == ["ps1"]
    assert step.partitions[0].definition == define(leaf_name(WANTED, "p1"), table="p1")
    assert set(_tree(step).values()) == {("create", None)}


def test_a_whole_one_is_present() -> None:
    (step,) = planned([WANTED], *_whole())

    assert {action for action, _ in _tree(step).values()} == {"present"}


def test_what_is_there_and_valid_is_attached() -> None:
    free = [index(12, "mine", table=LEAF), index(13, "branch", table=BRANCH, valid=False)]
    (step,) = planned([WANTED], index(11, "i", table=PARENT, valid=False), *free)

    assert _tree(step) == {
        "p": ("attach", "i"),
        "p1": ("attach", "mine"),
        "ps": ("attach", "branch"),
        "ps1": ("create", None),
    }


def test_an_invalid_one_that_is_attached_is_rebuilt() -> None:
    broken = _whole(valid=False)
    broken[1] = replace(broken[1], valid=False)
    (step,) = planned([WANTED], *broken)
    assert _tree(step)["p1"] == ("rebuild", "leaf")
    assert step.partitions[0].existing == broken[1]


def test_one_that_is_being_built_is_busy() -> None:
    built = index(12, "theirs", table=LEAF, valid=False, builder_pid=7)
    (step,) = planned([WANTED], built)

    assert (step.action, step.partitions[0].action) == (Action.CREATE, Action.BUSY)


def test_an_invalid_one_that_a_killed_run_left_is_rebuilt_and_somebodys_is_not() -> None:
    ours = index(12, leaf_name(WANTED, "p1"), table=LEAF, valid=False)
    (step,) = planned([WANTED], ours)
    assert _tree(step)["p1"] == ("rebuild", ours.name)

    (step,) = planned([WANTED], index(12, "theirs", table=LEAF, valid=False))
    assert _tree(step)["p1"] == ("create", None)


def test_one_that_belongs_to_another_index_is_not_attached_twice() -> None:
    other = [
        index(21, "other", table=PARENT, valid=False),
        index(22, leaf_name(WANTED, "p1"), table=LEAF, parent=21),
    ]
    (step,) = planned([WANTED], *other)

    assert step.partitions[0] == Step(Action.CREATE, define(leaf_name(WANTED, "p1", 1), table="p1"))


@pytest.mark.parametrize("trait", [{"constraint": "x"}, {"unique": True, "deferrable": True}])
def test_what_cannot_be_attached_is_not(trait: dict[str, Any]) -> None:
    wanted = replace(WANTED, unique="unique" in trait)
    (step,) = planned([wanted], index(12, "theirs", table=LEAF, **trait))

    assert _tree(step)["p1"] == ("create", None)


def test_an_index_that_another_declaration_replaces_is_not_attached() -> None:
    theirs = index(12, "mine", table=LEAF)
    steps = planned([WANTED, define("mine", "b", "p1")], theirs)

    assert [step.action for step in steps] == [Action.CREATE, Action.REPLACE]
    assert _tree(steps[0])["p1"] == ("create", None)


def test_names_that_are_all_taken_are_a_conflict() -> None:
    taken = tuple(view(leaf_name(WANTED, "p1", turn)) for turn in range(MAX_TURNS))
    (step,) = make_plan([Wanted(WANTED)], snapshot(others=taken))

    assert (step.partitions[0].action, step.partitions[0].reason) == (
        Action.CONFLICT,
        "every name for it on public.p1 is taken",
    )


def test_a_part_serves_a_declaration_of_its_own_as_it_is() -> None:
    (step,) = planned([define("mine", table="p1")], *_whole())

    assert (step.action, step.existing and step.existing.name) == (Action.PRESENT, "leaf")
    assert step.reason == "as leaf: it is a part of a partitioned table's index"


def test_a_replacement_that_was_half_built_is_gone_on_with() -> None:
    old = index(30, "i", "b", PARENT)
    half = index(31, "i_dbopt_new", table=PARENT, valid=False)
    leaf = index(32, leaf_name(WANTED, "p1"), table=LEAF, parent=31)

    (step,) = planned([WANTED], old, half, leaf)

    assert (step.action, step.ready) == (Action.REPLACE, None)
    assert _tree(step)["p1"] == ("present", leaf.name)


def test_foreign_partitions_make_an_index_that_would_never_be_valid() -> None:
    branch = replace(BRANCH, foreign_partitions=1)
    tables = tuple(branch if table is BRANCH else table for table in TABLES)
    odd = snapshot(tables=tables)

    (step,) = make_plan([Wanted(WANTED)], odd)
    assert step.action is Action.CONFLICT
    assert step.reason.startswith("public.ps has partitions that are foreign tables")
    assert (foreign(PARENT, odd), foreign(LEAF, odd), foreign(PLAIN, odd)) == (branch, None, None)

    (step,) = make_plan([Wanted(WANTED)], replace(odd, indexes=tuple(_whole())))
    assert step.action is Action.PRESENT
