"""Portfolios and orders name the cost schedule that charges them; executions tell their charges."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("portfolios", "cost_schedule", "VARCHAR(20) DEFAULT 'none' NOT NULL"),
    ("portfolios", "fee_totals", "TEXT"),
    ("orders", "cost_schedule", "VARCHAR(20) DEFAULT 'none' NOT NULL"),
    ("executions", "charges", "TEXT"),
)


def upgrade() -> None:
    """Add the columns. Neither database rewrites a table for them."""
    for table, name, kind in _COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def downgrade() -> None:
    """Drop the columns. Raises RuntimeError where executions have charges."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    found = bind.execute(sa.text("SELECT count(*) FROM executions WHERE charges IS NOT NULL"))
    if found.scalar_one():
        raise RuntimeError("There are executions with charges: restore a backup instead.")
    for table, name, _ in reversed(_COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
