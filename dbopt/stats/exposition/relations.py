"""Families of tables, indexes, sequences and statements: as many as a database has. PURE."""

from __future__ import annotations

from dbopt.stats.exposition.family import DATABASE, Column, Family

_C = Column

_TABLE = (("datname", DATABASE), ("schemaname", "schemaname"), ("relname", "relname"))
_INDEX = (
    ("datname", DATABASE),
    ("schemaname", "schemaname"),
    ("relname", "relname"),
    ("indexrelname", "indexrelname"),
)
_OWN_TABLE = (("database", DATABASE), ("schema", "schemaname"), ("table", "relname"))
_OWN_INDEX = (*_OWN_TABLE, ("index", "indexrelname"))
_TABLES = ("seq_tup_read", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del", "seq_scan")
_INDEXES = ("idx_scan", "idx_tup_read")
_T, _IO, _S = "pg_stat_user_tables_", "pg_statio_user_tables_", "pg_stat_statements_"

TABLES = Family(
    "tables", _TABLE, limit="tables", rank=_TABLES,
    columns=(
        _C("seq_scan", _T + "seq_scan", "Sequential scans."),
        _C("seq_tup_read", _T + "seq_tup_read", "Rows read by sequential scans."),
        _C("idx_scan", _T + "idx_scan", "Index scans."),
        _C("idx_tup_fetch", _T + "idx_tup_fetch", "Rows fetched by index scans."),
        _C("n_tup_ins", _T + "n_tup_ins", "Rows inserted."),
        _C("n_tup_upd", _T + "n_tup_upd", "Rows updated."),
        _C("n_tup_del", _T + "n_tup_del", "Rows deleted."),
        _C("n_tup_hot_upd", _T + "n_tup_hot_upd", "Rows updated without a new index entry."),
        _C("n_live_tup", _T + "n_live_tup", "Live rows, estimated."),
        _C("n_dead_tup", _T + "n_dead_tup", "Dead rows, estimated."),
        _C("n_mod_since_analyze", _T + "n_mod_since_analyze", "Rows changed since ANALYZE."),
        _C("last_vacuum_at", _T + "last_vacuum", "Last VACUUM, epoch seconds; 0 for never."),
        _C("last_autovacuum_at", _T + "last_autovacuum", "Last autovacuum; 0 for never."),
        _C("last_analyze_at", _T + "last_analyze", "Last ANALYZE; 0 for never."),
        _C("last_autoanalyze_at", _T + "last_autoanalyze", "Last autoanalyze; 0 for never."),
        _C("vacuum_count", _T + "vacuum_count", "Vacuums by hand."),
        _C("autovacuum_count", _T + "autovacuum_count", "Autovacuums."),
        _C("analyze_count", _T + "analyze_count", "Analyzes by hand."),
        _C("autoanalyze_count", _T + "autoanalyze_count", "Autoanalyzes."),
        _C("heap_blks_read", _IO + "heap_blocks_read", "Table blocks read."),
        _C("heap_blks_hit", _IO + "heap_blocks_hit", "Table blocks found in shared buffers."),
        _C("idx_blks_read", _IO + "idx_blocks_read", "Index blocks read."),
        _C("idx_blks_hit", _IO + "idx_blocks_hit", "Index blocks found in shared buffers."),
        _C("toast_blks_read", _IO + "toast_blocks_read", "TOAST blocks read."),
        _C("toast_blks_hit", _IO + "toast_blocks_hit", "TOAST blocks found in shared buffers."),
        _C("tidx_blks_read", _IO + "tidx_blocks_read", "TOAST index blocks read."),
        _C("tidx_blks_hit", _IO + "tidx_blocks_hit", "TOAST index blocks in shared buffers."),
    ),
)  # fmt: skip

STORAGE = Family(
    "table_storage", _TABLE, limit="tables", rank=("table_bytes", "toast_bytes"),
    columns=(
        _C("table_bytes", _T + "table_size_bytes", "The table on disk, without TOAST."),
        _C("indexes_bytes", _T + "index_size_bytes", "Its indexes on disk."),
    ),
)  # fmt: skip

OWN_STORAGE = Family(
    "table_storage", _OWN_TABLE, limit="tables", rank=("table_bytes", "toast_bytes"),
    columns=(
        _C("toast_bytes", "dbopt_table_toast_size_bytes", "The table's TOAST on disk."),
        _C("xid_age", "dbopt_table_xid_age", "Transactions since its oldest unfrozen row."),
    ),
)  # fmt: skip

TABLE_BLOAT = Family(
    "table_bloat", _OWN_TABLE, limit="tables", rank=("bloat_bytes",),
    columns=(
        _C("bloat_bytes", "dbopt_table_bloat_bytes", "Estimated waste in the table."),
        _C("real_bytes", "dbopt_table_estimated_size_bytes", "What that is a share of."),
    ),
)  # fmt: skip

INDEXES = Family(
    "indexes", _OWN_INDEX, limit="indexes", rank=_INDEXES,
    columns=(
        _C("idx_scan", "dbopt_index_scans_total", "Scans of the index."),
        _C("idx_tup_read", "dbopt_index_entries_read_total", "Index entries read by scans."),
        _C("idx_tup_fetch", "dbopt_index_rows_fetched_total", "Live rows fetched by scans."),
        _C("last_idx_scan_at", "dbopt_index_last_scan_timestamp_seconds", "0: never, or unknown."),
    ),
)  # fmt: skip

INDEX_IO = Family(
    "indexes", _INDEX[1:], limit="indexes", rank=_INDEXES,
    columns=(
        _C("idx_blks_read", "pg_statio_user_indexes_idx_blks_read_total", "Blocks read."),
        _C("idx_blks_hit", "pg_statio_user_indexes_idx_blks_hit_total", "In shared buffers."),
    ),
)  # fmt: skip

INDEX_STORAGE = Family(
    "index_storage", _OWN_INDEX, limit="indexes", rank=("index_bytes",),
    columns=(
        _C("index_bytes", "dbopt_index_size_bytes", "The index on disk."),
        _C("indisvalid", "dbopt_index_valid", "1 if queries may use it; 0: it is not whole."),
    ),
)  # fmt: skip

INDEX_BLOAT = Family(
    "index_bloat", _OWN_INDEX, limit="indexes", rank=("bloat_bytes",),
    columns=(_C("bloat_bytes", "dbopt_index_bloat_bytes", "Estimated waste in the index."),),
)  # fmt: skip

SEQUENCES = Family(
    "sequences",
    (("database", DATABASE), ("schema", "schemaname"), ("sequence", "relname")),
    rank=("used_ppm",),
    columns=(_C("used_ppm", "dbopt_sequence_used_ratio", "Share of its values that are used."),),
)

FUNCTIONS = Family(
    "functions",
    (("database", DATABASE), ("schema", "schemaname"), ("function", "funcname")),
    rank=("total_us",),
    columns=(
        _C("calls", "dbopt_function_calls_total", "Calls (track_functions)."),
        _C("total_us", "dbopt_function_seconds_total", "Time in it and what it calls."),
        _C("self_us", "dbopt_function_self_seconds_total", "Time in it alone."),
    ),
)

STATEMENTS = Family(
    "statements",
    (("user", "role"), ("datname", DATABASE), ("queryid", "queryid")),
    limit="statements",
    rank=("total_exec_us",),
    columns=(
        _C("calls", _S + "calls_total", "Times executed."),
        _C("total_exec_us", _S + "seconds_total", "Time spent executing."),
        _C("rows", _S + "rows_total", "Rows retrieved or affected."),
        _C("shared_blk_read_us", _S + "block_read_seconds_total", "Time spent reading blocks."),
        _C("shared_blk_write_us", _S + "block_write_seconds_total", "Time spent writing blocks."),
        _C("shared_blks_hit", "dbopt_server_statement_blocks_hit_total", "Shared blocks found."),
        _C("shared_blks_read", "dbopt_server_statement_blocks_read_total", "Shared blocks read."),
        _C("temp_blks_written", "dbopt_server_statement_temp_blocks_total", "Blocks spilled."),
        _C("wal_bytes", "dbopt_server_statement_wal_bytes_total", "WAL that it wrote."),
        _C("total_plan_us", "dbopt_server_statement_plan_seconds_total", "Time spent planning."),
    ),
)

FAMILIES = (
    TABLES, STORAGE, OWN_STORAGE, TABLE_BLOAT, INDEXES, INDEX_IO, INDEX_STORAGE, INDEX_BLOAT,
    SEQUENCES, FUNCTIONS, STATEMENTS,
)  # fmt: skip
