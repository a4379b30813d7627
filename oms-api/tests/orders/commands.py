"""Builders of commands of the order service."""

from decimal import Decimal

from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import TradeValue
from app.ledger.service.commands import RecordTrade
from app.orders.service.commands import PlaceOrder
from tests.orders.writer_harness import build_ticket


def build_origin_without_key(harness):
    """Return the origin of a request without an idempotency key."""
    return harness.build_origin()._replace(request_hash=None)


def build_record_trade(harness, side="BUY", quantity="10"):
    size = Decimal(quantity)
    valued = TradeValue(size, size * 100, Decimal(100))
    return RecordTrade(
        build_origin_without_key(harness), "AAPL", "", Side(side), valued, "Growth", "growth", None
    )


def build_place_order(harness, **changes):
    ticket = build_ticket(**changes)
    return PlaceOrder(harness.build_origin(request_text=repr(ticket)), ticket, "Growth", "growth")
