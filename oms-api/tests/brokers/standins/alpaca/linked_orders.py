"""Linked orders: brackets, OTO and OCO, and what happens to one of them when another one fills or ends.

As at Alpaca, both legs of a bracket are held until the entry has filled completely. Then the take-profit is
new, and the stop is held until its price. An OCO begins like that.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.brokers.standins.alpaca.requests import build_order, parse_amount, refuse, validate_order
from tests.brokers.standins.alpaca.values import ZERO, Asset, Order, Quote

_UNPROCESSABLE = 42210000
_LEGS = {"bracket": {"take_profit", "stop_loss"}, "oco": {"take_profit", "stop_loss"}}
_STOPS = frozenset({"stop", "stop_limit"})


def build_linked(body: Mapping[str, Any], asset: Asset, client_order_id: str, at: Any) -> Order:
    """Return the order of a request, with its legs. Raises AlpacaError."""
    kind = str(body.get("order_class") or "")
    exit_terms = {name: body[name] for name in ("take_profit", "stop_loss") if body.get(name)}
    if kind in {"", "simple"}:
        if exit_terms:
            refuse("take_profit and stop_loss require an order class", code=_UNPROCESSABLE)
        return build_order(body, asset, _generate_id(), client_order_id, at)
    if (
        kind not in {"bracket", "oco", "oto"}
        or set(exit_terms) != _LEGS.get(kind, set(exit_terms))
        or not exit_terms
    ):
        refuse(f"{kind} orders require other legs", code=_UNPROCESSABLE)
    if kind == "oto" and len(exit_terms) != 1:
        refuse("oto orders require exactly one of take_profit or stop_loss", code=_UNPROCESSABLE)
    if kind == "oco":
        body = {**body, "limit_price": exit_terms.pop("take_profit").get("limit_price")}
    order = build_order(body, asset, _generate_id(), client_order_id, at)
    order.order_class = kind
    _check_terms(order)
    order.legs = [_build_leg(order, name, terms) for name, terms in exit_terms.items()]
    _check_prices(order)
    return order


def _check_terms(order: Order) -> None:
    if order.asset.is_crypto or order.extended_hours or order.time_in_force not in {"day", "gtc"}:
        refuse(f"{order.order_class} orders must be DAY or GTC equity orders", code=_UNPROCESSABLE)
    if order.qty is None or order.qty % 1:
        refuse(f"fractional orders must be simple orders, not {order.order_class}", code=_UNPROCESSABLE)
    if order.type not in ({"limit"} if order.order_class == "oco" else {"market", "limit"}):
        refuse(f"invalid type for {order.order_class} orders", code=_UNPROCESSABLE)


def _build_leg(order: Order, name: str, terms: Mapping[str, Any]) -> Order:
    limit, stop = parse_amount(terms, "limit_price"), parse_amount(terms, "stop_price")
    if (stop is None) != (name == "take_profit"):
        refuse(f"{name} has other prices", code=_UNPROCESSABLE)
    kind = "limit" if stop is None else "stop" if limit is None else "stop_limit"
    side = order.side if order.order_class == "oco" else {"buy": "sell", "sell": "buy"}[order.side]
    leg = replace(
        order, id=_generate_id(), client_order_id=_generate_id(), side=side, type=kind, limit_price=limit,
        stop_price=stop, status="held", parent=order, legs=[], times={},
    )  # fmt: skip
    validate_order(leg)
    return leg


def _check_prices(order: Order) -> None:
    exits = order.group
    limits = [leg.limit_price or ZERO for leg in exits if leg.type == "limit"]
    stops = [leg.stop_price or ZERO for leg in exits if leg.type in _STOPS]
    for limit in limits:
        for stop in stops:
            if (limit > stop) != (exits[0].side == "sell"):
                refuse("take_profit.limit_price must be beyond stop_loss.stop_price", code=_UNPROCESSABLE)


def list_activated(entry: Order) -> list[Order]:
    """Return the legs that work once their entry has filled; the stop of a pair stays held."""
    legs = [leg for leg in entry.legs if leg.status == "held"]
    return [leg for leg in legs if leg.type not in _STOPS or len(legs) == 1]


def is_armed(order: Order) -> bool:
    """Return whether a held stop is triggered by its price now."""
    if order.status != "held" or order.type not in _STOPS or order.parent is None:
        return False
    return order.parent.order_class == "oco" or order.parent.status == "filled"


def is_stop_reached(order: Order, quote: Quote) -> bool:
    """Return whether the quote triggers a stop."""
    stop = order.stop_price or ZERO
    return quote.bid <= stop if order.side == "sell" else quote.ask >= stop


def list_siblings(order: Order) -> list[Order]:
    """Return the open exits of the same position, of which a fill of `order` takes the quantity."""
    return (
        [sibling for sibling in order.group if sibling is not order and sibling.is_open]
        if order.is_exit
        else []
    )


def list_ended_with(order: Order) -> list[Order]:
    """Return the open orders that end when `order` is canceled or expires."""
    primary = order.parent or order
    return [sibling for sibling in (primary, *primary.legs) if sibling is not order and sibling.is_open]


def reduce_sibling(sibling: Order, qty: Decimal) -> None:
    """Reduce the quantity of an exit by the fill of the other exit."""
    sibling.qty = (sibling.qty or ZERO) - qty


def take_legs(previous: Order, current: Order) -> None:
    """Let a replacement have the links of the order that it replaces."""
    current.order_class, current.parent = previous.order_class, previous.parent
    current.legs, previous.legs = previous.legs, []
    for leg in current.legs:
        leg.parent = current
    if current.parent is not None:
        current.parent.legs.append(current)


def _generate_id() -> str:
    return str(uuid.uuid4())
