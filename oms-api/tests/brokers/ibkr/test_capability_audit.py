"""The stand-in of TWS accepts the orders that the table of IBKR allows. Other orders are not sent."""

import pytest

from app.brokers.ibkr.rules.capabilities import find_refusal
from tests.brokers.capability_audit import build_orders, check_capabilities
from tests.brokers.standins.ibkr.faults import PLACE_ORDER


@pytest.mark.parametrize(("symbol", "asset_class"), [("AAPL", "equity"), ("EURUSD", "fx")])
def test_table_agrees_with_the_venue(broker, tws, symbol, asset_class):
    tws.quote(symbol, "99", "101")
    orders = build_orders(symbol, asset_class=asset_class)

    def count_requests():
        return sum(message == PLACE_ORDER for message, _ in tws.requests)

    tws.requests.clear()
    check_capabilities(broker, list(orders), find_refusal, count_requests)
