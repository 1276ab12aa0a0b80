from __future__ import annotations

from dataclasses import replace

from dbopt.migrate.estimate import Estimate, built, by_benefit, key, touched, tree
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("i", "public", "t", "btree", (IndexKey("a"),))


def _step(action: Action, name: str, existing: str = "", **other: Step | Index) -> Step:
    definition = replace(WANTED, name=name)
    there = Index(1, 2, replace(WANTED, name=existing)) if existing else None
    return Step(action, definition, there, **other)  # type: ignore[arg-type]


def _order(*steps: Step, **benefits: float) -> list[str]:
    found = {f"public.{name}": Estimate(benefit=benefit) for name, benefit in benefits.items()}
    return [step.definition.name for step in by_benefit(steps, found)]


def test_what_brings_most_is_created_first_and_drops_are_last() -> None:
    steps = (
        _step(Action.DROP, "gone", "gone"),
        _step(Action.CREATE, "a"),
        _step(Action.PRESENT, "there", "there"),
        _step(Action.CREATE, "b"),
        _step(Action.CREATE, "c"),
    )

    assert ["b", "there", "c", "a", "gone"] == _order(*steps, a=0.1, b=0.5, c=0.2)


def test_without_estimates_the_order_stays() -> None:
    assert ["b", "a"] == _order(_step(Action.CREATE, "b"), _step(Action.CREATE, "a"))


def test_who_waits_for_a_name_stays_behind_who_frees_it() -> None:
    steps = (
        _step(Action.RENAME, "new", "wanted"),
        _step(Action.CREATE, "other"),
        _step(Action.CREATE, "wanted"),
    )
    swapped = replace(_step(Action.CREATE, "x"), holder=Index(3, 2, replace(WANTED, name="x")))

    assert ["new", "other", "wanted"] == _order(*steps, wanted=0.9)
    assert ["x", "y"] == _order(swapped, _step(Action.CREATE, "y"), y=0.9)


def test_parts_at_every_level() -> None:
    leaf = Step(Action.CREATE, replace(WANTED, table="leaf"))
    middle = Step(Action.CREATE, replace(WANTED, table="m"), partitions=(leaf,))
    done = Step(Action.PRESENT, replace(WANTED, table="done"))
    whole = Step(Action.CREATE, WANTED, partitions=(done, middle))

    assert [leaf] == list(built(whole))
    assert [whole, done, middle, leaf] == list(tree(whole))
    assert {("public", name) for name in ("t", "done", "m", "leaf")} == touched(whole)


def test_a_replacement_that_is_ready_is_not_built() -> None:
    ready = Index(3, 2, replace(WANTED, name="i_dbopt_new"))

    assert [] == list(built(_step(Action.REPLACE, "i", "i", ready=ready)))


def test_an_estimate_as_json() -> None:
    found = Estimate(8192, (0.123, 4.56), ("words",), 1.23456, 0.123456)

    assert {
        "size_bytes": 8192,
        "seconds": [0.1, 4.6],
        "locks": ("words",),
        "writes_per_second": 1.235,
        "benefit": 0.1235,
    } == found.to_dict()
    assert "public.i" == key(WANTED)
