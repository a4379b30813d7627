"""Runs Alembic on the connection that `app.migrate` passes to it."""

from alembic import context

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
