"""Reported trades have an execution time of their own, and positions that of their latest trade."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_LATEST = sa.text("""
    UPDATE positions SET last_executed_at = (
        SELECT max(trade.executed_at) FROM trades AS trade
        WHERE trade.tenant_id = positions.tenant_id AND trade.portfolio_id = positions.portfolio_id
        AND trade.symbol = positions.symbol AND trade.product = positions.product AND trade.kind = 'trade'
        AND NOT EXISTS (
            SELECT 1 FROM trades AS reversal
            WHERE reversal.tenant_id = trade.tenant_id AND reversal.reverses = trade.trade_id
        )
    )
""")


def upgrade() -> None:
    """Add the columns, and give each position the execution time of its latest unreversed trade."""
    op.add_column("trades", sa.Column("backdated_reason", sa.Text(), nullable=True))
    op.add_column("positions", sa.Column("last_executed_at", Instant(), nullable=True))
    _see_every_tenant()
    op.get_bind().execute(_LATEST)


def downgrade() -> None:
    """Drop the columns. Refused where rows of the ledger are hashed with them."""
    _see_every_tenant()
    later = sa.text("SELECT count(*) FROM trades WHERE hash_version > 3")
    if op.get_bind().execute(later).scalar_one():
        raise RuntimeError("There are trades that only this version can prove: restore a backup instead.")
    op.drop_column("positions", "last_executed_at")
    op.drop_column("trades", "backdated_reason")


def _see_every_tenant() -> None:
    """Where the policies bind the owner too, say for whom this is (PostgreSQL)."""
    if op.get_bind().dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"
        op.get_bind().execute(sa.text(f"SELECT set_config('app.tenants', {every}, true)"))
