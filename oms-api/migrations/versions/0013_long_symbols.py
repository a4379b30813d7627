"""Symbols have up to 40 characters: those of options do not fit in 20."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = ("trades", "positions", "orders", "executions", "instruments", "quotes", "bars", "latches")


def upgrade() -> None:
    """Widen the columns. PostgreSQL rewrites neither tables nor indexes; SQLite enforces no length."""
    _resize(40)


def downgrade() -> None:
    """Narrow the columns again. Refused while a symbol has more than 20 characters."""
    for table in _TABLES:
        longer = sa.text(f"SELECT count(*) FROM {table} WHERE length(symbol) > 20")
        if op.get_bind().execute(longer).scalar_one():
            raise RuntimeError("There are symbols of more than 20 characters: restore a backup instead.")
    _resize(20)


def _resize(length: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN symbol TYPE VARCHAR({length})")
