"""The instruments of a broker are loaded for its tenants. Values that a person set do not change."""

from functools import partial

import pytest

from app.brokers.adapters import INSTRUMENT_DUMPS
from app.brokers.errors import BrokerUnavailable
from app.brokers.service.instrument_loader import InstrumentLoader
from app.clock import utc_now
from app.database import connect_engine
from app.orders.queries.symbol_usage import load_currencies_in_use
from app.webhooks.rules.addresses import AddressPolicy
from tests.brokers.standins.kite.server import API_KEY, API_SECRET, StandIn
from tests.brokers.standins.kite.values import Listing
from tests.support.conditions import WAIT_SECONDS
from tests.support.jobs import EndlessLease

pytestmark = pytest.mark.any_database
POLICY = AddressPolicy(allows_loopback=True)


@pytest.fixture(scope="module")
def kite():
    with StandIn() as running:
        yield running


@pytest.fixture
def load_instruments(api, service, kite, monkeypatch):
    """Connect the tenant to the stand-in, and return a function that loads."""
    monkeypatch.setattr(service.app.state.broker_connections, "policy", POLICY)
    credentials = {"api_key": API_KEY, "api_secret": API_SECRET}
    body = {"name": "kite", "broker": "zerodha", "base_url": kite.url, "credentials": credentials}
    assert api.post("/broker-connections", body).status_code == 201
    engine = connect_engine(service.database_url, 1, WAIT_SECONDS, tenant_scoped=True)
    dumps = {"zerodha": partial(fetch_from_stand_in, kite)}
    loader = InstrumentLoader(engine, dumps, POLICY, load_currencies_in_use, utc_now)
    yield lambda: loader.load(EndlessLease())
    engine.dispose()


def fetch_from_stand_in(kite, base_url):
    """Fetch the dump of the stand-in, which must answer. Connections of other tests have no dump."""
    if base_url != kite.url:
        raise BrokerUnavailable("It is the address of another test.")
    try:
        return INSTRUMENT_DUMPS["zerodha"](base_url)
    except BrokerUnavailable as error:
        raise AssertionError("the stand-in did not answer") from error


def get_terms(api, symbol):
    body = api.get(f"/instruments/{symbol}").json()
    return [body[name] for name in ("listed", "exchange", "currency", "tick_size", "lot_size")]


def test_instruments_are_loaded_and_follow_the_broker(api, load_instruments, kite):
    load_instruments()
    assert get_terms(api, "RELIANCE") == [True, "NSE", "INR", "0.05", "1"]
    assert get_terms(api, "M&M")[:2] == [True, "NSE"]
    assert get_terms(api, "NIFTY26DECFUT")[0] is False  # derivatives are not loaded
    kite.exchange.listings["NSE", "INFY"] = Listing(408065, "INFY", "INFOSYS", tick="0.1")
    load_instruments()
    assert get_terms(api, "INFY") == [True, "NSE", "INR", "0.1", "1"]


def test_terms_that_a_person_set_and_aliases_are_left_alone(api, load_instruments):
    set_terms = {
        "exchange": "BSE",
        "currency": "INR",
        "tick_size": "1",
        "lot_size": "10",
        "aliases": ["INFY"],
    }
    assert api.put("/instruments/SBIN", set_terms).status_code == 200
    load_instruments()
    assert get_terms(api, "SBIN") == [True, "BSE", "INR", "1", "10"]
    assert api.get("/instruments/INFY").json()["symbol"] == "SBIN"


def test_currency_of_a_position_is_kept(api, load_instruments):
    assert api.post("/portfolios", {"name": "Growth"}).status_code == 201
    bought = api.post_trade(portfolio_name="Growth", symbol="RELIANCE")
    assert bought.status_code == 201, bought.text
    load_instruments()
    assert get_terms(api, "RELIANCE")[0] is False
