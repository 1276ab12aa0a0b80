"""Families of replication, locks and what holds others up. PURE."""

from __future__ import annotations

from dbopt.stats.exposition.family import Column, Family

_C = Column

_REPLICA = (
    ("application_name", "application_name"),
    ("client_addr", "client_addr"),
    ("state", "state"),
    ("slot_name", "slot_name"),
)
_SLOT = (("slot_name", "slot_name"), ("slot_type", "slot_type"))
_OWN = (("application_name", "application_name"), ("client_addr", "client_addr"))

REPLICATION = Family(
    "replication", _REPLICA, rank=("replay_lag_bytes",),
    columns=(
        _C("replay_lag_bytes", "pg_stat_replication_pg_wal_lsn_diff", "Bytes not replayed yet."),
    ),
)  # fmt: skip

OWN_REPLICATION = Family(
    "replication", _OWN, rank=("replay_lag_bytes",),
    columns=(
        _C("write_lag_us", "dbopt_replication_write_lag_seconds", "Until it had written."),
        _C("flush_lag_us", "dbopt_replication_flush_lag_seconds", "Until it had synced."),
        _C("replay_lag_us", "dbopt_replication_replay_lag_seconds", "Until it had replayed."),
    ),
)  # fmt: skip

RECEIVER = Family(
    "wal_receiver", (),
    columns=(
        _C("receiving", "dbopt_wal_receiver_active", "1 if this standby receives WAL."),
        _C("receive_lag_bytes", "dbopt_wal_receiver_lag_bytes", "Bytes not received yet."),
    ),
)  # fmt: skip

SLOTS = Family(
    "replication_slots", _SLOT, rank=("retained_bytes",),
    columns=(
        _C("active", "pg_replication_slot_slot_is_active", "1 if somebody reads it."),
        _C("safe_wal_bytes", "pg_replication_slot_safe_wal_size_bytes",
           "WAL that may be written until the slot is lost."),
    ),
)  # fmt: skip

OLD_SLOTS = Family(
    "replication_slots", (("slot_name", "slot_name"), ("database", "datname")),
    rank=("retained_bytes",),
    columns=(
        _C("active", "pg_replication_slots_active", "1 if somebody reads it."),
        _C("retained_bytes", "pg_replication_slots_pg_wal_lsn_diff", "WAL that it retains."),
    ),
)  # fmt: skip

SUBSCRIPTIONS = Family(
    "subscriptions", (("subscription", "subname"),),
    columns=(
        _C("apply_error_count", "dbopt_subscription_apply_errors_total", "Changes that failed."),
        _C("sync_error_count", "dbopt_subscription_sync_errors_total", "Copies that failed."),
        _C("lag_bytes", "dbopt_subscription_lag_bytes", "Bytes not applied yet."),
        _C("workers", "dbopt_subscription_workers", "Its workers."),
    ),
)  # fmt: skip

PREPARED = Family(
    "prepared_xacts", (("database", "datname"),),
    columns=(
        _C("prepared", "dbopt_prepared_transactions", "Transactions that were prepared."),
        _C("oldest_us", "dbopt_prepared_transactions_oldest_seconds", "Age of the oldest."),
    ),
)  # fmt: skip

HORIZON = Family(
    "xmin_horizon", (("holder", "holder"),),
    columns=(
        _C("xid_age", "dbopt_xmin_horizon_age", "Transactions since the oldest snapshot."),
        _C("held_us", "dbopt_xmin_horizon_held_seconds", "How long it has been held."),
    ),
)  # fmt: skip

FAMILIES = (
    REPLICATION, OWN_REPLICATION, RECEIVER, SLOTS, OLD_SLOTS, SUBSCRIPTIONS, PREPARED, HORIZON,
)  # fmt: skip
