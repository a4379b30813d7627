"""The Alpaca broker fulfils the contract against the stand-in."""

from datetime import UTC, datetime

import pytest
from typing_extensions import override

from tests.brokers.contract import BrokerContract, BrokerScenario
from tests.brokers.market import parse_order_text
from tests.support.conditions import wait_until


class UpToDateBroker:
    """The broker, read only after the stream brought all that the stand-in published."""

    def __init__(self, broker, alpaca):
        self._broker, self._alpaca, self._received = broker, alpaca, 0
        receive = broker.receive_update

        def count(update):
            receive(update)
            self._received += 1

        broker.receive_update = count
        broker.stream.start()
        broker.stream.is_ready.wait()

    def __getattr__(self, name):
        wait_until(lambda: self._received >= self._alpaca.stream.sent)
        return getattr(self._broker, name)


class TestAlpacaBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    @override
    def scenario(self, broker, alpaca):
        def fill(resting_order):
            alpaca.exchange.quote("AAPL", "89", "90")

        resting_order = parse_order_text("BUY 10 LIMIT limit 95", "rests", symbol="AAPL")
        filling_order = parse_order_text("BUY 10 MARKET", "fills", symbol="AAPL")
        return BrokerScenario(
            UpToDateBroker(broker, alpaca), datetime.now(UTC), resting_order, filling_order, fill
        )
