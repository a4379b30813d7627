"""Bars, fills, orders and quotes as JSON values of the journal, and back. Amounts are text."""

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.backtests.rules.bar_columns import build_columns
from app.market_data.rules.values import Bar, Quote
from app.money import format_optional_fixed
from slackoms_strategy import BarColumns, Fill, OrderState, OrderStatus, OrderType, Side, TimeInForce
from slackoms_strategy import Quote as StrategyQuote

_ORDER_AMOUNTS = ("limit_price", "stop_price", "trail_amount", "trail_percent")
_COLUMNS = ("starts", "opens", "highs", "lows", "closes", "volumes")


def serialize_bars(symbol: str, seconds: int, bars: Sequence[Bar]) -> dict[str, Any]:
    """Return the bars of one symbol as columns of whole numbers."""
    columns = build_columns(symbol, seconds, bars)
    terms = {name: getattr(columns, name) for name in ("symbol", "seconds", "places", "volume_places")}
    return terms | {name: getattr(columns, name).tolist() for name in _COLUMNS}


def parse_bars(payload: Mapping[str, Any]) -> BarColumns:
    """Return the bars of `serialize_bars`."""
    columns = [array("q", payload[name]) for name in _COLUMNS]
    terms = (payload["symbol"], payload["seconds"], payload["places"], payload["volume_places"])
    return BarColumns(*terms, *columns)


def serialize_quote(quote: Quote) -> dict[str, Any]:
    """Return a quote as JSON values."""
    sides = {name: format_optional_fixed(getattr(quote, name)) for name in ("bid", "ask", "last")}
    return {"symbol": quote.symbol, **sides, "at": quote.at.isoformat()}


def parse_quote(payload: Mapping[str, Any]) -> StrategyQuote:
    """Return the quote of `serialize_quote` as a strategy sees it."""
    bid, ask, last = (_parse_amount(payload[name]) for name in ("bid", "ask", "last"))
    return StrategyQuote(payload["symbol"], bid, ask, last, datetime.fromisoformat(payload["at"]))


def parse_fill(payload: Mapping[str, Any]) -> Fill:
    """Return a fill as a strategy sees it."""
    names = ("quantity", "price", "value", "charges")
    quantity, price, value, charges = (Decimal(payload[name]) for name in names)
    at = datetime.fromisoformat(payload["at"])
    side = Side(payload["side"])
    return Fill(
        order_id=payload["order_id"],
        symbol=payload["symbol"],
        side=side,
        quantity=quantity,
        price=price,
        value=value,
        charges=charges,
        at=at,
    )


def parse_order(payload: Mapping[str, Any]) -> OrderState:
    """Return an order as a strategy sees it."""
    limit, stop, trail, percent = (_parse_amount(payload[name]) for name in _ORDER_AMOUNTS)
    return OrderState(
        id=payload["id"],
        symbol=payload["symbol"],
        side=Side(payload["side"]),
        type=OrderType(payload["type"]),
        quantity=Decimal(payload["quantity"]),
        status=OrderStatus(payload["status"]),
        filled_quantity=Decimal(payload["filled_quantity"]),
        limit_price=limit,
        stop_price=stop,
        trail_amount=trail,
        trail_percent=percent,
        time_in_force=TimeInForce(payload["time_in_force"]),
        reason=payload["reason"],
        parent_id=payload["parent_id"],
    )


def serialize_order(order: OrderState) -> dict[str, Any]:
    """Return an order as JSON values."""
    fields = {name: getattr(order, name) for name in ("id", "symbol", "reason", "parent_id")}
    enum_fields = {name: str(getattr(order, name)) for name in ("side", "type", "status", "time_in_force")}
    amounts = {
        name: format_optional_fixed(getattr(order, name))
        for name in ("quantity", "filled_quantity", *_ORDER_AMOUNTS)
    }
    return fields | enum_fields | amounts


def _parse_amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
