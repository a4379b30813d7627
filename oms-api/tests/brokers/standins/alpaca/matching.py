"""The simple quote book of the stand-in: which quantity of an order trades at a quote, and at which price."""

from decimal import Decimal
from typing import NamedTuple

from tests.brokers.standins.alpaca.values import ZERO, Order, Quote

_AT_ONCE = frozenset({"ioc", "fok"})
_AT_AUCTION = frozenset({"opg", "cls"})
_HUNDRED = Decimal(100)


class Match(NamedTuple):
    """A trade. The quantity is zero if the order does not trade."""

    qty: Decimal
    price: Decimal


def match_order(order: Order, quote: Quote) -> Match:
    """Return the quantity of the order that trades now. Move a trailing stop, and trigger stops."""
    is_buy = order.side == "buy"
    price, size = (quote.ask, quote.ask_size) if is_buy else (quote.bid, quote.bid_size)
    if order.time_in_force in _AT_AUCTION or not _is_triggered(order, price):
        return Match(ZERO, price)
    limit = order.limit_price if order.type in {"limit", "stop_limit"} else None
    if limit is not None and (price > limit if is_buy else price < limit):
        return Match(ZERO, price)
    if order.qty is None and order.notional is not None:
        order.qty = (order.notional / price).quantize(Decimal("1e-9"))
    qty = min(order.leaves, size)
    if order.time_in_force == "fok" and qty < order.leaves:
        qty = ZERO
    return Match(qty, price)


def ends_now(order: Order) -> bool:
    """Return whether the rest of an order is canceled because it may not wait."""
    return order.time_in_force in _AT_ONCE and order.is_open


def _is_triggered(order: Order, price: Decimal) -> bool:
    if order.type in {"market", "limit"} or order.is_triggered:
        return True
    stop = _advance_trail(order, price) if order.type == "trailing_stop" else order.stop_price
    order.is_triggered = stop is not None and (price >= stop if order.side == "buy" else price <= stop)
    return order.is_triggered


def _advance_trail(order: Order, price: Decimal) -> Decimal:
    best = min if order.side == "buy" else max
    order.hwm = price if order.hwm is None else best(order.hwm, price)
    percent = order.trail_percent
    distance = order.trail_price if percent is None else order.hwm * percent / _HUNDRED
    order.stop_price = order.hwm + order.sign * (distance or ZERO)
    return order.stop_price
