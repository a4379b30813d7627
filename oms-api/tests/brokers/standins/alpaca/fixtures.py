"""Fixtures: a running stand-in of Alpaca, with a new account for each test."""

from collections.abc import Iterator

import pytest

from app.brokers.alpaca.client import AlpacaCredentials
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn

CREDENTIALS = AlpacaCredentials(KEY_ID, SECRET_KEY)


@pytest.fixture(scope="session")
def running_alpaca() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running


@pytest.fixture
def alpaca(running_alpaca: StandIn) -> StandIn:
    running_alpaca.clear()
    running_alpaca.exchange.quote("AAPL", "99", "101")
    return running_alpaca
