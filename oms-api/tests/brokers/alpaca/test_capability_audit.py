"""The stand-in accepts the orders that the table of Alpaca allows. Other orders are not sent."""

import pytest

from app.brokers.alpaca.rules.capabilities import find_refusal
from tests.brokers.capability_audit import build_orders, check_capabilities


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
def test_table_agrees_with_the_venue(broker, alpaca, symbol):
    alpaca.exchange.quote(symbol, "99", "101")
    orders = [*build_orders(symbol), *build_orders(symbol, extended_hours=True)]
    check_capabilities(
        broker, orders, find_refusal, lambda: alpaca.gateway.requests.count(("POST", "/v2/orders"))
    )
