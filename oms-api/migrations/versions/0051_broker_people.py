"""Connections to brokers name the people who may trade over them."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Without a value, as for all connections until now, nobody is excluded."""
    op.add_column("broker_connections", sa.Column("people", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("broker_connections", "people")
