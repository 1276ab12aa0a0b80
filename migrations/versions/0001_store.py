"""dbopt's own schema: snapshots of the pg_stat views, statement texts, slow statements.

Counters are kept as the server gave them; differences are taken when a report is made. Times in
columns named *_ms are milliseconds, in *_s seconds, sizes in *_bytes or `bytes` bytes. A NULL
counter was not measured, which is not zero. Fingerprints are 64 bits, stored as signed.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE dbopt.snapshot (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        taken_at timestamptz NOT NULL,
        server text NOT NULL,
        database text NOT NULL,
        version_num integer NOT NULL,
        stats_reset timestamptz,
        statements_reset timestamptz,
        statements_dealloc bigint,
        truncated text[] NOT NULL DEFAULT '{}',
        findings jsonb NOT NULL DEFAULT '[]'
    )
    """,
    "CREATE INDEX snapshot_taken_at ON dbopt.snapshot (taken_at)",
    "CREATE INDEX snapshot_of ON dbopt.snapshot (server, database, taken_at)",
    """
    CREATE TABLE dbopt.snapshot_database (
        snapshot_id bigint PRIMARY KEY REFERENCES dbopt.snapshot ON DELETE CASCADE,
        database text NOT NULL,
        numbackends integer,
        xact_commit bigint,
        xact_rollback bigint,
        blks_read bigint,
        blks_hit bigint,
        blk_read_ms double precision,
        blk_write_ms double precision,
        tup_returned bigint,
        tup_fetched bigint,
        tup_inserted bigint,
        tup_updated bigint,
        tup_deleted bigint,
        conflicts bigint,
        temp_files bigint,
        temp_bytes bigint,
        deadlocks bigint
    )
    """,
    """
    CREATE TABLE dbopt.snapshot_statement (
        snapshot_id bigint NOT NULL REFERENCES dbopt.snapshot ON DELETE CASCADE,
        queryid bigint NOT NULL,
        userid oid NOT NULL,
        toplevel boolean NOT NULL,
        role text NOT NULL,
        fingerprint bigint NOT NULL,
        stats_since timestamptz,
        calls bigint,
        total_ms double precision,
        rows bigint,
        plans bigint,
        plan_ms double precision,
        shared_blks_hit bigint,
        shared_blks_read bigint,
        shared_blks_dirtied bigint,
        shared_blks_written bigint,
        temp_blks_read bigint,
        temp_blks_written bigint,
        blk_read_ms double precision,
        blk_write_ms double precision,
        wal_bytes bigint,
        max_ms double precision,
        PRIMARY KEY (snapshot_id, queryid, userid, toplevel)
    )
    """,
    """
    CREATE TABLE dbopt.snapshot_table (
        snapshot_id bigint NOT NULL REFERENCES dbopt.snapshot ON DELETE CASCADE,
        relid oid NOT NULL,
        schema text NOT NULL,
        name text NOT NULL,
        seq_scan bigint,
        seq_tup_read bigint,
        idx_scan bigint,
        idx_tup_fetch bigint,
        n_tup_ins bigint,
        n_tup_upd bigint,
        n_tup_del bigint,
        n_tup_hot_upd bigint,
        vacuums bigint,
        analyzes bigint,
        n_live_tup bigint,
        n_dead_tup bigint,
        n_mod_since_analyze bigint,
        bytes bigint,
        PRIMARY KEY (snapshot_id, relid)
    )
    """,
    """
    CREATE TABLE dbopt.snapshot_index (
        snapshot_id bigint NOT NULL REFERENCES dbopt.snapshot ON DELETE CASCADE,
        indexrelid oid NOT NULL,
        relid oid NOT NULL,
        schema text NOT NULL,
        "table" text NOT NULL,
        name text NOT NULL,
        idx_scan bigint,
        idx_tup_read bigint,
        idx_tup_fetch bigint,
        bytes bigint,
        PRIMARY KEY (snapshot_id, indexrelid)
    )
    """,
    """
    CREATE TABLE dbopt.snapshot_activity (
        snapshot_id bigint NOT NULL REFERENCES dbopt.snapshot ON DELETE CASCADE,
        state text NOT NULL,
        wait_event_type text NOT NULL,
        sessions integer NOT NULL,
        longest_transaction_s double precision,
        PRIMARY KEY (snapshot_id, state, wait_event_type)
    )
    """,
    """
    CREATE TABLE dbopt.statement (
        fingerprint bigint PRIMARY KEY,
        text text NOT NULL,
        first_seen timestamptz NOT NULL DEFAULT now(),
        last_seen timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE dbopt.slow_statement (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        fingerprint bigint NOT NULL,
        text text NOT NULL,
        database text NOT NULL,
        "user" text NOT NULL,
        application text NOT NULL,
        duration_ms double precision NOT NULL,
        queue_ms double precision NOT NULL,
        server_ms double precision NOT NULL,
        rows bigint NOT NULL,
        sqlstate text NOT NULL,
        backend_pid integer NOT NULL,
        plan jsonb
    )
    """,
    "CREATE INDEX slow_statement_at ON dbopt.slow_statement (at)",
    "CREATE INDEX slow_statement_fingerprint ON dbopt.slow_statement (fingerprint, at)",
)

TABLES: tuple[str, ...] = (
    "slow_statement",
    "statement",
    "snapshot_activity",
    "snapshot_index",
    "snapshot_table",
    "snapshot_statement",
    "snapshot_database",
    "snapshot",
)
"""In the order in which they can be dropped."""


def upgrade() -> None:
    """Make the tables; the schema dbopt is there, since Alembic's own table is in it."""
    # dbopt:ignore prefer-bigint-over-int process ids, versions and counts of sessions stay small
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    for table in TABLES:
        op.execute(f"DROP TABLE dbopt.{table}")
