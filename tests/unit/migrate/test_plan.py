from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.migrate.plan import Action, Step, Wanted, make_plan, needed, one, required
from tests.unit.migrate.plan_support import (
    LEAF,
    OTHER,
    PARENT,
    PLAIN,
    define,
    index,
    planned,
    snapshot,
    told,
)


def test_nothing_there_is_created_in_the_declared_order() -> None:
    declared = [define("z"), define("a", "b"), define("m", table="u")]

    assert planned(declared) == [Step(Action.CREATE, one, where=one.name) for one in declared]


def test_the_same_valid_one_is_present() -> None:
    there = index(9, "i")

    assert planned([define("i")], there) == [Step(Action.PRESENT, define("i"), there, where="i")]


def test_an_invalid_one_is_rebuilt_and_one_that_is_built_is_busy() -> None:
    assert told(planned([define("i")], index(9, "i", valid=False))) == [("rebuild", "i", "i")]
    (step,) = planned([define("i")], index(9, "i", valid=False, builder_pid=7))
    assert (step.action, step.reason) == (Action.BUSY, "pid 7 builds it now")


def test_where_builds_cannot_be_seen_a_rebuild_says_so() -> None:
    catalog = snapshot(index(9, "i", valid=False), sees_builds=False)

    (step,) = make_plan([Wanted(define("i"))], catalog)

    assert "pg_read_all_stats" in step.reason


def test_drops_come_last_and_only_of_what_is_managed() -> None:
    steps = planned(
        [define("i")],
        index(8, "old", "b"),
        index(9, "somebodys", "c"),
        managed={("public", "old"), ("public", "gone")},
    )

    assert told(steps) == [("create", "i", None), ("drop", "old", "old")]


def test_one_is_planned_as_all_are_but_for_drops() -> None:
    catalog = snapshot(index(8, "j"), index(9, "i_dbopt_old", "c"))

    step = one(define("i"), catalog, "indexes/t.sql:1")

    assert (step.action, step.where) == (Action.RENAME, "indexes/t.sql:1")
    others = [Wanted(define("j"))]
    assert one(define("i"), catalog, others=others).action is Action.PRESENT


@pytest.mark.parametrize(
    ("trait", "why"),
    [
        ({"constraint": "p"}, "it is a constraint's"),
        (
            {"constraint": "u", "deferrable": True},
            "it is a deferrable constraint's, which is checked late and serves no ON CONFLICT",
        ),
        ({"fk_target": True}, "a foreign key points at it"),
        ({"replica_identity": True}, "it is the table's replica identity"),
        ({"extension": True}, "it is an extension's"),
        ({"parent": 3}, "it is a part of a partitioned table's index"),
        ({}, ""),
    ],
)
def test_what_something_else_needs_is_required(trait: dict[str, Any], why: str) -> None:
    assert required(replace(index(9, "i"), **trait)) == why


def test_an_index_is_needed_for_its_parts_too() -> None:
    whole = index(8, "whole", table=PARENT)
    part = index(9, "part", table=LEAF, parent=8)

    assert needed(whole, snapshot(whole, part)) == ""
    bound = replace(part, constraint="u")
    assert needed(whole, snapshot(whole, bound)) == "of its part part: it is a constraint's"


def test_a_thousand_of_one_table_and_of_many_are_planned() -> None:
    declared = [define(f"i{n}", f"c{n}", ("t", "u")[n % 2]) for n in range(1000)]
    there = [index(1000 + n, f"i{n}", f"c{n}", (PLAIN, OTHER)[n % 2]) for n in range(1000)]

    assert {step.action for step in planned(declared, *there)} == {Action.PRESENT}


def test_a_step_as_json() -> None:
    part = Step(Action.CREATE, define("part", table="p1"))

    assert Step(
        Action.REBUILD, define("i"), index(9, "i"), "why", "x.sql:3", (part,)
    ).to_dict() == {
        "name": "i",
        "schema": "public",
        "table": "t",
        "action": "rebuild",
        "existing": "i",
        "reason": "why",
        "where": "x.sql:3",
        "partitions": [part.to_dict()],
    }
