"""The columns that PostgreSQL 13 to 18 document of each view and catalog that collectors read.

A word is a column of every version, `name:16` since 16, `name:-16` until 16, `name:14-17` both.
Source: PostgreSQL's documentation, "The Cumulative Statistics System", "System Views" and "System
Catalogs", of each version; a test compares them with the servers that it is given. Of catalogs
only what is likely to be read. pg_stat_statements goes by the extension's version, 108 to 112.
"""

from __future__ import annotations

COLUMNS: dict[str, str] = {
    "pg_stat_database": """
        datid datname numbackends xact_commit xact_rollback blks_read blks_hit tup_returned
        tup_fetched tup_inserted tup_updated tup_deleted conflicts temp_files temp_bytes deadlocks
        checksum_failures checksum_last_failure blk_read_time blk_write_time session_time:14
        active_time:14 idle_in_transaction_time:14 sessions:14 sessions_abandoned:14
        sessions_fatal:14 sessions_killed:14 parallel_workers_to_launch:18
        parallel_workers_launched:18 stats_reset""",
    "pg_stat_database_conflicts": """
        datid datname confl_tablespace confl_lock confl_snapshot confl_bufferpin confl_deadlock
        confl_active_logicalslot:16""",
    "pg_stat_bgwriter": """
        checkpoints_timed:-16 checkpoints_req:-16 checkpoint_write_time:-16
        checkpoint_sync_time:-16 buffers_checkpoint:-16 buffers_clean maxwritten_clean
        buffers_backend:-16 buffers_backend_fsync:-16 buffers_alloc stats_reset""",
    "pg_stat_checkpointer": """
        num_timed:17 num_requested:17 num_done:18 restartpoints_timed:17 restartpoints_req:17
        restartpoints_done:17 write_time:17 sync_time:17 buffers_written:17 slru_written:18
        stats_reset:17""",
    "pg_stat_wal": """
        wal_records:14 wal_fpi:14 wal_bytes:14 wal_buffers_full:14 wal_write:14-17 wal_sync:14-17
        wal_write_time:14-17 wal_sync_time:14-17 stats_reset:14""",
    "pg_stat_io": """
        backend_type:16 object:16 context:16 reads:16 read_bytes:18 read_time:16 writes:16
        write_bytes:18 write_time:16 writebacks:16 writeback_time:16 extends:16 extend_bytes:18
        extend_time:16 op_bytes:16-17 hits:16 evictions:16 reuses:16 fsyncs:16 fsync_time:16
        stats_reset:16""",
    "pg_stat_slru": """
        name blks_zeroed blks_hit blks_read blks_written blks_exists flushes truncates
        stats_reset""",
    "pg_stat_archiver": """
        archived_count last_archived_wal last_archived_time failed_count last_failed_wal
        last_failed_time stats_reset""",
    "pg_stat_recovery_prefetch": """
        stats_reset:15 prefetch:15 hit:15 skip_init:15 skip_new:15 skip_fpw:15 skip_rep:15
        wal_distance:15 block_distance:15 io_depth:15""",
    "pg_settings": """
        name setting unit category short_desc extra_desc context vartype source min_val max_val
        enumvals boot_val reset_val sourcefile sourceline pending_restart""",
    "pg_stat_replication": """
        pid usesysid usename application_name client_addr client_hostname client_port
        backend_start backend_xmin state sent_lsn write_lsn flush_lsn replay_lsn write_lag
        flush_lag replay_lag sync_priority sync_state reply_time""",
    "pg_replication_slots": """
        slot_name plugin slot_type datoid database temporary active active_pid xmin catalog_xmin
        restart_lsn confirmed_flush_lsn wal_status safe_wal_size two_phase:14 two_phase_at:18
        inactive_since:17 conflicting:16 invalidation_reason:17 failover:17 synced:17""",
    "pg_stat_wal_receiver": """
        pid status receive_start_lsn receive_start_tli written_lsn flushed_lsn received_tli
        last_msg_send_time last_msg_receipt_time latest_end_lsn latest_end_time slot_name
        sender_host sender_port conninfo""",
    "pg_stat_replication_slots": """
        slot_name:14 spill_txns:14 spill_count:14 spill_bytes:14 stream_txns:14 stream_count:14
        stream_bytes:14 total_txns:14 total_bytes:14 stats_reset:14""",
    "pg_stat_subscription": """
        subid subname worker_type:17 pid leader_pid:16 relid received_lsn last_msg_send_time
        last_msg_receipt_time latest_end_lsn latest_end_time""",
    "pg_stat_subscription_stats": """
        subid:15 subname:15 apply_error_count:15 sync_error_count:15 confl_insert_exists:18
        confl_update_origin_differs:18 confl_update_exists:18 confl_update_missing:18
        confl_delete_origin_differs:18 confl_delete_missing:18 confl_multiple_unique_conflicts:18
        stats_reset:15""",
    "pg_stat_activity": """
        datid datname pid leader_pid usesysid usename application_name client_addr
        client_hostname client_port backend_start xact_start query_start state_change
        wait_event_type wait_event state backend_xid backend_xmin query_id:14 query
        backend_type""",
    "pg_stat_ssl": """
        pid ssl version cipher bits compression:-13 client_dn client_serial issuer_dn""",
    "pg_stat_gssapi": "pid gss_authenticated principal encrypted credentials_delegated:16",
    "pg_locks": """
        locktype database relation page tuple virtualxid transactionid classid objid objsubid
        virtualtransaction pid mode granted fastpath waitstart:14""",
    "pg_prepared_xacts": "transaction gid prepared owner database",
    "pg_stat_progress_vacuum": """
        pid datid datname relid phase heap_blks_total heap_blks_scanned heap_blks_vacuumed
        index_vacuum_count max_dead_tuples:-16 num_dead_tuples:-16 max_dead_tuple_bytes:17
        dead_tuple_bytes:17 num_dead_item_ids:17 indexes_total:17 indexes_processed:17
        delay_time:18""",
    "pg_stat_progress_analyze": """
        pid datid datname relid phase sample_blks_total sample_blks_scanned ext_stats_total
        ext_stats_computed child_tables_total child_tables_done current_child_table_relid
        delay_time:18""",
    "pg_stat_progress_create_index": """
        pid datid datname relid index_relid command phase lockers_total lockers_done
        current_locker_pid blocks_total blocks_done tuples_total tuples_done partitions_total
        partitions_done""",
    "pg_stat_progress_cluster": """
        pid datid datname relid command phase cluster_index_relid heap_tuples_scanned
        heap_tuples_written heap_blks_total heap_blks_scanned index_rebuild_count""",
    "pg_stat_progress_basebackup": """
        pid phase backup_total backup_streamed tablespaces_total tablespaces_streamed""",
    "pg_stat_progress_copy": """
        pid:14 datid:14 datname:14 relid:14 command:14 type:14 bytes_processed:14 bytes_total:14
        tuples_processed:14 tuples_excluded:14 tuples_skipped:17""",
    "pg_stats": """
        schemaname tablename attname inherited null_frac avg_width n_distinct most_common_vals
        most_common_freqs histogram_bounds correlation most_common_elems most_common_elem_freqs
        elem_count_histogram range_length_histogram:17 range_empty_frac:17
        range_bounds_histogram:17""",
    "pg_stat_user_functions": "funcid schemaname funcname calls total_time self_time",
}
"""Views, whole."""

