"""The books."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


APPEND_ONLY_ON_POSTGRESQL = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER trades_are_append_only BEFORE UPDATE OR DELETE ON trades
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER trades_are_not_emptied BEFORE TRUNCATE ON trades
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)
APPEND_ONLY_ON_SQLITE = tuple(
    f"""
    CREATE TRIGGER trades_refuse_{verb.lower()} BEFORE {verb} ON trades
    BEGIN SELECT RAISE(ABORT, 'trades is append-only: {verb} is refused'); END
    """
    for verb in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Make the books, with one tenant, and a ledger that refuses change."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    _make_tables()
    op.create_index(
        "uq_trades_tenant_id_reverses",
        "trades",
        ["tenant_id", "reverses"],
        unique=True,
        postgresql_where=sa.text("reverses IS NOT NULL"),
        sqlite_where=sa.text("reverses IS NOT NULL"),
    )
    for statement in APPEND_ONLY_ON_SQLITE if is_sqlite else APPEND_ONLY_ON_POSTGRESQL:
        op.execute(statement)
    op.execute(
        "INSERT INTO tenants (id, slug, name, created_at) "
        "VALUES (1, 'default', 'Default', '2026-01-01T00:00:00.000000Z')"
    )


def downgrade() -> None:
    """Drop the books."""
    for table in ("trades", "positions", "portfolios", "events", "api_keys", "tenants"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_change()")


def _make_tables() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=12), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.CheckConstraint("length(secret_hash) = 32", name=op.f("ck_api_keys_secret_hash_is_sha256")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_api_keys_tenant_id_name")),
    )
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_tenant_id_id"), "events", ["tenant_id", "id"], unique=False)

    op.create_table(
        "portfolios",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("base_currency", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.Column("opening_cash", Amount(), nullable=False),
        sa.Column("cash", Amount(), nullable=False),
        sa.Column("realized_pnl", Amount(), nullable=False),
        sa.Column("total_trades", sa.BigInteger(), nullable=False),
        sa.Column("total_buys", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.Column("last_trade_id", sa.String(length=32), nullable=True),
        sa.Column("last_created_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("kind IN ('paper', 'live')", name=op.f("ck_portfolios_kind_is_known")),
        sa.CheckConstraint(
            "last_sequence >= total_trades", name=op.f("ck_portfolios_sequence_covers_trades")
        ),
        sa.CheckConstraint(
            "total_buys >= 0 AND total_trades >= total_buys", name=op.f("ck_portfolios_counters_add_up")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_portfolios_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolios")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_portfolios_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name_key", name=op.f("uq_portfolios_tenant_id_name_key")),
    )
    op.create_table(
        "positions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("quantity", Amount(), nullable=False),
        sa.Column("cost", Amount(), nullable=False),
        sa.Column("realized_pnl", Amount(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_positions_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "portfolio_id", "symbol", "product", name=op.f("pk_positions")),
    )
    op.create_table(
        "trades",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("trade_id", sa.String(length=32), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", Amount(), nullable=False),
        sa.Column("price", Amount(), nullable=False),
        sa.Column("gmv", Amount(), nullable=False),
        sa.Column("charges", Amount(), nullable=False),
        sa.Column("realized_pnl", Amount(), nullable=False),
        sa.Column("user_id", sa.String(length=100), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=210), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("reverses", sa.String(length=32), nullable=True),
        sa.Column("executed_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("quantity_delta", Amount(), nullable=False),
        sa.Column("cost_delta", Amount(), nullable=False),
        sa.Column("cash_delta", Amount(), nullable=False),
        sa.Column("position_quantity", Amount(), nullable=False),
        sa.Column("position_cost", Amount(), nullable=False),
        sa.Column("position_realized_pnl", Amount(), nullable=False),
        sa.Column("trades_after", sa.BigInteger(), nullable=False),
        sa.Column("buys_after", sa.BigInteger(), nullable=False),
        sa.Column("portfolio_realized_pnl", Amount(), nullable=False),
        sa.Column("cash_after", Amount(), nullable=False),
        sa.Column("hash_version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "(kind = 'reversal') = (reverses IS NOT NULL)", name=op.f("ck_trades_reversal_names_its_trade")
        ),
        sa.CheckConstraint("kind IN ('trade', 'reversal')", name=op.f("ck_trades_kind_is_known")),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_trades_side_is_known")),
        sa.CheckConstraint(
            "(idempotency_key IS NULL) = (request_hash IS NULL)", name=op.f("ck_trades_key_has_request_hash")
        ),
        sa.CheckConstraint("CAST(gmv AS NUMERIC) > 0", name=op.f("ck_trades_gmv_is_positive")),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name=op.f("ck_trades_price_is_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_trades_quantity_is_positive")),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_trades_sequence_is_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_trades_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "trade_id", name=op.f("pk_trades")),
        sa.UniqueConstraint(
            "tenant_id", "kind", "idempotency_key", name=op.f("uq_trades_tenant_id_kind_idempotency_key")
        ),
        sa.UniqueConstraint(
            "tenant_id", "portfolio_id", "sequence", name=op.f("uq_trades_tenant_id_portfolio_id_sequence")
        ),
    )
    op.create_index(
        op.f("ix_trades_tenant_id_portfolio_id_symbol_product_sequence"),
        "trades",
        ["tenant_id", "portfolio_id", "symbol", "product", "sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_trades_tenant_id_symbol_trade_id"),
        "trades",
        ["tenant_id", "symbol", "trade_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_trades_tenant_id_user_id_trade_id"),
        "trades",
        ["tenant_id", "user_id", "trade_id"],
        unique=False,
    )
