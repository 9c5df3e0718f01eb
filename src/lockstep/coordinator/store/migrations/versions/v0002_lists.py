"""What the lists and the public pointer are read off, and the keys of requests that are sent again."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, columns and indexes; nothing that is there changes."""
