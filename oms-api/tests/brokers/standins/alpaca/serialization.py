"""The stand-in's records as Alpaca's JSON. Amounts are texts, unknown values are null."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.brokers.standins.alpaca.values import ZERO, Asset, Execution, Order, Position, Quote

ACCOUNT_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "account of the Alpaca stand-in"))
_TIMES = ("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at")


def format_amount(amount: Decimal | None) -> str | None:
    """Return 10 as "10" and 10.50 as "10.5"."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def format_time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def serialize_order(order: Order, *, is_nested: bool = False) -> dict[str, Any]:
    """Return an order, with its legs if `is_nested`."""
    average = order.filled_value / order.filled_qty if order.filled_qty else None
    amounts = {
        name: format_amount(getattr(order, name))
        for name in ("notional", "qty", "limit_price", "stop_price", "trail_percent", "trail_price", "hwm")
    }
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": format_time(order.created_at),
        "updated_at": format_time(order.at),
        "submitted_at": format_time(order.created_at),
        **{name: format_time(order.times.get(name)) for name in _TIMES},
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": order.asset.id,
        "symbol": order.asset.symbol,
        "asset_class": order.asset.asset_class,
        "filled_qty": format_amount(order.filled_qty),
        "filled_avg_price": format_amount(average),
        "order_class": order.order_class,
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "time_in_force": order.time_in_force,
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": [serialize_order(leg) for leg in order.legs] if is_nested and order.legs else None,
        "subtag": None,
        "source": None,
        **amounts,
    }


def serialize_activity(execution: Execution, *, is_renamed: bool = False) -> dict[str, Any]:
    order = execution.order
    is_last = execution.leaves == 0
    return {
        "id": activity_id(execution, is_renamed=is_renamed),
        "activity_type": "FILL",
        "transaction_time": format_time(execution.at),
        "type": "fill" if is_last else "partial_fill",
        "price": format_amount(execution.price),
        "qty": format_amount(execution.qty),
        "side": order.side,
        "symbol": order.asset.symbol,
        "leaves_qty": format_amount(execution.leaves),
        "order_id": order.id,
        "cum_qty": format_amount(execution.cumulative),
        "order_status": "filled" if is_last else "partially_filled",
    }


def activity_id(execution: Execution, *, is_renamed: bool = False) -> str:
    name = uuid.uuid5(uuid.NAMESPACE_OID, execution.id) if is_renamed else execution.id
    return f"{execution.at:%Y%m%d%H%M%S}{execution.at.microsecond // 1000:03d}::{name}"


def serialize_position(position: Position, quote: Quote | None) -> dict[str, Any]:
    asset, qty = position.asset, position.qty
    average = position.cost / qty
    price = average if quote is None else (quote.bid + quote.ask) / 2
    value, gain = qty * price, qty * price - position.cost
    share = gain / abs(position.cost) if position.cost else ZERO
    return {
        "asset_id": asset.id,
        "symbol": asset.symbol.replace("/", ""),  # Alpaca writes BTCUSD here and BTC/USD in orders
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": not asset.is_crypto,
        "qty": format_amount(qty),
        "qty_available": format_amount(qty),
        "avg_entry_price": format_amount(average),
        "side": "long" if qty > 0 else "short",
        "market_value": format_amount(value),
        "cost_basis": format_amount(position.cost),
        "unrealized_pl": format_amount(gain),
        "unrealized_plpc": format_amount(share),
        "unrealized_intraday_pl": format_amount(gain),
        "unrealized_intraday_plpc": format_amount(share),
        "current_price": format_amount(price),
        "lastday_price": format_amount(price),
        "change_today": "0",
    }


def serialize_asset(asset: Asset) -> dict[str, Any]:
    increments = {"min_order_size": "0.0001", "min_trade_increment": "0.00000001", "price_increment": "0.01"}
    return {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.symbol,
        "status": "active",
        "tradable": True,
        "marginable": not asset.is_crypto,
        "maintenance_margin_requirement": 100 if asset.is_crypto else 30,
        "shortable": asset.is_shortable,
        "easy_to_borrow": asset.is_shortable,
        "fractionable": asset.is_fractionable,
        "attributes": [],
    } | (increments if asset.is_crypto else {})


def serialize_account(number: str, cash: Decimal, value: Decimal) -> dict[str, Any]:
    equity = format_amount(cash + value)
    buying_power = format_amount(max(cash, ZERO))
    return {
        "id": ACCOUNT_ID,
        "account_number": number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "cash": format_amount(cash),
        "portfolio_value": equity,
        "equity": equity,
        "last_equity": equity,
        "long_market_value": format_amount(value),
        "short_market_value": "0",
        "buying_power": buying_power,
        "regt_buying_power": buying_power,
        "non_marginable_buying_power": buying_power,
        "initial_margin": "0",
        "maintenance_margin": "0",
        "accrued_fees": "0",
        "multiplier": "1",
        "shorting_enabled": True,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": "2026-01-02T14:30:00Z",
    }
