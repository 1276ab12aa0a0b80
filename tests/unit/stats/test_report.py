"""The report's figures, without a server."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.sql.findings import Finding, Severity
from dbopt.stats.oldcollectors import VIEWS
from dbopt.stats.diff import diff
from dbopt.stats.oldreport import MAX_TEXT, Report, build
from dbopt.stats.view import View
from dbopt.store.snapshots import Header, Snapshot

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEFORE = Header(START, "10.0.0.5:5432", "shop", 180006, id=1)
AFTER = replace(BEFORE, taken_at=START + timedelta(seconds=100), id=2)
BY_NAME = {view.name: view for view in VIEWS}
TEXTS = {1: "SELECT * FROM a WHERE id = $1", 2: "SELECT\n  slow | [red]", 3: "INSERT INTO a"}
UNSEEN = Finding("stats-activity", Severity.WARNING, "shop", "Hidden.", {}, "GRANT x;", False)


def row(view: View, **values: Any) -> dict[str, Any]:
    """A row of a view: what is not given is empty, a counter zero."""
    empty = dict.fromkeys(view.key + view.labels, "") | {"stats_since": None}
    known = dict.fromkeys(view.counters + view.gauges, 0)
    return {name: {**empty, **known, **values}[name] for name in view.columns}


def statement(queryid: int, fingerprint: int, calls: int, ms: float, **more: Any) -> dict[str, Any]:
    base = {"queryid": queryid, "userid": 10, "toplevel": True, "fingerprint": fingerprint}
    return row(BY_NAME["statements"], **{**base, "calls": calls, "total_ms": ms, **more})


def snapshot(header: Header, **parts: list[dict[str, Any]]) -> Snapshot:
    return Snapshot(header, {BY_NAME[name].table: rows for name, rows in parts.items()}, TEXTS)


def example() -> Report:
    """A period of 100 s with a bit of everything."""
    table, index = BY_NAME["tables"], BY_NAME["indexes"]
    start = {"database": "shop", "xact_commit": 1000, "blks_hit": 0}
    end = {
        "database": "shop",
        "xact_commit": 1090,
        "xact_rollback": 10,
        "blks_hit": 99,
        "blks_read": 1,
        "blk_read_ms": None,
        "temp_bytes": 2048,
        "deadlocks": 1,
        "numbackends": 4,
    }
    before = snapshot(
        BEFORE,
        database=[row(BY_NAME["database"], **start)],
        statements=[statement(11, 1, 100, 50.0), statement(12, 2, 1, 1.0)],
        tables=[row(table, relid=1, schema="public", name="a", seq_scan=5, seq_tup_read=50)],
        indexes=[row(index, indexrelid=9, schema="public", table="a", name="a_pkey", idx_scan=1)],
    )
    after = snapshot(
        replace(AFTER, findings=(UNSEEN,), statements_dealloc=7),
        database=[row(BY_NAME["database"], **end)],
        statements=[
            statement(11, 1, 200, 75.0, rows=100, shared_blks_hit=3, shared_blks_read=1),
            # Another role, the same statement.
            statement(11, 1, 10, 5.0, userid=11, rows=10, max_ms=2.5),
            statement(12, 2, 2, 71.0),
            statement(13, 3, 4, 9.0, toplevel=False),
        ],
        tables=[
            row(
                table, relid=1, schema="public", name="a", seq_scan=7, seq_tup_read=2050,
                n_live_tup=1000, bytes=1_572_864,
            ),
            row(table, relid=2, schema="public", name="idle"),
        ],
        indexes=[
            row(
                index, indexrelid=9, schema="public", table="a", name="a_pkey", idx_scan=4,
                bytes=10,
            ),
            row(index, indexrelid=8, schema="public", table="a", name="a_unused", bytes=None),
        ],
        activity=[
            row(BY_NAME["activity"], state="active", wait_event_type="Lock", sessions=2,
                longest_transaction_s=3.25),
            row(BY_NAME["activity"], state="idle", sessions=9, longest_transaction_s=None),
        ],
    )  # fmt: skip
    before = replace(before, header=replace(before.header, statements_dealloc=5))
    return build(diff(before, after, VIEWS))


def test_the_database() -> None:
    total = example().database
    assert total is not None
    assert (total.tps, total.commits, total.rollbacks) == (1.0, 90, 10)
    assert (total.rollback_ratio, total.hit_ratio) == (0.1, 0.99)
    assert (
        total.read_ms,
        total.temp_bytes,
        total.deadlocks,
        total.backends,
    ) == (None, 2048, 1, 4)


def test_statements_are_added_up_by_fingerprint() -> None:
    slow, fast, nested = example().statements
    assert (
        slow.fingerprint,
        slow.calls,
        slow.total_ms,
        slow.share,
    ) == ("0000000000000002", 1, 70.0, 0.7)
    assert (
        fast.calls,
        fast.total_ms,
        fast.share,
        fast.rows,
        fast.max_ms,
    ) == (110, 30.0, 0.3, 110, 2.5)
    assert fast.mean_ms == 30.0 / 110
    assert fast.hit_ratio == 0.75
    assert fast.change == "new"
    assert (nested.nested, nested.share, nested.total_ms) == (True, None, 9.0)
    assert slow.text == "SELECT slow | [red]"


def test_tables_that_did_nothing_are_left_out() -> None:
    (table,) = example().tables
    assert (
        table.name,
        table.seq_scans,
        table.seq_rows,
        table.live,
        table.bytes,
    ) == ("a", 2, 2000, 1000, 1_572_864)


def test_indexes_that_did_nothing_are_not() -> None:
    used, unused = example().indexes
    assert (used.name, used.scans, used.bytes) == ("a_pkey", 3, 10)
    assert (unused.name, unused.scans, unused.bytes) == ("a_unused", 0, None)


def test_activity_notes_and_findings() -> None:
    report = example()
    assert [(a.state, a.sessions) for a in report.activity] == [("idle", 9), ("active", 2)]
    (note,) = report.notes
    assert note.startswith("pg_stat_statements evicted entries 2 times")
    assert report.findings == (UNSEEN,)


def test_a_reset_shortens_what_rates_are_of() -> None:
    view = BY_NAME["database"]
    before = snapshot(BEFORE, database=[row(view, database="shop", xact_commit=1000)])
    reset = replace(AFTER, stats_reset=START + timedelta(seconds=90))
    after = snapshot(reset, database=[row(view, database="shop", xact_commit=50)])
    report = build(diff(before, after, VIEWS))
    assert report.database is not None
    assert (report.period.seconds, report.database.tps) == (10.0, 5.0)
    assert "The counters of database were reset in this period: figures since then." in report.notes


def test_what_is_unknown_is_left_out_and_counted() -> None:
    before = snapshot(replace(BEFORE, truncated=frozenset({"statements"})), statements=[])
    after = snapshot(AFTER, statements=[statement(1, 1, 10, 5.0)])
    report = build(diff(before, after, VIEWS))
    assert report.statements == ()
    assert report.notes[-1].startswith("1 of statements are left out")


def test_the_top_lines_alone() -> None:
    before = snapshot(BEFORE, statements=[])
    after = snapshot(AFTER, statements=[statement(n, n, 1, float(n)) for n in range(1, 9)])
    report = build(diff(before, after, VIEWS), top=2)
    assert [line.total_ms for line in report.statements] == [8.0, 7.0]
    # The share is of all of them.
    assert report.statements[0].share == 8 / 36


def test_a_long_text_is_one_line() -> None:
    before = Snapshot(BEFORE, {"snapshot_statement": []})
    rows = {"snapshot_statement": [statement(1, 1, 1, 1.0)]}
    after = Snapshot(AFTER, rows, {1: "SELECT 1,\n" * 100})
    (line,) = build(diff(before, after, VIEWS)).statements
    assert len(line.text) == MAX_TEXT
    assert "\n" not in line.text


def test_the_dict_is_json() -> None:
    document = json.loads(json.dumps(example().to_dict()))
    assert document["period"]["start"] == "2026-03-01T12:00:00+00:00"
    assert document["findings"][0]["severity"] == "warning"
    assert {
        "period",
        "database",
        "statements",
        "tables",
        "indexes",
        "activity",
        "notes",
        "findings",
    } == document.keys()
