"""Working orders: limits, stops, trailing stops, times in force, cancels and replacements."""

import pytest

from tests.factories import build_ticket_body, build_trade_body

pytestmark = pytest.mark.any_database


def get_status(api, order):
    return api.get_order(order["id"])["status"]


def test_buy_limit_rests_until_the_ask_reaches_it(market):
    order = market.place_order(type="LIMIT", limit_price="95", time_in_force="GTC")
    assert (order["status"], order["leaves_quantity"]) == ("ACCEPTED", "10")
    market.set_quote("AAPL", "94", "95.01", "95")
    assert get_status(market, order) == "ACCEPTED"
    market.set_quote("AAPL", "94", "95", "95")
    filled = market.get_order(order["id"])
    assert (filled["status"], filled["average_price"]) == ("FILLED", "95.00")


def test_marketable_limit_fills_on_arrival_at_the_better_price(market):
    assert market.place_order(type="LIMIT", limit_price="105")["average_price"] == "101.00"


def test_order_fills_only_up_to_the_quoted_size(market):
    order = market.place_order(type="LIMIT", limit_price="95", time_in_force="GTC")
    market.set_quote("AAPL", "94", "95", "95", ask_size="4")
    part = market.get_order(order["id"])
    assert (part["status"], part["filled_quantity"], part["leaves_quantity"]) == (
        "PARTIALLY_FILLED",
        "4",
        "6",
    )
    market.set_quote("AAPL", "93", "94", "94", ask_size="100")
    whole = market.get_order(order["id"])
    assert (whole["status"], whole["average_price"]) == ("FILLED", "94.40")
    assert len(whole["fills"]) == 2


def test_quoted_size_is_consumed_once(market):
    market.set_quote("AAPL", "99", "101", "100", ask_size="15")
    first = market.place_order(type="LIMIT", limit_price="101", time_in_force="GTC")
    second = market.place_order(type="LIMIT", limit_price="101", time_in_force="GTC")
    assert (first["filled_quantity"], second["filled_quantity"]) == ("10", "5")


def test_stop_is_triggered_by_the_last_price_and_fills_at_the_quote(market):
    market.place_order()
    stop = market.place_order(side="SELL", type="STOP", stop_price="95", time_in_force="GTC")
    market.set_quote("AAPL", "94.9", "96", "95.5")
    assert get_status(market, stop) == "ACCEPTED"
    market.set_quote("AAPL", "94.5", "96", "95")
    sold = market.get_order(stop["id"])
    assert (sold["status"], sold["average_price"]) == ("FILLED", "94.50")
    assert "TRIGGERED" in [event["to_status"] for event in sold["events"]]


def test_triggered_stop_limit_rests_at_its_limit(market):
    market.place_order()
    order = market.place_order(
        side="SELL", type="STOP_LIMIT", stop_price="95", limit_price="94", time_in_force="GTC"
    )
    market.set_quote("AAPL", "90", "91", "90.5")
    assert get_status(market, order) == "TRIGGERED"
    market.set_quote("AAPL", "94.2", "95", "94.5")
    assert market.get_order(order["id"])["average_price"] == "94.20"


def test_trailing_stop_follows_the_price_and_triggers(market):
    market.place_order(symbol="TRL")
    market.set_quote("TRL", "99.5", "100.5", "100")
    order = market.place_order(
        symbol="TRL", side="SELL", type="TRAILING_STOP", trail_amount="2", time_in_force="GTC"
    )
    for last in ("101", "100.5", "103.25", "101.30"):
        market.set_quote("TRL", last, last, last)
    waiting = market.get_order(order["id"])
    assert (waiting["status"], waiting["trail_level"]) == ("ACCEPTED", "101.25")
    market.set_quote("TRL", "101.25", "101.25", "101.25")
    assert market.get_order(order["id"])["status"] == "FILLED"


def test_ioc_fills_the_available_size_and_cancels_the_rest(market):
    market.set_quote("AAPL", "99", "101", "100", ask_size="4")
    order = market.place_order(type="LIMIT", limit_price="101", time_in_force="IOC")
    assert (order["status"], order["filled_quantity"], order["leaves_quantity"]) == ("CANCELED", "4", "0")


def test_fok_fills_all_or_nothing(market):
    market.set_quote("AAPL", "99", "101", "100", ask_size="4")
    order = market.place_order(type="LIMIT", limit_price="101", time_in_force="FOK")
    assert (order["status"], order["filled_quantity"]) == ("CANCELED", "0")


