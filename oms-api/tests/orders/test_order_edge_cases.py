"""Orders released by another order, and requests that cannot be fulfilled."""

from datetime import datetime, timedelta

from app.market_data.sources.simulated import SimulatedSource
from app.orders.errors import OrderIsFinal
from app.orders.rules.values import Status
from app.timestamps import format_timestamp
from tests.factories import build_ticket_body
from tests.orders.requests import RESTING_LIMIT_ORDER, set_switch
from tests.orders.writer_harness import START, build_ticket
from tests.risk.risk_requests import put_limit
from tests.support.conditions import wait_until

AT_LIMIT = {"type": "LIMIT", "limit_price": "95", "time_in_force": "GTC"}


def place_pair(api, kind, *tickets):
    orders = [build_ticket_body(**changes) for changes in tickets]
    return api.post("/orders:group", {"kind": kind, "orders": orders})


def test_oto_child_of_an_entry_filled_while_reducing_is_sent_after_reducing(market):
    entry, follower = place_pair(
        market, "OTO", AT_LIMIT, {**RESTING_LIMIT_ORDER, "limit_price": "80"}
    ).json()["orders"]
    set_switch(market, "REDUCING")
    market.set_quote("AAPL", "94", "95", "95")
    assert market.get_order(entry["id"])["status"] == "FILLED"
    assert market.get_order(follower["id"])["status"] == "HELD"
    set_switch(market, "ACTIVE")
    wait_until(lambda: market.get_order(follower["id"])["status"] == "ACCEPTED")


def test_oto_child_keeps_its_quantity_when_the_parent_is_replaced(market):
    entry, follower = place_pair(market, "OTO", AT_LIMIT, {**RESTING_LIMIT_ORDER, "quantity": "4"}).json()[
        "orders"
    ]
    changed = market.patch(f"/orders/{entry['id']}", {"quantity": "7"}).json()
    assert market.get_order(follower["id"])["quantity"] == "4"
    assert market.get_order(follower["id"])["parent_id"] == changed["id"]


