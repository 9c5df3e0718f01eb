"""Who did what: the actor of events, the client of a service, users and their sessions, and the deployment's secret."""

import sqlalchemy as sa
from alembic import op

from lockstep.coordinator.store.column_types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add tables and columns; nothing that is there changes."""
    op.add_column("event", sa.Column("actor", sa.String(length=150), server_default="", nullable=False))
    op.add_column("task_service", sa.Column("client_id", sa.String(length=150), server_default="", nullable=False))
    op.create_table(
        "user",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("sub", sa.String(length=150), nullable=False),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("first_name", sa.String(length=150), nullable=False),
        sa.Column("last_name", sa.String(length=150), nullable=False),
        sa.Column("picture", sa.String(length=500), nullable=False),
        sa.Column("slack_notify", sa.Boolean(), nullable=False),
        sa.Column("slack_member_id", sa.String(length=10), nullable=False),
        sa.Column("date_joined", UtcDateTime(), nullable=False),
        sa.Column("last_login", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_user")),
        sa.UniqueConstraint("sub", name=op.f("uq_user_sub")),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sub", sa.String(length=150), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["sub"], ["user.sub"], name=op.f("fk_session_sub")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_expires_at"), "session", ["expires_at"], unique=False)
    op.create_table(
        "secret",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )
