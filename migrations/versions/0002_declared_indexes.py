"""Where the declared indexes (`indexes/*.sql`) come in: a downgrade below it drops them.

Nothing is done here on the way up. They are built once the newest revision is reached, so that what
is built is recorded, and so that a build that fails leaves dbopt's own schema whole.
"""

from __future__ import annotations

from alembic import op

from dbopt.migrate.revision import downgrade_declared

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing: see `dbopt.migrate.environment`."""


def downgrade() -> None:
    """Drop what is there as declared."""
    downgrade_declared(op.get_context())
