"""The whole way: REST, the daily login, commit, session, the stand-in of Kite, and back."""

import pytest

from app.brokers.zerodha.rules.tags import build_tag
from tests.brokers.standins.kite.server import API_KEY, API_SECRET, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database


@pytest.fixture
def standin():
    with StandIn() as running:
        running.exchange.quote("RELIANCE", "1520.10", "1520.30")
        running.sessions.expire()
        yield running


@pytest.fixture
def trading(serve, standin):
    """Provide a portfolio that trades at the stand-in, without a login today."""
    with serve(broker_sessions="on", environment="development") as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        credentials = {"api_key": API_KEY, "api_secret": API_SECRET}
        body = {"name": "kite", "broker": "zerodha", "base_url": standin.url, "credentials": credentials}
        assert api.post("/broker-connections", body).status_code == 201
        share = {"exchange": "NSE", "currency": "INR", "tick_size": "0.05", "lot_size": "1"}
        assert api.put("/instruments/RELIANCE", share).status_code == 200
        api.set_quote("RELIANCE", "1520.10", "1520.30", "1520.20")
        assert api.post("/portfolios", {"name": "India", "base_currency": "INR"}).status_code == 201
        assignment = {"broker": "zerodha", "connection": "kite"}
        assert api.patch("/portfolios/India", assignment).status_code == 200
        yield api


def log_in(api, standin):
    token = standin.sessions.create_request_token()
    response = api.post("/brokers/kite/session", {"request_token": token})
    assert response.status_code == 200, response.text


def get_portfolio(api):
    return api.get("/broker-connections/kite").json()


def find_status(api, order_id):
    return api.get(f"/orders/{order_id}").json()["status"]


def place_order(api, **fields):
    body = {
        "portfolio_name": "India",
        "symbol": "RELIANCE",
        "side": "BUY",
        "type": "MARKET",
        "quantity": "10",
    }
    return api.post("/orders", {**body, **fields})


def test_orders_go_out_after_the_log_in_and_not_after_the_session_ended(trading, standin):
    wait_until(lambda: get_portfolio(trading)["status"] == "refused")
    assert "needs today's login" in get_portfolio(trading)["error"]
    refused = place_order(trading)
    assert "BROKER_NOT_CONNECTED" in refused.text
    assert "needs today's login" in refused.text
    assert not standin.exchange.orders
    log_in(trading, standin)
    wait_until(lambda: get_portfolio(trading)["status"] == "connected")
    order = place_order(trading, product="CNC", time_in_force="DAY").json()
    wait_until(lambda: trading.get(f"/orders/{order['id']}").json()["status"] == "FILLED")
    (trade,) = standin.exchange.trades
    assert (trade.order.product, trade.quantity, str(trade.price)) == ("CNC", 10, "1520.30")
    standin.sessions.expire()
    standin.ticker.cut()
    wait_until(lambda: get_portfolio(trading)["status"] == "refused")
    assert "BROKER_NOT_CONNECTED" in place_order(trading).text
    log_in(trading, standin)
    wait_until(lambda: get_portfolio(trading)["status"] == "connected")
    assert len(standin.exchange.orders) == 1


def test_kill_switch_names_the_orders_that_wait_for_the_log_in(trading, standin):
    wait_until(lambda: get_portfolio(trading)["status"] == "refused")
    log_in(trading, standin)
    wait_until(lambda: get_portfolio(trading)["status"] == "connected")
    terms = {"type": "LIMIT", "limit_price": "1400", "product": "CNC", "time_in_force": "DAY"}
    resting, filled = (place_order(trading, **terms).json()["id"] for _ in range(2))
    wait_until(lambda: {find_status(trading, order_id) for order_id in (resting, filled)} == {"ACCEPTED"})
    standin.sessions.expire()
    standin.ticker.cut()
    wait_until(lambda: get_portfolio(trading)["status"] == "refused")
    halt = {"scope": "portfolio", "name": "India", "state": "HALTED", "reason": "Stop"}
    stopped = trading.post("/kill-switch", halt).json()
    unconfirmed = {(row["order_id"], row["broker"], row["leaves"]) for row in stopped["unconfirmed"]}
    assert unconfirmed == {(resting, "zerodha", "10"), (filled, "zerodha", "10")}
    assert (stopped["pending_portfolios"], stopped["canceled"]) == (["India"], [])
    (event,) = trading.get("/events", type="cancellation.unconfirmed").json()
    assert event["data"]["orders"] == stopped["unconfirmed"]
    at_kite = next(iter(standin.exchange.list_by_tag(build_tag(filled))))
    standin.exchange.fill(at_kite.order_id, "10", "1400")  # Kite still works the orders
    log_in(trading, standin)
    wait_until(lambda: find_status(trading, resting) == "CANCELED")
    wait_until(lambda: find_status(trading, filled) == "FILLED")
    assert [position["quantity"] for position in trading.get_portfolio("India")["positions"].values()] == [
        "10"
    ]
    assert len(standin.exchange.orders) == 2
    assert "HALTED" in place_order(trading, **terms).text
