"""The terms of an unknown order survive as text, so that it can be adopted later."""

from decimal import Decimal

import pytest

from app.orders.rules.values import OrderType, TimeInForce
from app.reconciliation.rules.order_terms import describe_order, format_terms, parse_ticket
from tests.brokers.market import NOON, parse_order_text


@pytest.mark.parametrize(
    ("order_text", "changes"),
    [
        ("BUY 10 MARKET", {}),
        ("SELL 1.5 STOP_LIMIT stop 95.5 limit 95.25 GTC", {"product": "MIS"}),
        ("BUY 10 LIMIT limit 90 GTD", {"expires_at": NOON}),
        ("SELL 10 TRAILING_STOP trail 2", {}),
    ],
)
def test_terms_are_read_as_they_were_written(order_text, changes):
    parsed_order = parse_order_text(order_text, **changes)
    assert describe_order(parsed_order) == order_text + (
        " DAY" if parsed_order.time_in_force is TimeInForce.DAY else ""
    )
    ticket = parse_ticket("AAPL", format_terms(parsed_order), "Placed by telephone")
    assert (ticket.side, ticket.type, ticket.quantity) == (
        parsed_order.side,
        parsed_order.type,
        parsed_order.quantity,
    )
    assert (ticket.limit_price, ticket.stop_price) == (parsed_order.limit_price, parsed_order.stop_price)
    assert (ticket.trail_amount, ticket.product) == (parsed_order.trail_amount, parsed_order.product)
    assert (ticket.expires_at is None) == (parsed_order.expires_at is None)
    assert ticket.reason == "Adopted from the broker: Placed by telephone"


def test_amounts_are_exact_texts():
    ticket = parse_ticket(
        "BTC/USD", format_terms(parse_order_text("BUY 0.00000001 LIMIT limit 123456789.12345678 IOC")), "x"
    )
    assert (ticket.quantity, ticket.limit_price) == (Decimal("0.00000001"), Decimal("123456789.12345678"))
    assert (ticket.type, ticket.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
