"""Alembic's way in: runs migrations on the connection, and in the transaction, that the store gives it."""

from alembic import context

from lockstep.coordinator.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
