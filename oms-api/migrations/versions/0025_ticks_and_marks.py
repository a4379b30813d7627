"""Ticks of quotes, bars of a day, figures of positions through time, and marks that people set."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant, Serial
from app.database.policies import enable_row_security, prepare_role

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_SYMBOL = sa.String(40).with_variant(sa.String(20), "sqlite")
_PRICES = ("open", "high", "low", "close")
_HELD = ("quantity", "cost", "realized_pnl", "charges")
_EXTREMES = ("highest_price", "lowest_price", "peak_pnl", "max_drawdown")
_QUOTED = ("bid", "ask", "last", "bid_size", "ask_size")


def upgrade() -> None:
    """Create the tables. Duties fill them: daily bars from one-minute bars, records from ledger and bars."""
    _create_ticks()
    _create_daily_bars()
    _create_position_records()
    _create_mark_overrides()
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    for table, verbs in (
        ("ticks", "SELECT, INSERT, DELETE"),
        ("daily_bars", "SELECT, INSERT, UPDATE"),
        ("position_records", "SELECT, INSERT, UPDATE"),
        ("mark_overrides", "SELECT, INSERT, UPDATE, DELETE"),
    ):
        for statement in enable_row_security(table, verbs, with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables: market data can be published again, and records are computed from it."""
    op.drop_table("mark_overrides")
    op.drop_table("position_records")
    op.drop_table("daily_bars")
    op.drop_table("ticks")


def _create_ticks() -> None:
    op.create_table(
        "ticks",
        sa.Column("id", Serial, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", _SYMBOL, nullable=False),
        *(sa.Column(name, Amount(), nullable=True) for name in _QUOTED),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticks")),
    )
    op.create_index("ix_ticks_tenant_id_symbol_at", "ticks", ["tenant_id", "symbol", "at"], unique=False)


def _create_daily_bars() -> None:
    op.create_table(
        "daily_bars",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", _SYMBOL, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        *(sa.Column(name, Amount(), nullable=False) for name in _PRICES),
        sa.Column("volume", Amount(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_daily_bars_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", "start", name=op.f("pk_daily_bars")),
    )


def _create_position_records() -> None:
    op.create_table(
        "position_records",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", _SYMBOL, nullable=False),
        sa.Column("product", sa.String(8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        *(sa.Column(name, Amount(), nullable=False) for name in _HELD),
        *(sa.Column(name, Amount(), nullable=True) for name in _EXTREMES),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_position_records_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint(
            *("tenant_id", "portfolio_id", "symbol", "product"), name=op.f("pk_position_records")
        ),
    )


def _create_mark_overrides() -> None:
    op.create_table(
        "mark_overrides",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", _SYMBOL, nullable=False),
        sa.Column("price", Amount(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name=op.f("ck_mark_overrides_price_is_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_mark_overrides_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", name=op.f("pk_mark_overrides")),
    )
