from __future__ import annotations

from typing import Any

import pytest

from dbopt.trace.planwords import difference


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
