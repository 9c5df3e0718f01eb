"""The tasks of a service that ended badly, and its warnings and errors, are found without reading all that it has."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_task_ended_early", "task", ("service_id", "state"), "state IN ('rejected', 'failed', 'canceled')"),
    ("ix_event_out_of_the_ordinary", "event", ("task_service_id", "event_type"), "event_type != 'info'"),
)


def upgrade() -> None:
    """Add two indexes, of few rows; what is written most often, an event that only tells, is in neither."""
    for name, table, columns, few in _INDEXES:
        where = sa.text(few)
        op.create_index(name, table, [*columns, "position"], sqlite_where=where, postgresql_where=where)
