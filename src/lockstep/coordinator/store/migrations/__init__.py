"""The migrations, as Alembic wants them: `env` is its way in, `versions` holds one module for each step."""
