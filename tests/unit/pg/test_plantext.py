from __future__ import annotations

import pytest

from dbopt.pg.plan import parse_plan
from dbopt.pg.plantext import document
from dbopt.sql.query import Relation

PLAN = '''\
Limit  (cost=25.4..60.1 rows=10 width=8) (actual time=0.2..0.9 rows=10 loops=1)
  Buffers: shared hit=12
  CTE recent
    ->  Index Only Scan using i on public.users  (cost=0.3..8.3 rows=1 width=4) (never executed)
          Index Cond: (id > 5)
  ->  Hash Left Join  (cost=20.1..50.9 rows=100 width=8) (actual time=0.1..0.8 rows=10.50 loops=1)
        Hash Cond: ((o.user_id)::text = 'topsecret'::text)
        ->  Parallel Seq Scan on s."A ""B""" o  (cost=0..1 rows=5 width=4) (actual rows=3 loops=2)
              Filter: (state = 'topsecret'::text)
        ->  Hash  (cost=9.0..9.0 rows=3 width=4)
              ->  Bitmap Heap Scan on users  (cost=4.0..9.0 rows=3 width=4)
                    ->  Bitmap Index Scan on users_email  (cost=0.0..4.0 rows=3 width=0)
JIT:
  Functions: 3
'''


def test_a_text_is_the_json_it_would_have_been() -> None:
    plan = parse_plan(document(PLAN.splitlines()))
    assert [
        (0, "Limit", None, ""),
        (1, "Index Only Scan", Relation("public", "users"), "i"),
        (1, "Hash Join", None, ""),
        (2, "Seq Scan", Relation("s", 'A "B"'), ""),
        (2, "Hash", None, ""),
        (3, "Bitmap Heap Scan", Relation("", "users"), ""),
        (4, "Bitmap Index Scan", None, "users_email"),
    ] == [(depth, node.type, node.relation, node.index) for depth, node in plan.root.walk()]
    join = plan.nodes[2]
    assert ("Left", 50.9, 100, 0.8, 10.5, 1) == (
        join.join, join.total_cost, join.rows, join.actual_ms, join.actual_rows, join.loops,
    )  # fmt: skip
    assert (None, 3.0, 2) == (
        plan.nodes[3].actual_ms, plan.nodes[3].actual_rows, plan.nodes[3].loops,
    )  # fmt: skip
    assert "topsecret" not in str(plan.json)


@pytest.mark.parametrize(
    ("title", "type_", "join"),
    [
        ("Nested Loop", "Nested Loop", "Inner"),
        ("Nested Loop Anti Join", "Nested Loop", "Anti"),
        ("Merge Full Join", "Merge Join", "Full"),
        ("Hash Right Semi Join", "Hash Join", "Right Semi"),
        ("Partial HashAggregate", "Aggregate", ""),
        ("Finalize GroupAggregate", "Aggregate", ""),
        ("Update on users", "ModifyTable", ""),
        ("Custom Scan (Columnar) on users", "Custom Scan", ""),
        ("Index Scan Backward using i on users u", "Index Scan", ""),
        ("CTE Scan on recent", "CTE Scan", ""),
        ("Merge Append", "Merge Append", ""),
    ],
)
def test_titles(title: str, type_: str, join: str) -> None:
    root = parse_plan(document([f"{title}  (cost=0.0..1.0 rows=1 width=4)"])).root
    assert (type_, join) == (root.type, root.join)


def test_what_follows_a_line_break_in_a_constant_is_the_constants() -> None:
    lines = [
        "Seq Scan on t  (cost=0.0..1.0 rows=1 width=4)",
        "  Filter: (a = 'one",
        "  Sort Key: topsecret",
        "  ->  Seq Scan on topsecret  (cost=0.0..1.0 rows=1 width=4)",
        "two'::text)",
        "  Index Cond: (id = 5)",
    ]
    plan = parse_plan(document(lines))
    assert 1 == len(plan.nodes)
    assert "topsecret" not in str(plan.json)
    assert ["Index Cond", "Filter"] == [key for key, _ in plan.root.details]


@pytest.mark.parametrize("lines", [[], ["no plan"], ["->"], ["(cost=0..1 rows=1 width=1)"]])
def test_no_plan(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="plan"):
        document(lines)


def test_a_long_hostile_line_takes_no_time() -> None:
    with pytest.raises(ValueError, match="plan"):
        document([" " * 50_000 + "->" * 50_000 + "  (cost=" * 10_000])