CATALOGS: dict[str, str] = {
    "pg_database": "oid datname datfrozenxid datminmxid datconnlimit datallowconn",
    "pg_class": """
        oid relname relnamespace relam relkind relpersistence reltoastrelid relfilenode relpages
        reltuples relallvisible relallfrozen:18 relfrozenxid relminmxid reloptions""",
    "pg_index": "indexrelid indrelid indkey indnatts indisvalid indisready",
    "pg_namespace": "oid nspname",
    "pg_am": "oid amname",
    "pg_attribute": "attrelid attname atttypid attnum attisdropped",
    "pg_sequence": "seqrelid seqtypid seqstart seqincrement seqmax seqmin seqcycle",
    "pg_depend": "classid objid objsubid refclassid refobjid refobjsubid deptype",
    "pg_proc": "oid proname proargtypes",
    "pg_extension": "extname extversion extnamespace",
}
"""Catalogs, in part."""

STATEMENTS: dict[str, str] = {
    "pg_stat_statements": """
        userid dbid toplevel:109 queryid query plans total_plan_time min_plan_time max_plan_time
        mean_plan_time stddev_plan_time calls total_exec_time min_exec_time max_exec_time
        mean_exec_time stddev_exec_time rows shared_blks_hit shared_blks_read shared_blks_dirtied
        shared_blks_written local_blks_hit local_blks_read local_blks_dirtied local_blks_written
        temp_blks_read temp_blks_written blk_read_time:-110 blk_write_time:-110
        shared_blk_read_time:111 shared_blk_write_time:111 local_blk_read_time:111
        local_blk_write_time:111 temp_blk_read_time:110 temp_blk_write_time:110 wal_records
        wal_fpi wal_bytes wal_buffers_full:112 jit_functions:110 jit_generation_time:110
        jit_inlining_count:110 jit_inlining_time:110 jit_optimization_count:110
        jit_optimization_time:110 jit_emission_count:110 jit_emission_time:110
        jit_deform_count:111 jit_deform_time:111 parallel_workers_to_launch:112
        parallel_workers_launched:112 stats_since:111 minmax_stats_since:111""",
    "pg_stat_statements_info": "dealloc:109 stats_reset:109",
}
"""The extension's views, by its own versions."""

FUNCTIONS: dict[str, int] = {
    "pg_stat_get_lastscan": 16,
    "pg_stat_get_tuples_newpage_updated": 16,
    "pg_stat_get_total_vacuum_time": 18,
    "pg_stat_get_total_autovacuum_time": 18,
    "pg_stat_get_total_analyze_time": 18,
    "pg_stat_get_total_autoanalyze_time": 18,
}
"""Functions beneath the views that came after 13, and when."""


def columns(words: str, version: int) -> frozenset[str]:
    """The columns of `words` that this version has; none where the view is younger."""
    found = set[str]()
    for word in words.split():
        name, _, range_ = word.partition(":")
        since, _, until = range_.partition("-")
        # "16" is since 16 without an end, "-16" until 16, "14-17" both.
        if int(since or 0) <= version <= int(until or 999):
            found.add(name)
    return frozenset(found)
