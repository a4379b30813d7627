"""The whole way: REST, commit, session, the stand-in of Alpaca over HTTP and WebSocket, and back."""

import pytest

from app.identity.rules.access import Role
from app.risk.rules.limits import REQUIRED_LIMITS
from tests.access.api_operations import Members
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
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
    [unconfirmed] = stopped["unconfirmed"]
    assert (unconfirmed["order_id"], unconfirmed["broker"], unconfirmed["leaves"]) == (
        working["id"],
        "alpaca",
        "10",
    )
    assert (stopped["pending_portfolios"], stopped["canceled"]) == (["Growth"], [])
    events = trading.get("/events", type="cancellation.unconfirmed").json()
    assert [event["data"]["orders"] for event in events] == [[unconfirmed]]
    standin.faults.clear()
    wait_until(lambda: trading.get_order(working["id"])["status"] == "CANCELED")
    assert trading.get_portfolio()["positions"]["AAPL"]["quantity"] == "10"
    wait_until(lambda: trading.get("/broker-connections/env-alpaca").json()["last_event_at"])
    shown = trading.get("/broker-connections/env-alpaca").json()
    assert shown["requests_left"] is not None
    assert SECRET_KEY not in str(shown)


LIVE = {"name": "live", "broker": "alpaca", "live": True, "account": "7001"}
SMALL_VALUES = {"SHORT_SELLING": "1", "PRICE_COLLAR_PERCENT": "10", "MAX_DRAWDOWN": "50"}


def set_needed_limits(trading):
    for code in REQUIRED_LIMITS:
        limit = {"scope": "tenant", "code": code.value, "value": SMALL_VALUES.get(code.value, "100000")}
        response = trading.put("/limits", limit)
        assert response.status_code == 200, response.text


def test_live_connection_trades_once_a_second_person_has_enabled_it(trading, standin):
    members = Members(trading.service, trading)
    first = members.headers(Role.ADMIN)
    second = first | {"X-On-Behalf-Of": f"slack:{members.team}:U2"}
    trading.post("/users", {"person": second["X-On-Behalf-Of"], "name": "Second", "role": "admin"})
    with StandIn() as live:
        live.exchange.account_number = "7001"
        live.exchange.quote("AAPL", "99", "101")
        credentials = {"key_id": KEY_ID, "secret_key": SECRET_KEY}
        created = trading.post(
            "/broker-connections", LIVE | {"base_url": live.url, "credentials": credentials}, first
        )
        assert (created.status_code, created.json()["status"]) == (201, "awaiting_live")
        trading.open_portfolio("Live")
        response = trading.patch("/portfolios/Live", {"broker": "alpaca", "connection": "live"}, first)
        assert response.status_code == 200, response.text
        denied = trading.post_order(portfolio_name="Live", quantity="10").json()
        assert (denied["type"].rpartition("/")[2], live.exchange.orders) == ("order-denied", {})
        set_needed_limits(trading)
        assert trading.post("/broker-connections/live:enable-live", None, second).status_code == 200
        wait_until(lambda: trading.get("/broker-connections/live").json()["status"] == "connected")
        bought = trading.post_order(portfolio_name="Live", quantity="10").json()
        wait_until(lambda: trading.get_order(bought["id"])["status"] == "FILLED")
        assert [int(execution.qty) for execution in live.exchange.executions] == [10]
        assert standin.exchange.executions == []
