"""An index of the trades of a person."""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

_INDEX = "ix_trades_of_actors"


def upgrade() -> None:
    """Create the index."""
    has_actor = sa.text("actor IS NOT NULL")
    columns = ["tenant_id", "actor", "trade_id"]
    op.create_index(_INDEX, "trades", columns, postgresql_where=has_actor, sqlite_where=has_actor)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(_INDEX, "trades")
