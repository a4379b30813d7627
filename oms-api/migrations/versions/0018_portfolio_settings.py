"""Portfolios have settings: schedules by market, calendar, sessions, approval, participation, slippage."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None

_SETTINGS = (
    ("cost_schedules", "TEXT"),
    ("calendar", "VARCHAR(10)"),
    ("enforce_sessions", "VARCHAR(4) DEFAULT 'off' NOT NULL"),
    ("approval", "TEXT"),
)
_AMOUNTS = ("participation", "slippage")


def upgrade() -> None:
    """Add the columns. Neither database rewrites a table for them."""
    for name, kind in _SETTINGS:
        op.execute(f"ALTER TABLE portfolios ADD COLUMN {name} {kind}")
    for name in _AMOUNTS:
        op.add_column("portfolios", sa.Column(name, Amount(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name in (*reversed(_AMOUNTS), *(name for name, _ in reversed(_SETTINGS))):
        op.execute(f"ALTER TABLE portfolios DROP COLUMN {name}")
