from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.store.decoding import Decoded
from dbopt.store.frame import Target
from dbopt.store.totals import Total, Totals

T = Target("h:5432", "shop")
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LAYOUT = ("tables", ("a", "b"), ("g",), False)


def row(minute: int, seconds: float = 60.0, reset: bool = False) -> dict[str, Any]:
    return {"at": AT + timedelta(minutes=minute), "seconds": seconds, "reset": reset}


def test_samples_add_up_and_time_does_not() -> None:
    for view, seconds in (("tables", 120.0), ("waits", 240.0)):
        totals = Totals(T, view)
        for minute in (1, 2):
            totals.add(row(minute, 120.0), (view, (), (), False), None, None, [])
        found = totals.result({})
        assert found is not None
        assert (180.0 if view == "tables" else seconds) == found.seconds


def test_nothing_adds_up_to_nothing() -> None:
    assert Totals(T, "tables").result({}) is None


def test_counters_add_up_and_gauges_are_the_latest() -> None:
    totals = Totals(T, "tables")
    changed = Decoded([1, 2], {0: [5, None]}, [[7, 8]], frozenset({1}))
    totals.add(row(1), LAYOUT, changed, None, [])
    totals.add(row(2, reset=True), LAYOUT, changed, Decoded([3], {}, [[9]], frozenset()), [2])
    # A period that was not looked at, and one that overlaps.
    totals.add(row(5), LAYOUT, None, None, [])
    totals.add(row(5), LAYOUT, None, None, [])
    named = {number: ((number,), {"name": str(number)}) for number in (1, 2, 3)}
    assert Total(
        T, "tables", AT, AT + timedelta(minutes=5), ("a", "b"), ("g",), 180.0, 4, 1,
        {(1,): (10, 0, 7), (2,): (None, 0, 8), (3,): (None, None, 9)},
        dict(named.values()), {(2,)},
    ) == totals.result(named)  # fmt: skip
