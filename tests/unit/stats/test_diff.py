"""The difference of two snapshots, without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopt.errors import UsageError
from dbopt.sql.findings import Finding, Severity
from dbopt.stats.diff import Change, Delta, Diff, ViewDiff, diff
from dbopt.stats.view import View
from dbopt.store.snapshots import Header, Snapshot

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEFORE = Header(START, "h:1", "shop", 180006, id=1)
AFTER = replace(BEFORE, taken_at=START + timedelta(minutes=1), id=2)
DATABASE = View("database", "snapshot_database", ("database",), (), ("xact_commit",))
TABLES = View("tables", "t", ("relid",), ("name",), ("seq_scan", "seen"), ("live",))
STATEMENTS = View("statements", "s", ("queryid",), ("stats_since",), ("calls",))
VIEWS = (DATABASE, TABLES, STATEMENTS)


def table(relid: int, seq_scan: int, live: int = 0, seen: int | None = 0) -> dict[str, Any]:
    values = {"seq_scan": seq_scan, "seen": seen, "live": live}
    return {"relid": relid, "name": f"t{relid}", **values}


def statement(queryid: int, calls: int, since: datetime | None = None) -> dict[str, Any]:
    return {"queryid": queryid, "calls": calls, "stats_since": since}


def tables(*rows: dict[str, Any], header: Header = BEFORE) -> Snapshot:
    return Snapshot(header, {"t": list(rows)})


def statements(*rows: dict[str, Any], header: Header = BEFORE) -> Snapshot:
    return Snapshot(header, {"s": list(rows)})


def compared(before: Snapshot, after: Snapshot) -> Diff:
    return diff(before, replace(after, header=_later(after.header)), VIEWS)


def _later(header: Header) -> Header:
    return replace(header, taken_at=AFTER.taken_at, id=2)


def only(view: ViewDiff) -> Delta:
    (delta,) = view.deltas
    return delta


def test_what_is_in_both_has_its_growth() -> None:
    change = compared(tables(table(1, 10, live=5)), tables(table(1, 17, live=6)))
    delta = only(change.views["tables"])
    assert Change.SAME is delta.change
    assert delta.grown == {"seq_scan": 7, "seen": 0}
    assert delta.gauges == {"live": 6}
    assert delta.labels == {"relid": 1, "name": "t1"}
    assert change.seconds == 60


def test_new_and_vanished() -> None:
    change = compared(tables(table(1, 10)), tables(table(2, 3)))
    view = change.views["tables"]
    assert (only(view).change, only(view).grown["seq_scan"]) == (Change.NEW, 3)
    assert [row["relid"] for row in view.vanished] == [1]


def test_a_counter_that_fell_was_reset() -> None:
    change = compared(tables(table(1, 10), table(2, 1)), tables(table(1, 4), table(2, 3)))
    first, second = change.views["tables"].deltas
    assert (first.change, first.grown["seq_scan"]) == (Change.RESET, 4)
    assert (second.change, second.grown["seq_scan"]) == (Change.SAME, 2)
    assert not change.views["tables"].reset


@pytest.mark.parametrize("old", [None, START - timedelta(days=1)])
def test_a_moved_reset_time_resets_all_but_the_statements(old: datetime | None) -> None:
    """A counter may have passed its old value since: that it did not fall proves nothing."""
    before = Snapshot(
        replace(BEFORE, stats_reset=old), {"t": [table(1, 10)], "s": [statement(1, 1)]}
    )
    after = Snapshot(
        replace(BEFORE, stats_reset=START + timedelta(seconds=5)),
        {"t": [table(1, 17)], "s": [statement(1, 3)]},
    )
    change = compared(before, after)
    delta = only(change.views["tables"])
    assert (delta.change, delta.grown["seq_scan"]) == (Change.RESET, 17)
    assert only(change.views["statements"]).grown == {"calls": 2}


def test_a_reset_time_that_became_unknown_is_none() -> None:
    before = tables(table(1, 10), header=replace(BEFORE, stats_reset=START))
    assert Change.SAME is only(compared(before, tables(table(1, 11))).views["tables"]).change


def test_a_crash_that_cleared_the_database_cleared_all() -> None:
    def at(commits: int, scans: int) -> Snapshot:
        row = {"database": "shop", "xact_commit": commits}
        return Snapshot(BEFORE, {"snapshot_database": [row], "t": [table(1, scans)]})

    delta = only(compared(at(100, 10), at(7, 12)).views["tables"])
    assert (delta.change, delta.grown["seq_scan"]) == (Change.RESET, 12)


def test_statements_have_a_reset_time_of_their_own() -> None:
    old = replace(BEFORE, statements_reset=START - timedelta(days=1))
    new = replace(BEFORE, statements_reset=START + timedelta(seconds=1))
    change = compared(
        statements(statement(1, 5), header=old), statements(statement(1, 6), header=new)
    )
    view = change.views["statements"]
    assert view.reset
    assert (only(view).change, only(view).grown["calls"]) == (Change.RESET, 6)
    assert not change.views["tables"].reset


def test_an_entry_that_was_evicted_and_came_back_was_reset() -> None:
    since = START + timedelta(seconds=9)
    before = statements(statement(1, 5, START - timedelta(days=1)))
    delta = only(compared(before, statements(statement(1, 8, since))).views["statements"])
    assert (delta.change, delta.grown["calls"]) == (Change.RESET, 8)


def test_a_truncated_snapshot_leaves_unknown_what_it_left_out() -> None:
    cut = replace(BEFORE, truncated=frozenset({"statements"}))
    before = statements(statement(1, 5), header=cut)
    after = statements(
        statement(1, 6),
        statement(2, 9),
        statement(3, 9, START - timedelta(hours=1)),
        statement(4, 9, START + timedelta(seconds=1)),
    )
    view = compared(before, after).views["statements"]
    assert [delta.change for delta in view.deltas] == [
        Change.SAME,
        Change.UNKNOWN,
        Change.UNKNOWN,
        Change.NEW,
    ]
    assert [delta.labels["queryid"] for delta in view.known] == [1, 4]


def test_what_was_not_examined_is_unknown_and_not_new() -> None:
    finding = Finding("stats-statements", Severity.WARNING, "shop", "no", examined=False)
    before = statements(header=replace(BEFORE, findings=(finding,)))
    view = compared(before, statements(statement(1, 1000))).views["statements"]
    assert Change.UNKNOWN is only(view).change


@pytest.mark.parametrize(
    ("old", "new", "expected"), [(None, 5, None), (5, None, None), (None, None, None), (2, 5, 3)]
)
def test_what_was_not_measured_is_none_and_not_zero(
    old: int | None, new: int | None, expected: int | None
) -> None:
    change = compared(tables(table(1, 1, seen=old)), tables(table(1, 1, seen=new)))
    assert expected == only(change.views["tables"]).grown["seen"]


def test_two_databases_or_the_wrong_order_are_refused() -> None:
    with pytest.raises(UsageError, match="different"):
        diff(Snapshot(BEFORE), Snapshot(replace(AFTER, database="other")), VIEWS)
    with pytest.raises(UsageError, match="not older"):
        diff(Snapshot(AFTER), Snapshot(BEFORE), VIEWS)


@given(
    st.dictionaries(st.integers(1, 5), st.integers(0, 9)),
    st.dictionaries(st.integers(1, 5), st.integers(0, 9)),
)
def test_no_growth_is_negative_or_more_than_the_end(
    old: dict[int, int], new: dict[int, int]
) -> None:
    before = tables(*(table(*item) for item in old.items()))
    view = compared(before, tables(*(table(*item) for item in new.items()))).views["tables"]
    for delta in view.deltas:
        assert 0 <= (delta.grown["seq_scan"] or 0) <= new[delta.labels["relid"]]
    assert {row["relid"] for row in view.vanished} == old.keys() - new.keys()
    assert {delta.labels["relid"] for delta in view.deltas} == new.keys()
