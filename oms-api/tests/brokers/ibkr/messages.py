"""Messages as TWS sends them."""

from decimal import Decimal

from app.brokers.ibkr.rules.reports import IbkrOrderReport
from app.brokers.rules.values import OrderType, TimeInForce
from app.ledger.rules.accounting import Side

CLIENT_ID = 7
TEN = Decimal(10)


def report_open_order(status="Submitted", ref="A", venue_id=1, client_id=CLIENT_ID, perm_id=100, **changes):
    order_report = IbkrOrderReport(
        venue_id, client_id, perm_id, ref, "AAPL", Side.BUY, OrderType.LIMIT, TimeInForce.DAY, TEN,
        Decimal(95), None, None, None, None, status,
    )  # fmt: skip
    return order_report._replace(**changes)
