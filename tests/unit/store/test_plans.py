from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dbopt.store.frame import Target
from dbopt.store.plans import PlanRecord, combined

AT = datetime(2026, 3, 1, tzinfo=UTC)
ONE = PlanRecord(Target("b", "shop"), 7, "aa", AT, AT, "explain", 1, 10.0, 5.0, 6.0, {"a": 1})


def test_one_record_a_shape_sorted() -> None:
    first = replace(ONE, target=Target("a", "shop"))
    other = replace(ONE, shape="bb")
    assert [first, ONE, other] == combined([other, ONE, first])


def test_what_is_known_is_added_up() -> None:
    later = replace(
        ONE, first_seen=AT + timedelta(1), last_seen=AT + timedelta(1), source="auto_explain",
        times=2, cost=None, best_ms=None, worst_ms=9.0, json={},
    )  # fmt: skip
    both = replace(later, first_seen=AT, times=3, cost=10.0, best_ms=5.0, json={"a": 1})
    assert [both] == combined([later, ONE]) == combined([ONE, later])
    none = replace(ONE, best_ms=None, worst_ms=None)
    assert (None, None) == (combined([none, none])[0].best_ms, combined([none, none])[0].worst_ms)
