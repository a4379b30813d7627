"""Tenants name the Slack channels for trading, and the roles that Slack's user groups give."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"
branch_labels = None
depends_on = None

_COLUMNS = ("slack_channels", "slack_group_roles")


def upgrade() -> None:
    """Add the columns: trading is allowed everywhere, and user groups give no roles."""
    for name in _COLUMNS:
        op.add_column("tenants", sa.Column(name, sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Drop the columns."""
    for name in reversed(_COLUMNS):
        op.execute(f"ALTER TABLE tenants DROP COLUMN {name}")
