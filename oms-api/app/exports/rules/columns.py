"""The columns of each export. The fields of an API response keep their names."""

from app.exports.rules.tables import CellKind, build_columns

_ID, _NUMBER, _AMOUNT = CellKind.ID, CellKind.NUMBER, CellKind.AMOUNT
_MONEY, _QUANTITY = CellKind.MONEY, CellKind.QUANTITY
_KIND_BY_COLUMN = {
    **dict.fromkeys(("extended_hours", "mark_is_stale", "is_settled"), CellKind.FLAG),
    **dict.fromkeys(("trade_id", "id", "kind", "symbol", "side", "currency", "base_currency"), _ID),
    **dict.fromkeys(("executed_at", "created_at", "updated_at", "opened_at", "closed_at", "expires_at"), _ID),
    **dict.fromkeys(("order_id", "reverses", "reversed_by", "hash", "status", "type", "time_in_force"), _ID),
    **dict.fromkeys(("replaces", "replaced_by", "parent_id", "date", "settles_on", "mark_source"), _ID),
    **dict.fromkeys(("sequence", "trades", "wins", "losses", "mark_age_seconds"), _NUMBER),
    **dict.fromkeys(
        ("quantity", "price", "gmv", "fx_rate", "charges", "realized_pnl", "limit_price"), _AMOUNT
    ),
    **dict.fromkeys(("stop_price", "trail_amount", "trail_percent", "trail_level", "notional"), _AMOUNT),
    **dict.fromkeys(("filled_quantity", "leaves_quantity", "average_price", "avg_cost", "cost"), _AMOUNT),
    **dict.fromkeys(("mark", "market_value", "unrealized_pnl", "stop_loss", "take_profit"), _AMOUNT),
    **dict.fromkeys(("local_cost", "volume", "net_pnl", "max_drawdown", "amount", "balance"), _AMOUNT),
}
TRADE_COLUMNS = build_columns(
    "trade_id sequence kind portfolio_name symbol product side quantity price gmv currency fx_rate charges "
    "realized_pnl base_currency executed_at created_at user_id actor source order_id note idempotency_key "
    "reverses reversed_by backdated_reason request_id hash",
    {**_KIND_BY_COLUMN, "quantity": _QUANTITY, **dict.fromkeys(("price", "gmv", "fx_rate"), _MONEY),
     **dict.fromkeys(("charges", "realized_pnl"), _MONEY)},
)  # fmt: skip
ORDER_COLUMNS = build_columns(
    "id status portfolio_name symbol side quantity type limit_price stop_price trail_amount trail_percent "
    "trail_level notional time_in_force expires_at client_order_id product extended_hours reason strategy "
    "user_id source actor cost_schedule filled_quantity leaves_quantity average_price created_at updated_at "
    "replaces replaced_by parent_id group_id group_kind role denial_code",
    _KIND_BY_COLUMN,
)
POSITION_COLUMNS = build_columns(
    "portfolio_name symbol product quantity avg_cost cost realized_pnl mark mark_source mark_age_seconds "
    "mark_is_stale market_value unrealized_pnl stop_loss take_profit currency base_currency fx_rate "
    "local_cost opened_at closed_at updated_at",
    _KIND_BY_COLUMN,
)
PNL_COLUMNS = build_columns(
    "date portfolio_name currency trades wins losses volume realized_pnl charges net_pnl max_drawdown",
    _KIND_BY_COLUMN,
)
CASH_COLUMNS = build_columns(
    "portfolio_name kind amount currency balance charges trade_id symbol counterpart reason source actor "
    "request_id idempotency_key settles_on is_settled created_at",
    _KIND_BY_COLUMN,
)
CHARGE_COMPONENT_COLUMNS = (
    "brokerage", "stt", "exchange", "sebi", "gst", "stamp_duty", "square_off", "commission", "regulatory",
)  # fmt: skip
CHARGE_COLUMNS = build_columns(
    "portfolio_name kind charges currency trade_id order_id symbol reason created_at "
    + " ".join(CHARGE_COMPONENT_COLUMNS),
    {**_KIND_BY_COLUMN, **dict.fromkeys(("charges", *CHARGE_COMPONENT_COLUMNS), _MONEY)},
)
_LIMITED_COLUMNS = (
    "equity gross_exposure max_gross_exposure net_exposure max_net_exposure day_pnl max_daily_loss"
)
_USE_COLUMNS = "gross_use_percent net_use_percent loss_use_percent"
RISK_COLUMNS = build_columns(
    f"portfolio_name currency {_LIMITED_COLUMNS} {_USE_COLUMNS}",
    _KIND_BY_COLUMN | dict.fromkeys(f"{_LIMITED_COLUMNS} {_USE_COLUMNS}".split(), _AMOUNT),
)
