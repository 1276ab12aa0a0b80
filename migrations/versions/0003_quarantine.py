"""Statements in quarantine: refused by every sidecar of this store until they expire.

A fingerprint is 64 bits, stored as signed; database is '' for every one. A row that has expired,
or was released, is kept for a week.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE dbopt.quarantine (
        fingerprint bigint NOT NULL,
        database text NOT NULL DEFAULT '',
        text text NOT NULL DEFAULT '',
        reason text NOT NULL DEFAULT '',
        by text NOT NULL DEFAULT current_user,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (fingerprint, database)
    )
    """,
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the table: what was in quarantine runs again."""
    op.execute("DROP TABLE dbopt.quarantine")
