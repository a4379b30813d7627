"""A running stand-in of TWS, and the broker on it."""

import pytest

from app.brokers.ibkr.broker import IbkrBroker
from app.brokers.ibkr.gateway import GatewayAddress, GatewayTimeouts
from tests.brokers.standins.ibkr.server import LOOPBACK, StandIn
from tests.support.conditions import WAIT_SECONDS, wait_until

CLIENT_ID = 7


@pytest.fixture(scope="session")
def running_tws():
    with StandIn() as running:
        yield running


@pytest.fixture
def tws(running_tws):
    running_tws.clear()
    running_tws.quote("AAPL", "99", "101")
    return running_tws


@pytest.fixture
def create_broker(tws):
    """Return a function that connects a broker."""
    brokers = []

    def create(response=WAIT_SECONDS, *, is_awaited=True, **options):
        address = GatewayAddress(LOOPBACK, tws.port, CLIENT_ID)
        timeouts = GatewayTimeouts(connect=WAIT_SECONDS, response=response)
        broker = IbkrBroker(address, None, 1, timeouts=timeouts, **options)
        brokers.append(broker)
        broker.gateway.start()
        if is_awaited:
            wait_until(broker.gateway.is_ready.is_set)
        return broker

    yield create
    for broker in brokers:
        broker.close()


@pytest.fixture
def broker(create_broker):
    return create_broker()
