"""Build the payloads of ledger events for the outbox."""

import orjson

from app.ledger.rules.chain import TradeRow
from app.money import ZERO, format_fixed, shorten_amount, shorten_quantity

_ZERO_TEXT = format_fixed(ZERO)

_EXECUTED_AT_SINCE = 4  # the hash version of rows whose event has it


def build_trade_payload(row: TradeRow, portfolio_name: str) -> str:
    """Return the payload of trade.recorded as JSON. Fields that do not apply are left out."""
    fields = {
        "trade_id": row.trade_id,
        "portfolio_id": row.portfolio_id,
        "portfolio_name": portfolio_name,
        "sequence": row.sequence,
        "kind": row.kind,
        "symbol": row.symbol,
        "side": row.side,
        "quantity": shorten_quantity(row.quantity),
        "price": shorten_amount(row.price),
        "gmv": shorten_amount(row.gmv),
        "realized_pnl": shorten_amount(row.realized_pnl),
    }
    if row.hash_version >= _EXECUTED_AT_SINCE:
        fields["executed_at"] = row.executed_at
    if row.charges != _ZERO_TEXT:
        fields["charges"] = shorten_amount(row.charges)
    if row.order_id is not None:
        fields["order_id"] = row.order_id
    if row.currency is not None and row.fx_rate is not None:
        fields |= {"currency": row.currency, "fx_rate": shorten_amount(row.fx_rate)}
    return orjson.dumps(fields).decode()


def build_position_payload(row: TradeRow, portfolio_name: str) -> str:
    """Return the payload of position.changed as JSON: the position after its last row."""
    fields = {
        "portfolio_id": row.portfolio_id,
        "portfolio_name": portfolio_name,
        "symbol": row.symbol,
        "product": row.product,
        "sequence": row.sequence,
        "quantity": shorten_quantity(row.position_quantity),
        "cost": shorten_amount(row.position_cost),
        "realized_pnl": shorten_amount(row.position_realized_pnl),
    }
    return orjson.dumps(fields).decode()
