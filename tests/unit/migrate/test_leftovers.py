from __future__ import annotations

from typing import Any

import pytest

from dbopt.migrate.names import leaf_name, new_name, old_name
from dbopt.migrate.plan import Action, Step
from tests.unit.migrate.plan_support import (
    LEAF,
    OTHER,
    PARENT,
    define,
    index,
    planned,
    told,
)

MANAGED = {("public", "old")}


def _dropped(steps: list[Step]) -> list[str]:
    return [step.definition.name for step in steps if step.action is Action.DROP]


@pytest.mark.parametrize(
    ("name", "column", "valid"),
    [
        (new_name("i"), "a", True),
        (new_name("i"), "a", False),
        (new_name("i"), "b", True),
        (old_name("i"), "b", True),
        (old_name("i"), "b", False),
        ("i_ccnew", "a", False),
        ("i_ccold", "a", False),
        ("i_ccnew12", "a", False),
    ],
)
def test_what_killed_runs_left_is_dropped(name: str, column: str, valid: bool) -> None:
    steps = planned([define("i")], index(8, "i"), index(9, name, column, valid=valid))

    assert told(steps) == [("present", "i", "i"), ("drop", name, name)]


@pytest.mark.parametrize(
    ("name", "column", "valid"),
    [
        ("i_ccnew", "a", True),
        ("i_ccnew", "b", False),
        ("j_ccnew", "a", False),
        (new_name("j"), "a", True),
    ],
)
def test_what_is_not_a_leftover_of_a_declared_one_is_not(
    name: str, column: str, valid: bool
) -> None:
    steps = planned([define("i")], index(8, "i"), index(9, name, column, valid=valid))

    assert _dropped(steps) == []


def test_a_leftover_on_another_table_is_somebodys() -> None:
    steps = planned([define("i")], index(8, "i"), index(9, old_name("i"), table=OTHER))

    assert _dropped(steps) == []


def test_an_old_one_stays_while_its_successor_is_in_doubt() -> None:
    old = index(9, old_name("i"), "b")

    built = index(8, "i", valid=False, builder_pid=7)
    assert told(planned([define("i")], built, old)) == [("busy", "i", "i")]
    key = index(8, "i", "c", constraint="p")
    assert told(planned([define("i")], key, old)) == [("conflict", "i", "i")]


def test_one_that_is_being_built_is_not_dropped() -> None:
    left = index(9, "i_ccnew", valid=False, builder_pid=7)

    assert _dropped(planned([define("i")], index(8, "i"), left)) == []


def test_a_long_name_is_known_though_it_was_cut() -> None:
    name = "i" * 63

    steps = planned([define(name)], index(8, name), index(9, "i" * 57 + "_ccnew", valid=False))

    assert _dropped(steps) == ["i" * 57 + "_ccnew"]


def test_a_failed_reindex_of_a_part_is_known() -> None:
    wanted = define("i", table="p")
    part = index(9, "part", table=LEAF, parent=8)
    left = index(10, "part_ccnew", table=LEAF, valid=False)

    steps = planned([wanted], index(8, "i", table=PARENT), part, left)

    assert _dropped(steps) == ["part_ccnew"]


def test_what_is_managed_and_not_declared_is_dropped() -> None:
    steps = planned([define("i")], index(8, "i"), index(9, "old", "b"), managed=MANAGED)

    assert _dropped(steps) == ["old"]
    assert steps[-1].reason == "it is not declared any more"
    assert _dropped(planned([], index(9, "old", "b", unique=True), managed=MANAGED)) == ["old"]


def test_what_is_managed_and_serves_is_not_dropped() -> None:
    assert told(planned([define("i")], index(9, "old"), managed=MANAGED)) == [
        ("rename", "i", "old")
    ]


@pytest.mark.parametrize(
    "trait",
    [
        {"constraint": "u"},
        {"fk_target": True},
        {"replica_identity": True},
        {"extension": True},
        {"parent": 77},
        {"builder_pid": 7},
    ],
)
def test_what_something_else_needs_is_never_dropped(trait: dict[str, Any]) -> None:
    old = index(9, "old", "b", **trait)

    assert _dropped(planned([define("i")], old, managed=MANAGED, prune=True)) == []


def test_others_are_dropped_when_asked_where_the_table_has_declarations() -> None:
    there = [index(8, "theirs", "b"), index(9, "elsewhere", "b", OTHER)]

    assert _dropped(planned([define("i")], *there)) == []
    assert _dropped(planned([define("i")], *there, prune=True)) == ["theirs"]


@pytest.mark.parametrize("asked", ["u", "public.u", "elsewhere", "public.elsewhere"])
def test_a_table_without_declarations_is_pruned_by_name_alone(asked: str) -> None:
    there = index(9, "elsewhere", "b", OTHER)

    assert _dropped(planned([], there, prune=True, asked=[asked])) == ["elsewhere"]
    assert _dropped(planned([], there, asked=[asked])) == []


def test_a_unique_one_is_pruned_by_nobody() -> None:
    theirs = index(9, "theirs", "b", unique=True)

    assert _dropped(planned([define("i")], theirs, prune=True)) == []


def test_an_index_that_is_going_to_be_attached_is_not_dropped() -> None:
    wanted = define("i", table="p")
    mine = index(9, "mine", table=LEAF)

    steps = planned([wanted], mine, managed={("public", "mine")}, prune=True, asked=["p1"])

    assert _dropped(steps) == []
    assert leaf_name(wanted, "p1") != mine.name
