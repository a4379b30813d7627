"""Instruments have a sector, by which exposure is summed."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the instruments that are there have no sector yet."""
    op.add_column("instruments", sa.Column("sector", sa.String(60), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("instruments", "sector")
