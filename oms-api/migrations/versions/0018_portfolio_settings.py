"""Portfolios have settings and a cash ledger of what moves their cash and is not a trade."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_SETTINGS = (
    ("cost_schedules", "TEXT"),
    ("calendar", "VARCHAR(10)"),
    ("enforce_sessions", "VARCHAR(4) DEFAULT 'off' NOT NULL"),
    ("approval", "TEXT"),
    ("cash_sequence", "BIGINT DEFAULT 0 NOT NULL"),
    ("cash_hash", f"VARCHAR(64) DEFAULT '{'0' * 64}' NOT NULL"),
)
_AMOUNTS = ("participation", "slippage")


_TABLE = "cash_movements"


def upgrade() -> None:
    """Add the columns and the table. Neither database rewrites a table for the columns."""
    for name, kind in _SETTINGS:
        op.execute(f"ALTER TABLE portfolios ADD COLUMN {name} {kind}")
    for name in _AMOUNTS:
        op.add_column("portfolios", sa.Column(name, Amount(), nullable=True))
    op.add_column(
        "portfolios", sa.Column("moved_cash", Amount(), nullable=False, server_default="0.00000000")
    )
    _make_cash_movements()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _sqlite_guards() if is_sqlite else _postgresql_guards():
        op.execute(statement)
    if not is_sqlite:
        for statement in enable_row_security(_TABLE, "SELECT, INSERT", with_role=prepare_role(op.get_bind())):
            op.execute(statement)


def _make_cash_movements() -> None:
    op.create_table(
        _TABLE,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("amount", Amount(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("balance_after", Amount(), nullable=False),
        sa.Column("trade_sequence", sa.BigInteger(), nullable=False),
        sa.Column("counterpart_id", sa.BigInteger(), nullable=True),
        sa.Column("symbol", sa.String(40).with_variant(sa.String(20), "sqlite"), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("idempotency_key", sa.String(length=210), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("hash_version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_cash_movements_sequence_is_positive")),
        sa.CheckConstraint(
            "trade_sequence >= 0", name=op.f("ck_cash_movements_trade_sequence_is_not_negative")
        ),
        sa.CheckConstraint(
            "kind IN ('deposit', 'withdrawal', 'transfer_in', 'transfer_out', 'charges', 'dp_charges', "
            "'dividend', 'withholding', 'interest', 'borrow', 'adjustment')",
            name=op.f("ck_cash_movements_kind_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_cash_movements_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "portfolio_id", "sequence", name=op.f("pk_cash_movements")),
    )
    op.create_index(
        op.f("ix_cash_movements_tenant_id_portfolio_id_kind_symbol_day"),
        _TABLE,
        ["tenant_id", "portfolio_id", "kind", "symbol", "day"],
        unique=False,
    )


def _sqlite_guards() -> list[str]:
    return [
        f"CREATE TRIGGER {_TABLE}_refuse_{verb.lower()} BEFORE {verb} ON {_TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only: {verb} is refused'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql_guards() -> list[str]:
    return [
        f"CREATE TRIGGER {_TABLE}_are_append_only BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {_TABLE}_are_not_emptied BEFORE TRUNCATE ON {_TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    ]


def downgrade() -> None:
    """Drop the table and the columns. Raises RuntimeError where cash was moved."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    if bind.execute(sa.text(f"SELECT count(*) FROM {_TABLE}")).scalar_one():
        raise RuntimeError("There are cash movements: restore a backup instead.")
    op.drop_table(_TABLE)
    names = ("moved_cash", *reversed(_AMOUNTS), *(name for name, _ in reversed(_SETTINGS)))
    for name in names:
        op.execute(f"ALTER TABLE portfolios DROP COLUMN {name}")
