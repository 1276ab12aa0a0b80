"""The JSON document's shape is a promise: see docs/report.md."""

from __future__ import annotations

import json

from dbopt.stats.report.model import FORMAT, UNITS, Column, Report, Section, top
from dbopt.stats.report.written import as_json

TOP_LEVEL = [
    "format", "server", "database", "from", "to", "seconds", "verdict", "summary", "key_figures",
    "sections", "charts", "notes", "not_examined", "statements",
]  # fmt: skip
SECTIONS = {
    "waits": ["wait_class", "wait_event", "aas", "share"],
    "load_by_statement": ["statement", "aas", "share"],
    "waits_by_statement": ["statement", "wait_class", "wait_event", "aas", "share"],
    "load_by_user": ["user", "aas", "share"],
    "load_by_application": ["application", "aas", "share"],
    "slower_before": ["statement", "factor", "before_us", "now_us", "calls", "added_us", "z"],
    "statements_new": ["statement", "total_us", "calls", "mean_us"],
    "statements_by_time": ["statement", "total_us", "share", "calls", "mean_us", "rows",
                           "hit_ratio", "io_us", "users"],
    "statements_by_calls": ["statement", "calls", "mean_us", "total_us", "rows_per_call"],
    "statements_by_mean": ["statement", "mean_us", "calls", "total_us"],
    "statements_by_io": ["statement", "read_bytes", "hit_ratio", "hit_bytes", "dirtied_bytes",
                         "written_bytes", "calls", "io_us"],
    "statements_by_rows": ["statement", "rows", "rows_per_call", "calls", "total_us"],
    "statements_by_temp": ["statement", "temp_written_bytes", "temp_read_bytes", "calls",
                           "total_us"],
    "statements_by_wal": ["statement", "wal_bytes", "wal_records", "wal_fpi", "calls", "total_us"],
    "statements_by_planning": ["statement", "total_plan_us", "plans", "calls", "total_us"],
    "statements_by_jit": ["statement", "jit_us", "share", "functions", "calls", "total_us"],
    "routes": ["route", "total_us", "share", "calls", "mean_us", "queue_us", "transfer_us", "rows",
               "errors", "sent_bytes"],
    "transactions": ["route", "user", "application", "total_us", "transactions", "mean_us",
                     "idle_share", "statements_per_transaction", "failed", "max_us"],
    "n_plus_one": ["statement", "route", "user", "transactions", "calls", "per_transaction",
                   "most"],
    "table_scans": ["table", "seq_scan", "seq_tup_read", "rows_per_scan", "idx_scan", "idx_share",
                    "n_live_tup"],
    "table_writes": ["table", "written", "n_tup_ins", "n_tup_upd", "n_tup_del", "hot_ratio",
                     "newpage_ratio"],
    "table_sizes": ["table", "total_bytes", "growth_bytes", "table_bytes", "indexes_bytes",
                    "toast_bytes", "bloat_bytes", "bloat"],
    "index_scans": ["index", "table", "idx_scan", "idx_tup_read", "idx_tup_fetch", "hit_ratio",
                    "index_bytes"],
    "indexes_unused": ["index", "table", "index_bytes", "last_idx_scan_at"],
    "databases": ["database", "transactions", "per_second", "rollback_ratio", "hit_ratio",
                  "temp_bytes", "deadlocks", "conflicts", "sessions", "size_bytes", "growth_bytes",
                  "xid_age"],
    "checkpoints": ["num_timed", "num_requested", "interval_us", "buffers_written", "write_us",
                    "sync_us", "buffers_clean", "maxwritten_clean", "buffers_backend"],
    "blocking": ["blocked", "blocking", "mode", "relation", "waited_us"],
    "replication_slots": ["slot", "type", "active", "wal_status", "retained_bytes", "growth_bytes",
                          "inactive_since_at"],
    "events": ["at", "kind", "object", "message"],
}  # fmt: skip
CHARTS = [
    "load_by_wait", "load_by_statement", "latency", "throughput", "transactions_per_second",
    "statement_time", "cache", "wal_rate", "connections",
]  # fmt: skip


def test_the_document_s_shape(day: Report) -> None:
    document = json.loads(as_json(day))
    assert TOP_LEVEL == list(document)
    assert FORMAT == document["format"]
    assert CHARTS == list(document["charts"])
    columns = {name: list(one["units"]) for name, one in document["sections"].items()}
    assert SECTIONS.items() <= columns.items()
    for name, one in document["sections"].items():
        assert {"title", "units", "rows", "left_out"} == set(one), name
        assert all(list(one["units"]) == list(row) for row in one["rows"]), name
        assert set(one["units"].values()) <= set(UNITS), name
    for remark in document["summary"]:
        assert ["rule", "severity", "title", "evidence", "remedy", "section"] == list(remark)
        assert remark["section"] in document["sections"]
    for chart in document["charts"].values():
        assert all(len(chart["times"]) == len(series["values"]) for series in chart["series"])


def test_each_section_has_an_id_of_its_own(day: Report) -> None:
    ids = [part.id for part in (*day.sections, *day.groups)]
    assert len(ids) == len(set(ids))


def test_the_largest_rows_are_kept_and_the_rest_counted() -> None:
    section = Section("x", "X", (Column("name", "name", "text"), Column("n", "n")), ())
    rows = [("a", 1), ("b", 3), ("c", None), ("d", 2), ("e", 0)]
    kept = top(section, rows, "n", 2)
    assert ((("b", 3), ("d", 2)), 1) == (kept.rows, kept.left_out)
