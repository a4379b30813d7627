"""A running stand-in of Alpaca, and the broker on it."""

import pytest

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.remote.rest_client import RestTimeouts
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS, alpaca, running_alpaca  # noqa: F401 - fixtures
from tests.support.conditions import WAIT_SECONDS, wait_until


@pytest.fixture
def broker(alpaca):  # noqa: F811 - the fixture
    broker = AlpacaBroker(alpaca.url, CREDENTIALS, 1, timeouts=RestTimeouts(response=WAIT_SECONDS))
    broker.stream.start()
    wait_until(broker.stream.is_ready.is_set)
    alpaca.gateway.requests.clear()
    yield broker
    broker.close()
