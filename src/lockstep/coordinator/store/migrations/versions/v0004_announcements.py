"""Announcements: whom every event is announced to, how far each of them is, and what became of each event there."""

import sqlalchemy as sa
from alembic import op

from lockstep.coordinator.store.column_types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two tables; nothing that is there changes."""
    op.create_table(
        "receiver",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=2000), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("old_secret", sa.String(length=100), nullable=False),
        sa.Column("old_secret_until", UtcDateTime(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", sa.String(length=200), nullable=False),
        sa.Column("cursor", _POSITION, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('webhook', 'topic')", name=op.f("ck_receiver_kind")),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_receiver_lease")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_receiver")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_receiver_kf_id")),
    )
    op.create_index(
        "ix_receiver_topic",
        "receiver",
        ["target"],
        unique=True,
        sqlite_where=sa.text("kind = 'topic'"),
        postgresql_where=sa.text("kind = 'topic'"),
    )
    op.create_table(
        "delivery",
        sa.Column("receiver_position", _POSITION, nullable=False),
        sa.Column("event_position", _POSITION, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", UtcDateTime(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'given_up')", name=op.f("ck_delivery_state")),
        sa.CheckConstraint("due_at IS NULL OR state = 'waiting'", name=op.f("ck_delivery_due")),
        sa.ForeignKeyConstraint(["event_position"], ["event.position"], name=op.f("fk_delivery_event_position")),
        sa.ForeignKeyConstraint(
            ["receiver_position"], ["receiver.position"], name=op.f("fk_delivery_receiver_position")
        ),
        sa.PrimaryKeyConstraint("receiver_position", "event_position", name=op.f("pk_delivery")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_delivery_due_at",
        "delivery",
        ["receiver_position", "due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_delivery_receiver_position_state_event_position"),
        "delivery",
        ["receiver_position", "state", "event_position"],
        unique=False,
    )
