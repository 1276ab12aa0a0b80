"""The declared indexes (`indexes/*.sql`), each built concurrently, outside a transaction."""

from __future__ import annotations

from alembic import op

from dbopt.migrate.revision import downgrade_declared, upgrade_declared

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build what is missing or invalid, keep what is there."""
    upgrade_declared(op.get_context())


def downgrade() -> None:
    """Drop what is there as declared."""
    downgrade_declared(op.get_context())
