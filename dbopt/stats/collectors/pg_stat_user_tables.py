"""pg_stat_user_tables and pg_statio_user_tables: how each table is read, written and cleaned."""

from __future__ import annotations

from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader, minor
from dbopt.stats.view import View

VIEW = View(
    name="tables",
    key=("relid",),
    labels=("schemaname", "relname"),
    counters=(
        "seq_scan",
        "seq_tup_read",
        "idx_scan",
        "idx_tup_fetch",
        "n_tup_ins",
        "n_tup_upd",
        "n_tup_del",
        "n_tup_hot_upd",
        "n_tup_newpage_upd",
        "vacuum_count",
        "autovacuum_count",
        "analyze_count",
        "autoanalyze_count",
        "total_vacuum_us",
        "total_autovacuum_us",
        "total_analyze_us",
        "total_autoanalyze_us",
        "heap_blks_read",
        "heap_blks_hit",
        "idx_blks_read",
        "idx_blks_hit",
        "toast_blks_read",
        "toast_blks_hit",
        "tidx_blks_read",
        "tidx_blks_hit",
    ),
    gauges=(
        "n_live_tup",
        "n_dead_tup",
        "n_mod_since_analyze",
        "n_ins_since_vacuum",
        "last_vacuum_at",
        "last_autovacuum_at",
        "last_analyze_at",
        "last_autoanalyze_at",
        "last_seq_scan_at",
        "last_idx_scan_at",
    ),
)


def _gaps(server: ServerInfo) -> tuple[Finding, ...]:
    if not server.in_recovery:
        return ()
    message = "A standby counts its own scans only: when tables were cleaned its primary knows."
    return (minor("tables", server, message, "Let a dbopt look at the primary, too."),)


READER = Reader(VIEW, "collect_tables", gaps=_gaps, large=True)
