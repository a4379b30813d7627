"""The whole way: REST, commit, session, the stand-in of Alpaca over HTTP and WebSocket, and back."""

import pytest

from tests.brokers.standins.alpaca.server import SECRET_KEY, StandIn
from tests.support.alpaca_portfolio import trading_at_alpaca
from tests.support.conditions import wait_until

pytestmark = pytest.mark.any_database


@pytest.fixture
def standin():
    with StandIn() as running:
        running.exchange.quote("AAPL", "99", "101")
        yield running


@pytest.fixture
def trading(serve, standin):
    with trading_at_alpaca(serve, standin) as api:
        yield api


def test_orders_trade_at_alpaca_and_are_booked_here(trading, standin):
    bought = trading.place_order(quantity="10")
    assert bought["status"] == "SUBMITTED"
    filled = wait_until(lambda: (order := trading.get_order(bought["id"]))["status"] == "FILLED" and order)
    assert [fill["quantity"] for fill in filled["fills"]] == ["10"]
    resting = trading.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    wait_until(lambda: trading.get_order(resting["id"])["status"] == "ACCEPTED")
    assert trading.post(f"/orders/{resting['id']}/cancel", {}).status_code == 200
    wait_until(lambda: trading.get_order(resting["id"])["status"] == "CANCELED")
    working = trading.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    wait_until(lambda: trading.get_order(working["id"])["status"] == "ACCEPTED")
    halt = {"scope": "tenant", "state": "HALTED", "reason": "Stop"}
    standin.faults.add("cut_before", method="DELETE", times=100_000)
    stopped = trading.post("/kill-switch", halt).json()
    [left] = stopped["unconfirmed"]
    assert (left["order_id"], left["broker"], left["leaves"]) == (working["id"], "alpaca", "10")
    assert (stopped["unsettled"], stopped["canceled"]) == (["Growth"], [])
    events = trading.get("/events", type="cancellation.unconfirmed").json()
    assert [event["data"]["orders"] for event in events] == [[left]]
    standin.faults.clear()
    wait_until(lambda: trading.get_order(working["id"])["status"] == "CANCELED")
    assert trading.get_portfolio()["positions"]["AAPL"]["quantity"] == "10"
    wait_until(lambda: trading.get("/broker-connections/env-alpaca").json()["last_event_at"])
    shown = trading.get("/broker-connections/env-alpaca").json()
    assert shown["requests_left"] is not None
    assert SECRET_KEY not in str(shown)
