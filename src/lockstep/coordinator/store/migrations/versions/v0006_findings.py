"""What a service says about its task beside state and progress."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns; nothing that is there changes."""
    op.add_column("task", sa.Column("metrics", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("task", sa.Column("preview", sa.Text(), server_default="", nullable=False))
