"""Orders, the market they meet, and the limits they obey."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("order_events", "executions")
_IS_OPEN = sa.text("status NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REPLACED', 'DENIED', 'REJECTED')")


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
    op.create_table(
        "executions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("broker", sa.String(length=20), nullable=False),
        sa.Column("execution_id", sa.String(length=100), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", Amount(), nullable=False),
        sa.Column("price", Amount(), nullable=False),
        sa.Column("value", Amount(), nullable=False),
        sa.Column("trade_id", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=20), nullable=True),
        sa.Column("executed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "broker", "execution_id", name=op.f("pk_executions")),
    )
    op.create_index(
        op.f("ix_executions_tenant_id_order_id"), "executions", ["tenant_id", "order_id"], unique=False
    )
    op.create_index(
        op.f("ix_executions_tenant_id_symbol_executed_at"),
        "executions",
        ["tenant_id", "symbol", "executed_at"],
        unique=False,
    )
    op.create_table(
        "order_events",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("from_status", sa.String(length=20), nullable=True),
        sa.Column("to_status", sa.String(length=20), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("broker_words", sa.Text(), nullable=True),
        sa.Column("execution_id", sa.String(length=100), nullable=True),
        sa.Column("request_key", sa.String(length=210), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "order_id", "sequence", name=op.f("pk_order_events")),
    )
    op.create_table(
        "orders",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("client_order_id", sa.String(length=100), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("time_in_force", sa.String(length=3), nullable=False),
        sa.Column("quantity", Amount(), nullable=False),
        sa.Column("notional", Amount(), nullable=True),
        sa.Column("limit_price", Amount(), nullable=True),
        sa.Column("stop_price", Amount(), nullable=True),
        sa.Column("trail_amount", Amount(), nullable=True),
        sa.Column("trail_percent", Amount(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("ends_at", Instant(), nullable=True),
        sa.Column("extended_hours", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("strategy", sa.String(length=100), nullable=True),
        sa.Column("user_id", sa.String(length=100), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("filled_quantity", Amount(), nullable=False),
        sa.Column("filled_value", Amount(), nullable=False),
        sa.Column("is_triggered", sa.Boolean(), nullable=False),
        sa.Column("trail_level", Amount(), nullable=True),
        sa.Column("carried_quantity", Amount(), nullable=False),
        sa.Column("carried_value", Amount(), nullable=False),
        sa.Column("replaces", sa.String(length=32), nullable=True),
        sa.Column("replaced_by", sa.String(length=32), nullable=True),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("group_id", sa.String(length=32), nullable=True),
        sa.Column("group_kind", sa.String(length=8), nullable=True),
        sa.Column("role", sa.String(length=12), nullable=True),
        sa.Column("denial", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=210), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("broker", sa.String(length=20), nullable=False),
        sa.Column("broker_order_id", sa.String(length=100), nullable=True),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(status = 'DENIED') = (denial IS NOT NULL)", name=op.f("ck_orders_a_denied_order_says_why")
        ),
        sa.CheckConstraint(
            "group_kind IN ('BRACKET', 'OCO', 'OTO')", name=op.f("ck_orders_group_kind_is_known")
        ),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_orders_side_is_known")),
        sa.CheckConstraint(
            "status IN ('INITIALIZED', 'AWAITING_APPROVAL', 'HELD', "
            "'SUBMITTED', 'ACCEPTED', 'TRIGGERED', "
            "'PARTIALLY_FILLED', 'PENDING_CANCEL', 'PENDING_REPLACE', "
            "'FILLED', 'CANCELED', 'EXPIRED', 'REPLACED', 'DENIED', 'REJECTED')",
            name=op.f("ck_orders_status_is_known"),
        ),
        sa.CheckConstraint(
            "time_in_force IN ('DAY', 'GTC', 'GTD', 'IOC', 'FOK', 'OPG', 'CLS')",
            name=op.f("ck_orders_time_in_force_is_known"),
        ),
        sa.CheckConstraint(
            "type IN ('MARKET', 'LIMIT', 'STOP', 'STOP_LIMIT', 'TRAILING_STOP')",
            name=op.f("ck_orders_type_is_known"),
        ),
        sa.CheckConstraint(
            "CAST(filled_quantity AS NUMERIC) >= 0", name=op.f("ck_orders_filled_quantity_is_not_negative")
        ),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) >= 0", name=op.f("ck_orders_quantity_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_orders_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_orders")),
        sa.UniqueConstraint("client_order_id", "tenant_id", name=op.f("uq_orders_client_order_id_tenant_id")),
        sa.UniqueConstraint("idempotency_key", "tenant_id", name=op.f("uq_orders_idempotency_key_tenant_id")),
    )
    op.create_index(
        "ix_orders_open_by_portfolio",
        "orders",
        ["tenant_id", "portfolio_id"],
        unique=False,
        postgresql_where=_IS_OPEN,
        sqlite_where=_IS_OPEN,
    )
    op.create_index(
        "ix_orders_open_by_symbol",
        "orders",
        ["tenant_id", "symbol", "portfolio_id"],
        unique=False,
        postgresql_where=_IS_OPEN,
        sqlite_where=_IS_OPEN,
    )
    for column in ("group_id", "parent_id"):
        has_one = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            op.f(f"ix_orders_tenant_id_{column}"),
            "orders",
            ["tenant_id", column],
            unique=False,
            postgresql_where=has_one,
            sqlite_where=has_one,
        )
    op.create_index(
        op.f("ix_orders_tenant_id_portfolio_id_id"),
        "orders",
        ["tenant_id", "portfolio_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_orders_tenant_id_symbol_id"), "orders", ["tenant_id", "symbol", "id"], unique=False
    )
    op.execute(
        "ALTER TABLE portfolios ADD COLUMN trading_state VARCHAR(8) DEFAULT 'ACTIVE' NOT NULL "
        "CONSTRAINT ck_portfolios_trading_state_is_known "
        "CHECK (trading_state IN ('ACTIVE', 'REDUCING', 'HALTED'))"
    )
    op.execute("ALTER TABLE portfolios ADD COLUMN orders_stamp VARCHAR(16) DEFAULT '' NOT NULL")
    for table in _APPEND_ONLY:
        for statement in _guards(table):
            op.execute(statement)
    _wall_off("orders", "SELECT, INSERT, UPDATE")
    _wall_off("order_events", "SELECT, INSERT")
    _wall_off("executions", "SELECT, INSERT")


def _wall_off(table: str, verbs: str) -> None:
    """Put a table behind the wall between tenants (PostgreSQL)."""
    if op.get_bind().dialect.name != "sqlite":
        for statement in enable_row_security(table, verbs, with_role=prepare_role(op.get_bind())):
            op.execute(statement)


def _guards(table: str) -> list[str]:
    if op.get_bind().dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_are_not_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    ]


def _drop_orders() -> None:
    for table in ("executions", "order_events", "orders"):
        op.drop_table(table)
    for column in ("trading_state", "orders_stamp"):
        op.execute(f"ALTER TABLE portfolios DROP COLUMN {column}")


def _make_market() -> None:
    op.create_table(
        "instruments",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("exchange", sa.String(length=20), nullable=False),
        sa.Column("asset_class", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("tick_size", Amount(), nullable=False),
        sa.Column("lot_size", Amount(), nullable=False),
        sa.Column("is_tradable", sa.Boolean(), nullable=False),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint("CAST(lot_size AS NUMERIC) > 0", name=op.f("ck_instruments_lot_is_positive")),
        sa.CheckConstraint("CAST(tick_size AS NUMERIC) > 0", name=op.f("ck_instruments_tick_is_positive")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_instruments_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", name=op.f("pk_instruments")),
    )
    op.create_table(
        "quotes",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        *(
            sa.Column(name, Amount(), nullable=True)
            for name in ("bid", "ask", "last", "bid_size", "ask_size")
        ),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        *(
            sa.CheckConstraint(
                f"{name} IS NULL OR CAST({name} AS NUMERIC) > 0", name=op.f(f"ck_quotes_{name}_is_positive")
            )
            for name in ("bid", "ask", "last")
        ),
        sa.CheckConstraint(
            "bid IS NOT NULL OR ask IS NOT NULL OR last IS NOT NULL",
            name=op.f("ck_quotes_quote_says_a_price"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_quotes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", name=op.f("pk_quotes")),
    )
    op.create_table(
        "bars",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        *(sa.Column(name, Amount(), nullable=False) for name in ("open", "high", "low", "close")),
        sa.Column("volume", Amount(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_bars_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", "start", name=op.f("pk_bars")),
    )
    _wall_off("instruments", "SELECT, INSERT, UPDATE")
    _wall_off("quotes", "SELECT, INSERT, UPDATE")
    _wall_off("bars", "SELECT, INSERT, UPDATE")


def _drop_market() -> None:
    for table in ("bars", "quotes", "instruments"):
        op.drop_table(table)


def _make_risk() -> None:
    scopes = "scope IN ('tenant', 'portfolio', 'strategy')"
    states = "state IN ('ACTIVE', 'REDUCING', 'HALTED')"
    named = "(scope = 'tenant') = (name_key = '')"
    op.create_table(
        "limits",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("is_temporary", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", Amount(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("set_by", sa.String(length=300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "scope IN ('tenant', 'portfolio', 'user', 'strategy', 'instrument')",
            name=op.f("ck_limits_scope_is_known"),
        ),
        sa.CheckConstraint(named, name=op.f("ck_limits_all_but_the_tenant_have_a_name")),
        sa.CheckConstraint("CAST(value AS NUMERIC) >= 0", name=op.f("ck_limits_value_is_not_negative")),
        sa.CheckConstraint(
            "(is_temporary = 1) = (until IS NOT NULL)", name=op.f("ck_limits_a_temporary_one_ends")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "scope", "name_key", "code", "is_temporary", name=op.f("pk_limits")
        ),
    )
    op.create_table(
        "kill_switches",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("set_by", sa.String(length=300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.CheckConstraint(named, name=op.f("ck_kill_switches_all_but_the_tenant_have_a_name")),
        sa.CheckConstraint(scopes, name=op.f("ck_kill_switches_scope_is_known")),
        sa.CheckConstraint(states, name=op.f("ck_kill_switches_state_is_known")),
        sa.PrimaryKeyConstraint("tenant_id", "scope", "name_key", name=op.f("pk_kill_switches")),
    )
    op.create_table(
        "kill_switch_changes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("set_by", sa.String(length=300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "(idempotency_key IS NULL) = (request_hash IS NULL)",
            name=op.f("ck_kill_switch_changes_key_has_request_hash"),
        ),
        sa.CheckConstraint(scopes, name=op.f("ck_kill_switch_changes_scope_is_known")),
        sa.CheckConstraint(states, name=op.f("ck_kill_switch_changes_state_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kill_switch_changes")),
        sa.UniqueConstraint(
            "tenant_id", "idempotency_key", name=op.f("uq_kill_switch_changes_tenant_id_idempotency_key")
        ),
    )
    op.create_index(
        op.f("ix_kill_switch_changes_tenant_id_id"), "kill_switch_changes", ["tenant_id", "id"], unique=False
    )
    for statement in _guards("kill_switch_changes"):
        op.execute(statement)
    _wall_off("limits", "SELECT, INSERT, UPDATE, DELETE")
    _wall_off("kill_switches", "SELECT, INSERT, UPDATE")
    _wall_off("kill_switch_changes", "SELECT, INSERT")


def _drop_risk() -> None:
    for table in ("kill_switch_changes", "kill_switches", "limits"):
        op.drop_table(table)
