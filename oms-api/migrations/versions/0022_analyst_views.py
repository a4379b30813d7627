"""Read-only views for analysts: active positions, today's orders, and daily statistics."""

from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

# On PostgreSQL a view reads as its owner, so it filters by the roles of whoever asks. Members of
# slackoms_analyst_<tenant id> see that tenant, members of the owner's role all tenants. See docs/analysts.md.
_VISIBLE = """
    (portfolios.tenant_id IN (
        SELECT substr(rolname, 18)::int FROM pg_roles
        WHERE rolname ~ '^slackoms_analyst_[0-9]{1,9}$' AND pg_has_role(session_user, oid, 'MEMBER')
    ) OR pg_has_role(
        session_user, (SELECT relowner FROM pg_class WHERE oid = 'portfolios'::regclass), 'MEMBER'
    ))
"""
_HOME = "JOIN portfolios ON portfolios.tenant_id = {0}.tenant_id AND portfolios.id = {0}.portfolio_id"
_POSITIONS = """
    SELECT portfolios.tenant_id, portfolios.name AS portfolio_name, portfolios.base_currency,
        positions.symbol, positions.product, {quantity} AS quantity, {cost} AS cost,
        {cost} / {quantity} AS average_cost, {realized_pnl} AS realized_pnl,
        coalesce(positions.currency, portfolios.base_currency) AS currency,
        positions.opened_at, positions.last_executed_at
    FROM positions {home} WHERE {quantity} <> 0 AND {visible}
"""
_ORDERS = """
    SELECT portfolios.tenant_id, portfolios.name AS portfolio_name, orders.id, orders.client_order_id,
        orders.symbol, orders.product, orders.side, orders.type, orders.time_in_force, orders.status,
        {quantity} AS quantity, {filled_quantity} AS filled_quantity, {limit_price} AS limit_price,
        {stop_price} AS stop_price, orders.strategy, orders.user_id, orders.created_at, orders.updated_at
    FROM orders {home} WHERE orders.created_at >= {today} AND {visible}
"""
_DAYS = """
    SELECT portfolios.tenant_id, portfolios.name AS portfolio_name, portfolios.base_currency AS currency,
        {day} AS day,
        count(*) FILTER (WHERE trades.kind = 'trade') AS trades,
        count(*) FILTER (WHERE trades.kind = 'trade' AND {realized_pnl} > 0) AS wins,
        count(*) FILTER (WHERE trades.kind = 'trade' AND {realized_pnl} < 0) AS losses,
        coalesce(sum(abs({cash_delta} + {charges})) FILTER (WHERE trades.kind = 'trade'), 0) AS volume,
        sum({realized_pnl}) AS realized_pnl, sum({charges}) AS charges,
        sum({realized_pnl} - {charges}) AS net_pnl
    FROM trades {home} WHERE {visible}
    GROUP BY portfolios.tenant_id, portfolios.name, portfolios.base_currency, {day}
"""
_AMOUNTS = {
    "positions": ("quantity", "cost", "realized_pnl"),
    "orders": ("quantity", "filled_quantity", "limit_price", "stop_price"),
    "trades": ("realized_pnl", "charges", "cash_delta"),
}
_VIEWS = {
    "v_active_positions": ("positions", _POSITIONS),
    "v_today_orders": ("orders", _ORDERS),
    "v_daily_stats": ("trades", _DAYS),
}
_POSTGRES = {
    "today": "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
    "day": "(trades.created_at AT TIME ZONE 'UTC')::date",
}
_SQLITE = {"today": "strftime('%Y-%m-%dT00:00:00', 'now')", "day": "substr(trades.created_at, 1, 10)"}


def upgrade() -> None:
    """Create the views."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for view, (table, query) in _VIEWS.items():
        # SQLite keeps amounts as text, so its views compute with floating point.
        form = "CAST({0}.{1} AS REAL)" if is_sqlite else "{0}.{1}"
        facts = {name: form.format(table, name) for name in _AMOUNTS[table]}
        facts |= _SQLITE if is_sqlite else _POSTGRES
        facts |= {"home": _HOME.format(table), "visible": "true" if is_sqlite else _VISIBLE}
        options = "" if is_sqlite else "WITH (security_barrier = true) "
        op.execute(f"CREATE VIEW {view} {options}AS {query.format(**facts)}")


def downgrade() -> None:
    """Drop the views."""
    for view in reversed(_VIEWS):
        op.execute(f"DROP VIEW {view}")
