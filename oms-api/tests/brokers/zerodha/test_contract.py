"""The Kite broker fulfils the contract against the stand-in."""

from datetime import UTC, datetime

import pytest
from typing_extensions import override

from tests.brokers.contract import BrokerContract, BrokerScenario
from tests.brokers.market import parse_order_text
from tests.support.conditions import wait_until


class UpToDateBroker:
    """The broker, read only after the socket brought all that the stand-in published."""

    def __init__(self, broker, kite):
        self._broker, self._kite, self._received = broker, kite, 0
        receive = broker.receive_order

        def receive_and_count(json):
            receive(json)
            self._received += 1

        broker.receive_order = receive_and_count

    def __getattr__(self, name):
        wait_until(lambda: self._received >= self._kite.ticker.sent)
        return getattr(self._broker, name)


class TestZerodhaBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    @override
    def scenario(self, broker, kite):
        def fill(resting_order):
            kite.exchange.quote("RELIANCE", "89", "90")

        resting_order = parse_order_text("BUY 10 LIMIT limit 95", "rests", symbol="RELIANCE")
        filling_order = parse_order_text("BUY 10 MARKET", "fills", symbol="RELIANCE")
        return BrokerScenario(
            UpToDateBroker(broker, kite), datetime.now(UTC), resting_order, filling_order, fill
        )
