"""The whole way: REST, commit, session, the stand-in of Alpaca over HTTP and WebSocket, and back."""

import time

import pytest

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database
WAIT_SECONDS = 60.0


def wait_for(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.02)
    return found


@pytest.fixture
def standin():
    with StandIn() as running:
        running.exchange.quote("AAPL", "99", "101")
        yield running


@pytest.fixture
def trading(serve, standin):
    """Provide a portfolio that trades at the stand-in over the connection of the environment."""
    settings = {"broker_sessions": "on", "environment": "development", "alpaca_base_url": standin.url}
    with serve(**settings, alpaca_api_key=KEY_ID, alpaca_api_secret=SECRET_KEY) as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        api.quote("AAPL", "99", "101", "100")
        wait_for(lambda: status(api) == "connected")
        assert api.post("/portfolios", {"name": "Growth"}).status_code == 201
        to_alpaca = {"broker": "alpaca", "connection": "env-alpaca"}
        assert api.patch("/portfolios/Growth", to_alpaca).status_code == 200
        yield api


def status(api):
    found = api.get("/broker-connections").json()
    return found[0]["status"] if found else None


def test_orders_trade_at_alpaca_and_are_booked_here(trading, standin):
    bought = trading.order(quantity="10")
    assert bought["status"] == "SUBMITTED"
    filled = wait_for(lambda: (found := trading.found(bought["id"]))["status"] == "FILLED" and found)
    assert [fill["quantity"] for fill in filled["fills"]] == ["10"]
    resting = trading.order(type="LIMIT", limit_price="90", time_in_force="GTC")
    wait_for(lambda: trading.found(resting["id"])["status"] == "ACCEPTED")
    assert trading.post(f"/orders/{resting['id']}/cancel", {}).status_code == 200
    wait_for(lambda: trading.found(resting["id"])["status"] == "CANCELED")
    working = trading.order(type="LIMIT", limit_price="90", time_in_force="GTC")
    wait_for(lambda: trading.found(working["id"])["status"] == "ACCEPTED")
    halt = {"scope": "tenant", "state": "HALTED", "reason": "Stop"}
    standin.faults.add("cut_before", method="DELETE", times=100_000)
    stopped = trading.post("/kill-switch", halt).json()
    [left] = stopped["unconfirmed"]
    assert (left["order_id"], left["broker"], left["leaves"]) == (working["id"], "alpaca", "10")
    assert (stopped["unsettled"], stopped["canceled"]) == (["Growth"], [])
    events = trading.get("/events", type="cancellation.unconfirmed").json()
    assert [event["data"]["orders"] for event in events] == [[left]]
    standin.faults.clear()
    wait_for(lambda: trading.found(working["id"])["status"] == "CANCELED")
    assert trading.portfolio()["positions"]["AAPL"]["quantity"] == "10"
    wait_for(lambda: trading.get("/broker-connections/env-alpaca").json()["last_event_at"])
    shown = trading.get("/broker-connections/env-alpaca").json()
    assert shown["requests_left"] is not None
    assert SECRET_KEY not in str(shown)