def test_order_can_be_cancelled_once(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    response = market.post(f"/orders/{order['id']}/cancel", {"reason": "Not today"})
    assert (response.status_code, response.json()["status"]) == (200, "CANCELED")
    moves = [event["to_status"] for event in market.get_order(order["id"])["events"]]
    assert moves == ["INITIALIZED", "SUBMITTED", "ACCEPTED", "PENDING_CANCEL", "CANCELED"]
    again = market.post(f"/orders/{order['id']}/cancel", {})
    assert (again.status_code, again.json()["type"]) == (409, "urn:slackoms:problem/order-is-final")


def test_cancel_needs_no_body(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    response = market.service.client.post(
        f"/api/v1/orders/{order['id']}/cancel", headers={"X-API-Key": market.key}
    )
    assert response.status_code == 200


def test_repeated_cancel_returns_the_same_answer(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    responses = [market.post(f"/orders/{order['id']}/cancel", {}, {"Idempotency-Key": "C"}) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].json() == responses[1].json()
    assert responses[1].headers["Idempotent-Replayed"] == "true"


def test_filled_order_cannot_be_cancelled(market):
    order = market.place_order()
    assert market.post(f"/orders/{order['id']}/cancel", {}).status_code == 409


def test_replacement_replaces_the_original_order(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC", client_order_id="first")
    response = market.patch(f"/orders/{order['id']}", {"limit_price": "91", "quantity": "20"})
    assert response.status_code == 200, response.text
    successor = response.json()
    assert (successor["status"], successor["replaces"]) == ("ACCEPTED", order["id"])
    assert (successor["limit_price"], successor["quantity"]) == ("91.00", "20")
    old = market.get_order(order["id"])
    assert (old["status"], old["replaced_by"]) == ("REPLACED", successor["id"])
    assert [event["to_status"] for event in old["events"]][-2:] == ["PENDING_REPLACE", "REPLACED"]
    assert [row["id"] for row in market.get("/orders", open="true").json()] == [successor["id"]]
    assert market.patch(f"/orders/{order['id']}", {"quantity": "5"}).status_code == 409


def place_partly_filled(market):
    order = market.place_order(type="LIMIT", limit_price="95", time_in_force="GTC")
    market.set_quote("AAPL", "94", "95", "95", ask_size="4")
    market.set_quote("AAPL", "99", "101", "100")
    return order


def test_replacement_carries_over_the_filled_quantity(market):
    order = place_partly_filled(market)
    successor = market.patch(f"/orders/{order['id']}", {"quantity": "6"}).json()
    assert (successor["filled_quantity"], successor["leaves_quantity"]) == ("4", "2")
    assert successor["status"] == "PARTIALLY_FILLED"
    market.set_quote("AAPL", "94", "95", "95")
    whole = market.get_order(successor["id"])
    assert (whole["status"], whole["filled_quantity"], whole["average_price"]) == ("FILLED", "6", "95.00")
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "6"


@pytest.mark.parametrize("quantity", ["4", "3"])
def test_replacement_down_to_the_filled_quantity_is_filled(market, quantity):
    order = place_partly_filled(market)
    successor = market.patch(f"/orders/{order['id']}", {"quantity": quantity}).json()
    assert (successor["status"], successor["filled_quantity"], successor["leaves_quantity"]) == (
        "FILLED",
        "4",
        "0",
    )
    assert market.get("/orders", open="true").json() == []


def test_replacement_denied_by_risk_leaves_the_order_working(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    response = market.patch(f"/orders/{order['id']}", {"quantity": "2000000"})
    assert (response.status_code, response.json()["denial"]["code"]) == (422, "MAX_ORDER_QUANTITY")
    assert get_status(market, order) == "ACCEPTED"
    assert market.get_order(response.json()["order_id"])["status"] == "DENIED"


def test_replacement_may_fill_at_once(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    assert market.patch(f"/orders/{order['id']}", {"limit_price": "101"}).json()["status"] == "FILLED"


def test_invalid_replacement_changes_nothing(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    for changes in ({}, {"stop_price": "5"}, {"time_in_force": "GTD"}):
        assert market.patch(f"/orders/{order['id']}", changes).status_code == 422
    assert get_status(market, order) == "ACCEPTED"


def test_cancel_all_cancels_only_matching_orders(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC", portfolio_name="Income")
    ended = [market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")["id"] for _ in range(3)]
    response = market.post("/orders:cancel-all", {"portfolio_name": "growth"})
    assert [row["id"] for row in response.json()["orders"]] == ended
    assert {row["status"] for row in response.json()["orders"]} == {"CANCELED"}
    assert get_status(market, order) == "ACCEPTED"
    assert len(market.post("/orders:cancel-all", {}).json()["orders"]) == 1
    assert market.post("/orders:cancel-all", {"portfolio_name": "Nowhere"}).status_code == 404


def test_orders_are_listed_newest_first_in_pages(market):
    ids = [market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")["id"] for _ in range(5)]
    first = market.get("/orders", limit=2)
    assert [row["id"] for row in first.json()] == ids[:2:-1]
    cursor = first.links["next"]["url"].partition("cursor=")[2]
    assert [order["id"] for order in market.get("/orders", limit=2, cursor=cursor).json()] == ids[2:0:-1]


@pytest.mark.parametrize(
    ("asked", "expected_ids"),
    [
        ({"status": "FILLED"}, 1),
        ({"open": "true"}, 1),
        ({"open": "false"}, 1),
        ({"side": "SELL"}, 0),
        ({"symbol": "aapl"}, 2),
        ({"portfolio": "GROWTH"}, 2),
        ({"strategy": "S"}, 1),
        ({"user": "U1"}, 1),
        ({"client_order_id": "mine"}, 1),
        ({"to_": "2020-01-01T00:00:00Z"}, 0),
        ({"from_": "2020-01-01T00:00:00Z"}, 2),
    ],
)
def test_orders_are_filtered_by_their_fields(market, asked, expected_ids):
    market.place_order(strategy="S", user_id="U1")
    market.place_order(type="LIMIT", limit_price="90", client_order_id="mine")
    assert len(market.get("/orders", **asked).json()) == expected_ids


def test_trades_of_a_person_include_the_fills_of_their_orders(market):
    market.claim_workspace("TFILLS")
    market.record_trade()
    person = {"X-On-Behalf-Of": "slack:TFILLS:U1"}
    reported = market.post("/trade", build_trade_body(), person).json()["trade"]
    order = market.post("/orders", build_ticket_body(), person).json()
    (fill,) = market.get_order(order["id"])["fills"]
    expected = [fill["trade_id"], reported["trade_id"]]
    assert [trade["trade_id"] for trade in market.list_trades(actor="slack:TFILLS:U1")] == expected
    assert market.list_trades(actor="slack:TFILLS:U2") == []


def test_position_is_closed_at_market(market):
    market.place_order(quantity="10")
    part = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": "4"})
    assert (part.status_code, part.json()["side"], part.json()["filled_quantity"]) == (201, "SELL", "4")
    closing_response = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert closing_response.json()["filled_quantity"] == "6"
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"
    again = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert (again.status_code, again.json()["type"]) == (422, "urn:slackoms:problem/nothing-to-close")


def test_preview_changes_nothing(market):
    response = market.post("/orders:preview", {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY",
                                           "quantity": "10", "type": "MARKET"})  # fmt: skip
    assert response.status_code == 200, response.text
    preview = response.json()
    assert (preview["expected_price"], preview["expected_value"]) == ("101.00", "1010.00")
    assert (preview["cash_after"], preview["position_after"]) == ("998990.00", "10")
    assert (preview["would_pass"], preview["denial"]) == (True, None)
    assert {check["check"] for check in preview["checks"]} >= {"kill_switch", "buying_power", "price_collar"}
    assert market.get("/orders").json() == []
    assert market.get_portfolio()["total_trades"] == 0


def test_preview_shows_the_denial(market):
    body = {
        "portfolio_name": "Growth",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "2000000",
        "type": "MARKET",
    }
    preview = market.post("/orders:preview", body).json()
    assert (preview["would_pass"], preview["denial"]["code"]) == (False, "MAX_ORDER_QUANTITY")


def test_portfolio_participation_and_slippage_apply_to_its_fills(api):
    settings = {"participation": "0.5", "slippage": "100"}
    assert api.post("/portfolios", {"name": "Slow"} | settings).status_code == 201
    assert api.post("/portfolios", {"name": "Fast"}).status_code == 201
    api.set_quote("AAPL", "99", "100", "100", ask_size="10", bid_size="10")
    slow = api.place_order(portfolio_name="Slow", quantity="10", time_in_force="IOC")
    fast = api.place_order(portfolio_name="Fast", quantity="10", time_in_force="IOC")
    assert (slow["filled_quantity"], slow["average_price"]) == ("5", "101.00")
    assert (fast["filled_quantity"], fast["average_price"]) == ("10", "100.00")
