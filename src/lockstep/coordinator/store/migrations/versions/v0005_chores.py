"""Chores: periodic work that is done once, however many processes there are."""

import sqlalchemy as sa
from alembic import op

from lockstep.coordinator.store.column_types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; nothing that is there changes."""
    op.create_table(
        "chore",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore")),
    )
