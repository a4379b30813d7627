"""POST /orders: from a ticket to a fill, durable when 201 is answered."""

import pytest


@pytest.fixture
def market(desk):
    """A desk at which AAPL is quoted 99 to 101, last 100."""
    desk.quote("AAPL", "99", "101", "100")
    return desk


def test_a_market_order_fills_at_the_other_side(market):
    order = market.order(side="BUY", quantity="10")
    assert (order["status"], order["filled_quantity"], order["leaves_quantity"]) == ("FILLED", "10", "0")
    assert order["average_price"] == "101.00"
    held = market.portfolio()["positions"]["AAPL"]
    assert (held["quantity"], held["avg_cost"]) == ("10", "101.00")
    sold = market.order(side="SELL", quantity="4")
    assert sold["average_price"] == "99.00"
    assert market.portfolio()["cash"] == "999386.00"
