"""Instruments have a name that they can be found by."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the instruments that are there have no name yet."""
    op.add_column("instruments", sa.Column("name", sa.String(100), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("instruments", "name")
