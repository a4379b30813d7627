"""An index by which the trades of idempotency keys are found, whatever the planner knows of the table."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

_HAS_KEY = sa.text("idempotency_key IS NOT NULL")
_NAME = "ix_trades_idempotency_key_tenant_id"


def upgrade() -> None:
    """Create the index."""
    op.create_index(
        op.f(_NAME),
        "trades",
        ["idempotency_key", "tenant_id"],
        postgresql_where=_HAS_KEY,
        sqlite_where=_HAS_KEY,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(op.f(_NAME), table_name="trades")
