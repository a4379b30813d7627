"""The IBKR broker fulfils the contract against the stand-in of TWS."""

from datetime import UTC, datetime

import pytest
from typing_extensions import override

from tests.brokers.contract import BrokerContract, BrokerScenario
from tests.brokers.market import parse_order_text


class UpToDateBroker:
    """The broker, used only after it received all that the stand-in sent."""

    def __init__(self, broker):
        self._broker = broker

    def __getattr__(self, name):
        gateway = self._broker.gateway
        gateway.run(gateway.query("time", "reqCurrentTime"))
        return getattr(self._broker, name)


class TestIbkrBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    @override
    def scenario(self, broker, tws):
        tws.exchange.holds_commissions = True  # the contract knows no commissions

        def fill(resting_order):
            tws.quote("AAPL", "89", "90")

        resting_order = parse_order_text("BUY 10 LIMIT limit 95", "rests", symbol="AAPL")
        filling_order = parse_order_text("BUY 10 MARKET", "fills", symbol="AAPL")
        return BrokerScenario(UpToDateBroker(broker), datetime.now(UTC), resting_order, filling_order, fill)
