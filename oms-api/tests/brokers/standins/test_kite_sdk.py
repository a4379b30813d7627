"""The official SDK drives the stand-in of Kite, so that it is known to speak the protocol."""

import warnings

import pytest

from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET, StandIn
from tests.support.conditions import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of Twisted and autobahn
    from kiteconnect import KiteConnect, KiteTicker  # type: ignore[import-untyped]
    from kiteconnect.exceptions import (  # type: ignore[import-untyped]
        InputException,
        TokenException,
    )
    from twisted.internet import reactor


@pytest.fixture(scope="module")
def running_kite():
    with StandIn() as kite:
        yield kite


@pytest.fixture
def kite(running_kite):
    """Start each test with a new account."""
    running_kite.clear()
    running_kite.exchange.quote("RELIANCE", "1520.10", "1520.30")
    return running_kite


@pytest.fixture
def client(kite):
    return KiteConnect(API_KEY, ACCESS_TOKEN, root=kite.url)


def place_order(client, **fields):
    order = {
        "variety": "regular", "exchange": "NSE", "tradingsymbol": "RELIANCE", "transaction_type": "BUY",
        "quantity": 10, "product": "CNC", "order_type": "LIMIT", "price": 1500.05, "validity": "DAY",
    }  # fmt: skip
    return client.place_order(**{**order, **fields})


def test_log_in_creates_a_session_that_replaces_the_last_one(kite):
    client = KiteConnect(API_KEY, root=kite.url)
    session = client.generate_session(kite.sessions.create_request_token(), api_secret=API_SECRET)
    assert client.profile()["user_id"] == session["user_id"]
    with pytest.raises(TokenException):
        KiteConnect(API_KEY, ACCESS_TOKEN, root=kite.url).profile()
    with pytest.raises(TokenException, match="invalid or has expired"):
        client.generate_session("another", api_secret=API_SECRET)


def test_order_is_placed_found_by_its_tag_and_cancelled(client):
    order_id = place_order(client, tag="O1")
    (body,) = client.orders()
    assert (body["order_id"], body["tag"], body["status"]) == (order_id, "O1", "OPEN")
    assert (body["price"], body["order_timestamp"].year > 2000) == (1500.05, True)
    client.cancel_order("regular", order_id)
    assert client.order_history(order_id)[-1]["status"] == "CANCELLED"
    with pytest.raises(Exception, match="CANCELLED"):
        client.cancel_order("regular", order_id)


def test_market_order_with_protection_fills_and_makes_a_position(client):
    order_id = place_order(client, order_type="MARKET", price=None, market_protection=-1)
    (trade,) = client.order_trades(order_id)
    assert (trade["quantity"], trade["average_price"]) == (10, 1520.3)
    assert client.trades()[0]["trade_id"] == trade["trade_id"]
    (position,) = client.positions()["net"]
    assert (position["tradingsymbol"], position["quantity"], position["product"]) == ("RELIANCE", 10, "CNC")
    assert client.margins("equity")["available"]["live_balance"] == 1_000_000 - 15_203


def test_market_order_without_protection_is_rejected(client):
    order_id = place_order(client, order_type="MARKET", price=None)
    assert client.order_history(order_id)[-1]["status"] == "REJECTED"
    assert client.holdings() == []


def test_refusals_have_type_and_message(client):
    with pytest.raises(InputException, match="tag"):
        place_order(client, tag="has a space")
    with pytest.raises(InputException, match="multiple of tick size"):
        place_order(client, price=1500.01)


def test_instruments_are_dumped(client):
    (body,) = [item for item in client.instruments("NSE") if item["tradingsymbol"] == "RELIANCE"]
    assert (body["tick_size"], body["lot_size"], body["segment"]) == (0.05, 1, "NSE")
    assert {item["exchange"] for item in client.instruments()} == {"NSE", "BSE", "NFO", "CDS"}


def test_charges_are_computed(client):
    terms = {
        "order_id": "1", "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY",
        "variety": "regular", "product": "CNC", "order_type": "MARKET", "quantity": 1, "average_price": 560,
    }  # fmt: skip
    (note,) = client.get_virtual_contract_note([terms])
    assert note["charges"]["transaction_tax"] == 0.56
    assert note["charges"]["total"] > note["charges"]["gst"]["total"] > 0


def test_ticker_reports_every_status_of_an_order(kite, client):
    updates = []
    ticker = KiteTicker(API_KEY, ACCESS_TOKEN, root=kite.url.replace("http", "ws", 1) + "/")
    ticker.on_order_update = lambda _, update: updates.append((update["status"], update["filled_quantity"]))
    ticker.connect(threaded=True)  # Twisted's reactor runs once in a process, so this is the only such test
    wait_until(lambda: kite.ticker.listeners)
    place_order(client, price=1530)
    wait_until(lambda: len(updates) >= 3)
    assert updates == [("PUT ORDER REQ RECEIVED", 0), ("OPEN", 0), ("COMPLETE", 10)]
    reactor.callFromThread(ticker.close)
    wait_until(lambda: not kite.ticker.listeners)
    reactor.callFromThread(reactor.stop)  # type: ignore[misc]  # a module in its types
    ticker.websocket_thread.join(30)
