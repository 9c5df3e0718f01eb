"""The first schema: releases, their tasks, and what belongs to them."""

import sqlalchemy as sa
from alembic import op

from lockstep.coordinator.store.column_types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UNLIMITED = sa.Text().with_variant(sa.String(length=256), "sqlite")
_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TALLIES = (
    "tasks:waiting",
    "tasks:pending",
    "tasks:running",
    "tasks:staged",
    "tasks:publishing",
    "tasks:published",
    "tasks:rejected",
    "tasks:failed",
    "tasks:canceled",
    "events:info",
    "events:warning",
    "events:error",
    "releases:waiting",
    "releases:initializing",
    "releases:running",
    "releases:staged",
    "releases:publishing",
    "releases:published",
    "releases:canceling",
    "releases:canceled",
    "releases:failed",
)


def upgrade() -> None:
    """Create all tables, with every tally at nought."""
    op.create_table(
        "release",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("studies", sa.JSON(), nullable=False),
        sa.Column("is_major", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("step_since", UtcDateTime(), nullable=False),
        sa.Column("publish_order", _POSITION, nullable=True),
        sa.Column("waits_for", sa.String(length=11), nullable=True),
        sa.Column("ending", sa.String(length=20), nullable=True),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("partially_published", sa.Boolean(), nullable=False),
        sa.Column("look_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'published') = (published_at IS NOT NULL)", name=op.f("ck_release_published_at")),
        sa.CheckConstraint("ending IN ('failed', 'canceled')", name=op.f("ck_release_ending")),
        sa.CheckConstraint(
            "state IN ('waiting', 'initializing', 'running', 'staged', 'publishing', 'published', "
            "'canceling', 'canceled', 'failed')",
            name=op.f("ck_release_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('canceling', 'canceled', 'failed') OR ending IS NOT NULL",
            name=op.f("ck_release_ends_somehow"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('publishing', 'published') OR publish_order IS NOT NULL", name=op.f("ck_release_was_asked")
        ),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_release_lease")),
        sa.ForeignKeyConstraint(["waits_for"], ["release.kf_id"], name=op.f("fk_release_waits_for")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_release")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_release_kf_id")),
        sa.UniqueConstraint("publish_order", name=op.f("uq_release_publish_order")),
    )
    op.create_index(
        "ix_release_asked",
        "release",
        ["publish_order"],
        unique=False,
        sqlite_where=sa.text("publish_order IS NOT NULL AND state || '' IN ('staged', 'publishing', 'canceling')"),
        postgresql_where=sa.text("publish_order IS NOT NULL AND state || '' IN ('staged', 'publishing', 'canceling')"),
    )
    op.create_index(
        "ix_release_look_at",
        "release",
        ["look_at", "position"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_release_state_position"), "release", ["state", "position"], unique=False)
    op.create_index(
        "ix_release_waits_for",
        "release",
        ["waits_for"],
        unique=False,
        sqlite_where=sa.text("waits_for IS NOT NULL"),
        postgresql_where=sa.text("waits_for IS NOT NULL"),
    )
    op.create_table(
        "tally",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("n", _POSITION, nullable=False),
        sa.CheckConstraint("n >= 0", name=op.f("ck_tally_n")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tally")),
    )
    op.create_table(
        "task_service",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("url", sa.String(length=200), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("last_ok_status", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_task_service")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_task_service_kf_id")),
    )
    op.create_index(
        "ix_task_service_enabled",
        "task_service",
        ["enabled", "position"],
        unique=False,
        sqlite_where=sa.text("deleted = 0"),
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "study",
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("name", _UNLIMITED, nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("newest_release", _POSITION, nullable=True),
        sa.Column("newest_published", _POSITION, nullable=True),
        sa.ForeignKeyConstraint(["newest_published"], ["release.position"], name=op.f("fk_study_newest_published")),
        sa.ForeignKeyConstraint(["newest_release"], ["release.position"], name=op.f("fk_study_newest_release")),
        sa.PrimaryKeyConstraint("kf_id", name=op.f("pk_study")),
    )
    op.create_index(op.f("ix_study_created_at_kf_id"), "study", ["created_at", "kf_id"], unique=False)
    op.create_table(
        "task",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("release_id", sa.String(length=11), nullable=False),
        sa.Column("service_id", sa.String(length=11), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("state_since", UtcDateTime(), nullable=False),
        sa.Column("life_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("told", sa.String(length=20), nullable=True),
        sa.Column("delivery", sa.String(length=20), nullable=False),
        sa.Column("cancel", sa.String(length=20), nullable=False),
        sa.Column("flight_epoch", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "cancel IN ('none', 'sent', 'doubtful', 'absent', 'answered', 'given_up')", name=op.f("ck_task_cancel")
        ),
        sa.CheckConstraint(
            "delivery IN ('none', 'sent', 'doubtful', 'absent', 'answered', 'given_up')", name=op.f("ck_task_delivery")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'pending', 'running', 'staged', 'publishing', 'published', "
            "'rejected', 'failed', 'canceled')",
            name=op.f("ck_task_state"),
        ),
        sa.CheckConstraint("told IN ('initialize', 'start', 'publish')", name=op.f("ck_task_told")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_task_attempts")),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_task_progress")),
        sa.ForeignKeyConstraint(["release_id"], ["release.kf_id"], name=op.f("fk_task_release_id")),
        sa.ForeignKeyConstraint(["service_id"], ["task_service.kf_id"], name=op.f("fk_task_service_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_task")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_task_kf_id")),
        sa.UniqueConstraint("release_id", "service_id", name=op.f("uq_task_release_id_service_id")),
    )
    op.create_index(
        op.f("ix_task_release_id_position_state"), "task", ["release_id", "position", "state"], unique=False
    )
    op.create_index(
        op.f("ix_task_service_id_position_state"), "task", ["service_id", "position", "state"], unique=False
    )
    op.create_index(op.f("ix_task_state_position"), "task", ["state", "position"], unique=False)
    op.create_table(
        "version_ledger",
        sa.Column("major", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minor", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("patch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("release_id", sa.String(length=11), nullable=False),
        sa.CheckConstraint("kind IN ('candidate', 'publishing')", name=op.f("ck_version_ledger_kind")),
        sa.ForeignKeyConstraint(["release_id"], ["release.kf_id"], name=op.f("fk_version_ledger_release_id")),
        sa.PrimaryKeyConstraint("major", "minor", "patch", name=op.f("pk_version_ledger")),
    )
    op.create_index(
        op.f("ix_version_ledger_kind_major_minor_patch"),
        "version_ledger",
        ["kind", "major", "minor", "patch"],
        unique=False,
    )
    op.create_table(
        "event",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("event_type", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("release_id", sa.String(length=11), nullable=True),
        sa.Column("task_service_id", sa.String(length=11), nullable=True),
        sa.Column("task_id", sa.String(length=11), nullable=True),
        sa.CheckConstraint("event_type IN ('info', 'warning', 'error')", name=op.f("ck_event_event_type")),
        sa.ForeignKeyConstraint(["release_id"], ["release.kf_id"], name=op.f("fk_event_release_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.kf_id"], name=op.f("fk_event_task_id")),
        sa.ForeignKeyConstraint(["task_service_id"], ["task_service.kf_id"], name=op.f("fk_event_task_service_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_event")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_event_kf_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_event_type_position"), "event", ["event_type", "position"], unique=False)
    op.create_index(
        op.f("ix_event_release_id_position_task_id"), "event", ["release_id", "position", "task_id"], unique=False
    )
    op.create_index(op.f("ix_event_task_service_id_position"), "event", ["task_service_id", "position"], unique=False)
    op.create_table(
        "release_note",
        sa.Column("position", _POSITION, nullable=False),
        sa.Column("kf_id", sa.String(length=11), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("release_id", sa.String(length=11), nullable=False),
        sa.Column("study_id", sa.String(length=11), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["release.kf_id"], name=op.f("fk_release_note_release_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.kf_id"], name=op.f("fk_release_note_study_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_release_note")),
        sa.UniqueConstraint("kf_id", name=op.f("uq_release_note_kf_id")),
    )
    op.create_index(
        op.f("ix_release_note_release_id_position"), "release_note", ["release_id", "position"], unique=False
    )
    op.create_index(op.f("ix_release_note_study_id_position"), "release_note", ["study_id", "position"], unique=False)
    op.create_table(
        "release_study",
        sa.Column("study_id", sa.String(length=11), nullable=False),
        sa.Column("release_position", _POSITION, nullable=False),
        sa.ForeignKeyConstraint(
            ["release_position"], ["release.position"], name=op.f("fk_release_study_release_position")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.kf_id"], name=op.f("fk_release_study_study_id")),
        sa.PrimaryKeyConstraint("study_id", "release_position", name=op.f("pk_release_study")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_release_study_release_position"), "release_study", ["release_position"], unique=False)

    tally = sa.table("tally", sa.column("name"), sa.column("n"))
    op.bulk_insert(tally, [{"name": name, "n": 0} for name in _TALLIES])
