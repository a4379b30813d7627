"""A running stand-in of Alpaca, and the broker on it."""

import pytest

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import AlpacaCredentials
from app.brokers.remote.rest_client import RestTimeouts
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.support.conditions import WAIT_SECONDS, wait_until

CREDENTIALS = AlpacaCredentials(KEY_ID, SECRET_KEY)


@pytest.fixture(scope="session")
def running_alpaca():
    with StandIn() as running:
        yield running


@pytest.fixture
def alpaca(running_alpaca):
    running_alpaca.clear()
    running_alpaca.exchange.quote("AAPL", "99", "101")
    return running_alpaca


@pytest.fixture
def broker(alpaca):
    broker = AlpacaBroker(alpaca.url, CREDENTIALS, 1, timeouts=RestTimeouts(response=WAIT_SECONDS))
    broker.stream.start()
    wait_until(broker.stream.is_ready.is_set)
    alpaca.gateway.requests.clear()
    yield broker
    broker.close()
