"""Runs of `dbopt index apply` and their steps, and which indexes dbopt manages.

A step is one statement that changed an index. `sql` is what ran, `reverse` what undoes it, both for
people: `dbopt index rollback` runs neither as it stands, it reads them and checks them against the
catalog. `definition` is the index as CREATE INDEX. Steps and runs are kept for 400 days; of
managed_index a row stays while dbopt manages the index. `duration_ms` is milliseconds.
`system_identifier` is pg_control_system()'s, which tells servers of one name apart; '' where the
role may not ask.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE dbopt.index_run (
        id text COLLATE "C" PRIMARY KEY,
        server text NOT NULL,
        database text NOT NULL,
        system_identifier text COLLATE "C" NOT NULL DEFAULT '',
        role text NOT NULL DEFAULT '',
        os_user text NOT NULL DEFAULT '',
        host text NOT NULL DEFAULT '',
        pid integer NOT NULL DEFAULT 0,
        application text NOT NULL DEFAULT '',
        version text NOT NULL DEFAULT '',
        command text NOT NULL DEFAULT '',
        of_run text COLLATE "C" NOT NULL DEFAULT '',
        began timestamptz NOT NULL,
        ended timestamptz,
        outcome text NOT NULL DEFAULT 'running' CHECK (outcome IN (
            'running', 'done', 'partly', 'failed', 'cancelled', 'interrupted', 'rolled back')),
        message text NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX index_run_of ON dbopt.index_run (server, database, began)",
    "CREATE INDEX index_run_began ON dbopt.index_run (began)",
    """
    CREATE TABLE dbopt.index_step (
        run text COLLATE "C" NOT NULL REFERENCES dbopt.index_run ON DELETE CASCADE,
        number integer NOT NULL,
        action text NOT NULL,
        schema text NOT NULL,
        "table" text NOT NULL,
        index text NOT NULL,
        definition text NOT NULL,
        sql text NOT NULL,
        reverse text NOT NULL DEFAULT '',
        began timestamptz NOT NULL,
        ended timestamptz,
        duration_ms double precision,
        outcome text NOT NULL DEFAULT 'began' CHECK (outcome IN (
            'began', 'done', 'failed', 'cancelled', 'interrupted')),
        message text NOT NULL DEFAULT '',
        size_bytes bigint,
        PRIMARY KEY (run, number)
    )
    """,
    """
    CREATE TABLE dbopt.managed_index (
        server text NOT NULL,
        database text NOT NULL,
        system_identifier text COLLATE "C" NOT NULL DEFAULT '',
        schema text NOT NULL,
        name text NOT NULL,
        "table" text NOT NULL,
        sql text NOT NULL,
        run text COLLATE "C" NOT NULL DEFAULT '',
        since timestamptz NOT NULL,
        project text NOT NULL DEFAULT '',
        PRIMARY KEY (server, database, system_identifier, schema, name)
    )
    """,
    """
    COMMENT ON TABLE dbopt.index_run IS
    'Who changed the indexes of a database, when, and what came of it: dbopt index runs.'
    """,
    """
    COMMENT ON TABLE dbopt.index_step IS
    'Each statement of a run that changed an index, and the one that undoes it.'
    """,
    """
    COMMENT ON TABLE dbopt.managed_index IS
    'Indexes that dbopt made, renamed or found as declared: those it may drop when no file '
    'declares them any more.'
    """,
)


def upgrade() -> None:
    """Make the tables."""
    # dbopt:ignore prefer-bigint-over-int process ids, and the steps of one run, stay small
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables: who changed which index is forgotten, and what dbopt manages."""
    for table in ("managed_index", "index_step", "index_run"):
        op.execute(f"DROP TABLE dbopt.{table}")
