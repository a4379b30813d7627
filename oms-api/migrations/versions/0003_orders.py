"""Orders, the market they meet, and the limits they obey."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("order_events", "executions")


def upgrade() -> None:
    """Make the tables."""
    _make_orders()
    _make_market()
    _make_risk()


def downgrade() -> None:
    """Drop them."""
    _drop_risk()
    _drop_market()
    _drop_orders()


def _make_orders() -> None:
    pass


def _drop_orders() -> None:
    pass


def _make_market() -> None:
    pass


def _drop_market() -> None:
    pass


def _make_risk() -> None:
    pass


def _drop_risk() -> None:
    pass
