"""A portfolio that trades at a broker which fails as a test says."""

import pytest

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.capabilities import CAPABILITIES_BY_BROKER
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, RequestRateLimiter
from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.zerodha.broker import ZerodhaBroker
from app.verify import verify_database
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS, alpaca, running_alpaca  # noqa: F401 - fixtures
from tests.brokers.standins.kite.server import StandIn
from tests.brokers.standins.kite.values import Listing
from tests.brokers.zerodha.conftest import CREDENTIALS as ZERODHA_CREDENTIALS
from tests.order_routing.scripted_broker import RoutingHarness
from tests.orders.writer_harness import WriterHarness
from tests.support.conditions import WAIT_SECONDS
from tests.support.decisions import forbid_statements_while_deciding  # noqa: F401  # for each test


@pytest.fixture
def create_broker(alpaca):  # noqa: F811 - the fixture
    """Return a function that creates the adapter of Alpaca, once for each process of the OMS."""
    brokers = []

    def create():
        rate_limiter = RequestRateLimiter(LocalTokenBucket(100_000))
        timeouts = RestTimeouts(response=WAIT_SECONDS)
        brokers.append(AlpacaBroker(alpaca.url, CREDENTIALS, rate_limiter=rate_limiter, timeouts=timeouts))
        return brokers[-1]

    yield create
    for broker in brokers:
        broker.close()


@pytest.fixture(scope="session")
def running_kite():
    with StandIn() as running:
        running.exchange.listings["NSE", "AAPL"] = Listing(1, "AAPL", "AAPL", tick="0.01")
        yield running


@pytest.fixture
def kite(running_kite, monkeypatch):
    """Provide a stand-in of Kite that quotes AAPL and accepts orders at any rate."""
    monkeypatch.setattr("tests.brokers.standins.kite.rest.ORDERS_PER_SECOND", 1_000_000)
    running_kite.clear()
    running_kite.exchange.quote("AAPL", "99", "101")
    return running_kite


@pytest.fixture
def create_zerodha_broker(kite):
    """Return a function that creates the adapter of Zerodha, once for each process of the OMS."""
    brokers = []

    def create():
        rate_limiter = RequestRateLimiter(LocalTokenBucket(100_000))
        timeouts = RestTimeouts(response=WAIT_SECONDS)
        broker = ZerodhaBroker(
            kite.url,
            ZERODHA_CREDENTIALS,
            rate_limiter=rate_limiter,
            query_rate_limiter=rate_limiter,
            timeouts=timeouts,
        )
        brokers.append(broker)
        return broker

    yield create
    for broker in brokers:
        broker.close()


@pytest.fixture
def unlinked(monkeypatch):
    """Let the broker link no orders, as Alpaca does for fractions."""
    table = CAPABILITIES_BY_BROKER["alpaca"]._replace(
        get_oco_support=lambda _: OcoSupport.EMULATED, can_carry_exits=lambda _: False
    )
    monkeypatch.setitem(CAPABILITIES_BY_BROKER, "alpaca", table)


@pytest.fixture
def routing(engine, unlinked):
    """Provide a connected portfolio, with AAPL quoted 99 to 101. Its broker links no orders."""
    harness = WriterHarness(engine)
    harness.publish_quote("99", "101", "100")
    harness_with_routing = RoutingHarness(harness)
    yield harness_with_routing
    # The broker was set by SQL, which the audit log does not know.
    assert set(verify_database(engine).failed) <= {"portfolio record"}
