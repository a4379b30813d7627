"""The virtual contract note asks for filled orders and gives totals."""

from decimal import Decimal

import pytest

from app.brokers.rules.order_reports import MalformedResponse
from app.brokers.zerodha.rules.charges import build_charges_request, parse_charges

ORDER = {
    "order_id": "1", "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY",
    "variety": "regular", "product": "CNC", "order_type": "MARKET", "average_price": Decimal("560.05"),
    "filled_quantity": 4, "quantity": 10, "tag": "T",
}  # fmt: skip


def test_request_has_the_filled_quantity():
    (body,) = build_charges_request([ORDER])
    assert (body["quantity"], body["average_price"], body["product"]) == (4, 560.05, "CNC")
    assert "tag" not in body


def test_total_of_each_order_is_parsed():
    notes = [{"charges": {"total": Decimal("0.5826968"), "transaction_tax": Decimal("0.56")}}]
    assert parse_charges(notes) == [Decimal("0.5826968")]
    with pytest.raises(MalformedResponse, match="charges"):
        parse_charges([{}])
