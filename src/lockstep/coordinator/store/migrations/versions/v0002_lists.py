"""What the lists and the public pointer are read off, and the keys of requests that are sent again."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from lockstep.coordinator.store.column_types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXES = (
    ("release", "created_at", "position"),
    ("release", "name", "position"),
    ("release", "author", "position"),
    ("release", "is_major", "position"),
    ("release", "major", "minor", "patch", "position"),
    ("release", "published_at", "position"),
    ("task", "created_at", "position"),
    ("event", "created_at", "position"),
    ("release_note", "author", "position"),
    ("release_note", "created_at", "position"),
)
_AT_ONCE = 1000


def upgrade() -> None:
    """Add tables and indexes, and fill in the tables what the releases that are there say."""
    for table, *columns in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, unique=False)
    op.create_table(
        "release_tag",
        sa.Column("tag", sa.String(length=50), nullable=False),
        sa.Column("release_position", _POSITION, nullable=False),
        sa.ForeignKeyConstraint(
            ["release_position"], ["release.position"], name=op.f("fk_release_tag_release_position")
        ),
        sa.PrimaryKeyConstraint("tag", "release_position", name=op.f("pk_release_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_release_tag_release_position"), "release_tag", ["release_position"], unique=False)
    op.create_table(
        "study_published",
        sa.Column("study_id", sa.String(length=11), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("release_position", _POSITION, nullable=False),
        sa.ForeignKeyConstraint(
            ["release_position"], ["release.position"], name=op.f("fk_study_published_release_position")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.kf_id"], name=op.f("fk_study_published_study_id")),
        sa.PrimaryKeyConstraint("study_id", "published_at", "release_position", name=op.f("pk_study_published")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "request_key",
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("release_id", sa.String(length=11), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.kf_id"], name=op.f("fk_request_key_release_id")),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_request_key")),
        sqlite_with_rowid=False,
    )
    _fill_in()


def _fill_in() -> None:
    op.execute(
        "INSERT INTO study_published (study_id, published_at, release_position) "
        "SELECT release_study.study_id, release.published_at, release.position FROM release_study "
        "JOIN release ON release.position = release_study.release_position WHERE release.published_at IS NOT NULL"
    )
    tags = sa.table("release_tag", sa.column("tag"), sa.column("release_position"))
    for some in _tags():
        op.bulk_insert(tags, some)


def _tags() -> Iterator[list[dict[str, Any]]]:
    release = sa.table("release", sa.column("position"), sa.column("tags", sa.JSON))
    connection = op.get_bind()
    last = 0
    while True:
        some = sa.select(release.c.position, release.c.tags).where(release.c.position > last)
        rows = connection.execute(some.order_by(release.c.position).limit(_AT_ONCE)).all()
        if not rows:
            return
        last = rows[-1].position
        yield [{"tag": tag, "release_position": row.position} for row in rows for tag in dict.fromkeys(row.tags)]
