"""The terms of an order at a broker as text, so that a person can adopt it later."""

import json
from decimal import Decimal

from app.brokers.rules.values import BrokerOrder
from app.money import format_plain_amount
from app.orders.rules.values import OrderType, Ticket, TimeInForce
from app.timestamps import format_timestamp

MAX_ID_LENGTH = 32  # of an order's id here
_AMOUNT_FIELDS = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent")


def format_terms(order: BrokerOrder) -> str:
    """Return the terms of an order as JSON. Amounts are texts."""
    amounts = {name: getattr(order, name) for name in _AMOUNT_FIELDS}
    terms = {name: format_plain_amount(amount) for name, amount in amounts.items() if amount is not None}
    expires_at = {} if order.expires_at is None else {"expires_at": format_timestamp(order.expires_at)}
    names = {"side": order.side.value, "type": order.type.value, "time_in_force": order.time_in_force.value}
    return json.dumps(terms | names | expires_at | {"product": order.product})


def describe_order(order: BrokerOrder) -> str:
    """Return the terms of an order as text, such as "SELL 5 STOP_LIMIT stop 95 limit 94.5 GTC"."""
    amounts = {
        "stop": order.stop_price, "limit": order.limit_price,
        "trail": order.trail_amount, "trail percent": order.trail_percent,
    }  # fmt: skip
    prices = [
        f"{name} {format_plain_amount(amount)}" for name, amount in amounts.items() if amount is not None
    ]
    return " ".join(
        [order.side, format_plain_amount(order.quantity), order.type, *prices, order.time_in_force]
    )


def parse_ticket(symbol: str, details: str, reason: str) -> Ticket:
    """Return the ticket of an order that is adopted for `reason`."""
    terms = json.loads(details)
    amounts = {name: Decimal(terms[name]) for name in _AMOUNT_FIELDS if name in terms}
    ticket = Ticket(
        symbol=symbol,
        side=terms["side"],
        type=OrderType(terms["type"]),
        time_in_force=TimeInForce(terms["time_in_force"]),
        expires_at=terms.get("expires_at"),
        product=terms["product"],
        reason=f"Adopted from the broker: {reason}",
    )
    return ticket._replace(**amounts)  # type: ignore[arg-type]  # amounts alone