def test_oto_child_released_by_a_replacement_matches_the_current_quote(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    entry, follower = harness.place_pair(
        "OTO", build_ticket(type="LIMIT", limit_price="101"), build_ticket(quantity="2", side="SELL")
    )
    assert harness.get_order(entry).status is Status.PARTIALLY_FILLED
    harness.replace(entry, quantity="4")
    assert harness.get_order(follower).status is Status.FILLED


def test_close_never_crosses_zero(market):
    market.place_order(quantity="10")
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": "10.5"}
    response = market.post("/positions:close", body)
    assert (response.status_code, response.json()["type"]) == (422, "urn:slackoms:problem/more-than-held")
    assert response.json()["errors"][0]["field"] == "quantity"
    assert market.post("/positions:close", {**body, "quantity": "10"}).status_code == 201


def test_orders_of_a_group_need_distinct_client_order_ids(market):
    response = place_pair(
        market,
        "OCO",
        {**AT_LIMIT, "client_order_id": "one"},
        {**RESTING_LIMIT_ORDER, "client_order_id": "one"},
    )
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == "orders.1.client_order_id"


def test_preview_and_order_deny_a_notional_below_one_lot(market):
    ticket_body = build_ticket_body(quantity=None, notional="0.0000001")
    previewed = market.post("/orders:preview", ticket_body).json()
    placed = market.post("/orders", ticket_body).json()
    assert previewed["denial"] == placed["denial"]


def test_repeated_denied_order_returns_the_denial(market):
    ticket_body = build_ticket_body(quantity="2000000", client_order_id="large")
    first, second = market.post("/orders", ticket_body), market.post("/orders", ticket_body)
    assert first.json()["order_id"] == second.json()["order_id"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


def test_expired_order_cannot_be_replaced_or_cancelled(harness):
    until = format_timestamp(START + timedelta(minutes=5))
    orders = [harness.place_order(**AT_LIMIT | {"time_in_force": "GTD"}, expires_at=until) for _ in range(2)]
    harness.now = START + timedelta(minutes=5)
    outcomes = [harness.replace(orders[0], limit_price="101"), harness.cancel(orders[1])]
    assert all(isinstance(outcome, OrderIsFinal) for outcome in outcomes)
    assert [harness.get_order(order).status for order in orders] == [Status.EXPIRED] * 2


def place_half_filled_bracket(market):
    market.set_quote("AAPL", "99", "101", "100", ask_size="4")
    legs = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
    order = market.place_order(**AT_LIMIT | {"limit_price": "101"}, **legs)
    assert order["status"] == "PARTIALLY_FILLED"
    return order


def test_position_close_ends_its_bracket_and_entry(market):
    order = place_half_filled_bracket(market)
    closed = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert (closed.status_code, closed.json()["status"]) == (201, "FILLED")
    ended = market.get_order(order["id"])
    assert {ended["status"], *(leg["status"] for leg in ended["legs"])} == {"CANCELED"}
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"


def test_close_denied_by_risk_leaves_exits_unchanged(market):
    order = place_half_filled_bracket(market)
    set_switch(market, "HALTED")
    closed = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert closed.json()["denial"]["code"] == "HALTED"
    assert [leg["status"] for leg in market.get_order(order["id"])["legs"]] == ["ACCEPTED"] * 2


def test_repeated_gtd_order_after_expiry_returns_the_same_order(market):
    begun = market.place_order()["created_at"]
    ticket_body = build_ticket_body(**AT_LIMIT | {"time_in_force": "GTD"}, client_order_id="dated")
    end = format_timestamp(datetime.fromisoformat(begun) + timedelta(seconds=2))
    first = market.post("/orders", {**ticket_body, "expires_at": end}).json()

    def is_expired():
        market.service.app.state.job_runner.run_due()
        return market.get_order(first["id"])["status"] == "EXPIRED"

    wait_until(is_expired)
    again = market.post("/orders", {**ticket_body, "expires_at": end})
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, first["id"], "EXPIRED")
    late = market.post("/orders", {**ticket_body, "expires_at": end, "client_order_id": "late"})
    assert [error["code"] for error in late.json()["errors"]] == ["in_the_past"]


def test_enumerated_values_are_case_insensitive(market):
    order = market.place_order(side="buy", type="limit", limit_price="90", time_in_force="gtc")
    assert (order["side"], order["type"], order["time_in_force"]) == ("BUY", "LIMIT", "GTC")


def test_oto_child_denied_at_release_is_reported_as_denied(market):
    buying = {**RESTING_LIMIT_ORDER, "side": "BUY", "quantity": "3000"}
    follower = place_pair(market, "OTO", AT_LIMIT, buying).json()["orders"][1]
    put_limit(market, "MAX_ORDER_QUANTITY", "2000")
    market.set_quote("AAPL", "94", "95", "95")
    assert market.get_order(follower["id"])["denial"]["code"] == "MAX_ORDER_QUANTITY"
    order_ids = [event["data"]["order_id"] for event in market.get("/events", type="risk.denied").json()]
    assert order_ids == [follower["id"]]


def test_replaced_waiting_leg_is_risk_checked_at_its_release(market):
    order = market.place_order(**AT_LIMIT, product="CNC", take_profit={"limit_price": "120"})
    path = f"/orders/{order['legs'][0]['id']}"
    changed = market.patch(path, {"limit_price": "119"})
    assert (changed.status_code, changed.json()["status"]) == (200, "HELD")
    market.set_quote("AAPL", "94", "95", "95")
    assert market.get_order(changed.json()["id"])["status"] == "ACCEPTED"


def test_quote_source_receives_the_needed_symbols(api, monkeypatch):
    followed = []
    monkeypatch.setattr(SimulatedSource, "follow", lambda _, symbols: followed.append(symbols))
    api.place_order(symbol="NVDA", **RESTING_LIMIT_ORDER)
    wait_until(lambda: followed and "NVDA" in followed[-1])
