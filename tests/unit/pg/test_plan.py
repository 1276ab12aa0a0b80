"""The plan tree from EXPLAIN's JSON."""

from __future__ import annotations

from typing import Any

import pytest

from dbopt.pg.plan import MAX_DEPTH, parse_plan, redacted
from dbopt.sql.query import Relation


def node(kind: str, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    costs = {"Startup Cost": 0.5, "Total Cost": 10.25, "Plan Rows": 3, "Plan Width": 8}
    children = {"Plans": list(below)} if below else {}
    return {"Node Type": kind, **costs, **more, **children}


def scan(relation: str, **more: Any) -> dict[str, Any]:
    return node("Seq Scan", **{"Relation Name": relation, "Schema": "public", **more})


JOIN = node(
    "Hash Join",
    scan("a", Filter="(a.email = 'secret'::text)"),
    node(
        "Hash",
        node(
            "Index Scan",
            **{"Relation Name": "b", "Schema": "s", "Index Name": "b_pkey", "Alias": "b"},
        ),
    ),
    **{"Join Type": "Left", "Hash Cond": "(a.id = b.id)", "Output": ["'secret'"]},
)


def document(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Plan": plan, "Query Identifier": 42}]


def test_the_tree() -> None:
    plan = parse_plan(document(JOIN))
    assert [n.type for n in plan.nodes] == ["Hash Join", "Seq Scan", "Hash", "Index Scan"]
    assert plan.total_cost == 10.25
    assert plan.indexes == {"b_pkey"}
    assert plan.seq_scans == {Relation("public", "a")}


def test_the_text() -> None:
    expected = """\
Hash Join (Left)  (cost 10.25, rows 3)
     Hash Cond: (a.id = b.id)
└─ Seq Scan on public.a  (cost 10.25, rows 3)
        Filter: (a.email = $1::text)
└─ Hash  (cost 10.25, rows 3)
   └─ Index Scan using b_pkey on s.b  (cost 10.25, rows 3)"""
    assert expected == parse_plan(document(JOIN)).text()


def test_actual_figures() -> None:
    actual = {"Actual Total Time": 1.5, "Actual Rows": 2.5, "Actual Loops": 4}
    plan = parse_plan(document(scan("a", **actual)))
    assert plan.text().endswith("; actual 1.500 ms, rows 2.5 x 4)")


def test_constants_are_replaced_and_output_left_out() -> None:
    plan = parse_plan(document(JOIN))
    assert "secret" not in repr(plan.json) + repr(plan.root)
    assert "Output" not in plan.json["Plan"]
    assert plan.json["Query Identifier"] == 42


def test_names_are_kept_even_if_they_look_like_literals() -> None:
    shown = redacted({"Relation Name": "2026", "Alias": "'x'", "Unknown Key": "'x'"})
    assert shown == {"Relation Name": "2026", "Alias": "'x'", "Unknown Key": "$1"}


def test_the_shape_is_of_nodes_relations_and_indexes() -> None:
    shape = parse_plan(document(JOIN)).shape
    assert len(shape) == 16
    assert shape == parse_plan(document({**JOIN, "Total Cost": 99.0, "Plan Rows": 1})).shape
    assert shape != parse_plan(document({**JOIN, "Join Type": "Inner"})).shape
    assert parse_plan(document(scan("a"))).shape != parse_plan(document(scan("b"))).shape
    # The same nodes, nested in another way.
    flat = node("Append", node("Result", node("Result")))
    deep = node("Append", node("Result"), node("Result"))
    assert parse_plan(document(flat)).shape != parse_plan(document(deep)).shape


def test_a_deep_plan_is_bounded() -> None:
    plan = node("Result")
    for _ in range(400):
        plan = node("Limit", plan)
    assert len(parse_plan(document(plan)).nodes) == MAX_DEPTH + 1


@pytest.mark.parametrize(
    "value", [None, [], {}, [{}], [{"Plan": {}}], [{"Plan": None}], "Seq Scan"]
)
def test_what_is_no_plan_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a plan"):
        parse_plan(value)


def test_a_name_cannot_command_the_terminal() -> None:
    plan = parse_plan(document(scan("a\x1b[2J\nfake", Filter='("\x1b[2J" = 1)')))
    assert "\x1b" not in plan.text()
    assert len(plan.text().splitlines()) == 2
