from __future__ import annotations

from typing import Any

import pytest

from dbopt.trace.planwords import difference, essence


def node(type_: str, *children: dict[str, Any], **given: str) -> dict[str, Any]:
    names = {"on": "Relation Name", "using": "Index Name", "schema": "Schema", "join": "Join Type"}
    made: dict[str, Any] = {"Node Type": type_} | {names[k]: v for k, v in given.items()}
    return made | ({"Plans": list(children)} if children else {})


SEQ = node("Seq Scan", on="users", schema="public")
INDEX = node("Index Scan", on="users", schema="public", using="users_email")
BITMAP = node(
    "Bitmap Heap Scan", node("Bitmap Index Scan", using="users_email"), on="users", schema="public"
)
OTHER = node("Seq Scan", on="orders", schema="public")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (INDEX, SEQ, "public.users: Seq Scan instead of Index Scan using users_email"),
        (
            SEQ,
            BITMAP,
            "public.users: Bitmap Heap Scan and Bitmap Index Scan using users_email instead of "
            "Seq Scan",
        ),
        (
            node("Hash Join", SEQ, OTHER, join="Inner"),
            node("Nested Loop", SEQ, OTHER, join="Left"),
            "Nested Loop (Left) instead of Hash Join",
        ),
        (node("Sort", SEQ), SEQ, "no Sort any more"),
        (SEQ, node("Gather", SEQ), "Gather as well"),
        (SEQ, node("Append", SEQ, OTHER), "public.orders is read now, by Seq Scan"),
        (node("Append", SEQ, OTHER), SEQ, "public.orders is not read any more"),
        (node("Hash Join", SEQ, OTHER), node("Hash Join", OTHER, SEQ), "the same nodes in another"),
    ],
)
def test_what_changed(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    assert difference({"Plan": old}, {"Plan": new}).startswith(words)


def test_a_plan_that_was_not_kept() -> None:
    assert "not known" in difference({}, {"Plan": SEQ})


def test_of_many_changes_three_are_named() -> None:
    old = node("Append", *(node("Seq Scan", on=f"t{n}") for n in range(9)))
    new = node("Append", *(node("Index Scan", on=f"t{n}", using="i") for n in range(9)))
    assert difference({"Plan": old}, {"Plan": new}).endswith("; and 6 more")


def part(month: int, type_: str = "Index Scan", **given: str) -> dict[str, Any]:
    name = f"events_2026_{month:02}"
    return node(type_, on=name, schema="public", **({"using": f"{name}_at_idx"} | given))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return essence({"Plan": one}) == essence({"Plan": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (node("Append", part(1), part(2)), node("Append", part(2), part(3), part(4))),
        (node("Append", part(1), part(2)), part(3)),
        (node("Sort", node("Merge Append", part(1), part(2))), node("Sort", part(12))),
        (node("Seq Scan", on="users", schema="a"), node("Seq Scan", on="users", schema="b")),
        (node("Seq Scan", on="t", schema="pg_temp_3"), node("Seq Scan", on="t", schema="pg_temp")),
    ],
)
def test_other_partitions_and_schemas_are_no_change(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SEQ, INDEX), (INDEX, BITMAP), (SEQ, OTHER), (SEQ, node("Gather", SEQ)),
        (node("Index Scan", on="t", using="t_a_idx"), node("Index Scan", on="t", using="t_a_idx1")),
        (node("Index Scan", on="t", using="by_1"), node("Index Scan", on="t", using="by_2")),
        (node("Append", part(1), part(2)), node("Append", part(1), part(2, "Seq Scan", using=""))),
        (node("Hash Join", SEQ, OTHER), node("Hash Join", OTHER, SEQ)),
    ],
)  # fmt: skip
def test_what_is_a_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not same(one, other)


def test_no_plan_has_no_essence_and_a_deep_one_ends() -> None:
    assert "" == essence({})
    deep = SEQ
    for _ in range(900):
        deep = node("Append", deep)
    assert same(deep, deep)
