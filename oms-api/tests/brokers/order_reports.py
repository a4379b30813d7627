"""Builders of a broker's reports about orders and fills."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.brokers.rules.order_reports import FillReport, OrderReport
from app.brokers.rules.values import OrderType, TimeInForce
from app.ledger.rules.accounting import Side

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)


def build_report(status="new", filled="0", order_id="A", **changes):
    return OrderReport(
        f"broker-{order_id}", order_id, "AAPL", Side.BUY, OrderType.LIMIT, TimeInForce.DAY, Decimal(10),
        Decimal(filled), status, NOW, NOW + timedelta(seconds=1), Decimal(95), None, None, None, None, None,
    )._replace(**changes)  # fmt: skip


def build_fill(execution_id, quantity, order_id="A"):
    return FillReport(execution_id, f"broker-{order_id}", Decimal(quantity), Decimal(95), NOW)
