"""A running stand-in of Kite, and the broker on it."""

import pytest

from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.zerodha.broker import ZerodhaBroker
from app.brokers.zerodha.client import KiteCredentials
from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET, StandIn
from tests.support.conditions import WAIT_SECONDS, wait_until

CREDENTIALS = KiteCredentials(API_KEY, API_SECRET, ACCESS_TOKEN)


@pytest.fixture(scope="session")
def running_kite():
    with StandIn() as running:
        yield running


@pytest.fixture
def kite(running_kite):
    running_kite.clear()
    running_kite.exchange.quote("RELIANCE", "99", "101")
    return running_kite


@pytest.fixture
def broker(kite):
    broker = ZerodhaBroker(kite.url, CREDENTIALS, 1, timeouts=RestTimeouts(response=WAIT_SECONDS))
    broker.stream.start()
    wait_until(broker.stream.is_ready.is_set)
    kite.gateway.requests.clear()
    yield broker
    broker.close()
