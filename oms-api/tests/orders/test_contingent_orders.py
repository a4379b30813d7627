"""Bracket, OCO and OTO: the effect of a fill or the end of one order on the others."""

import pytest

from tests.factories import build_ticket_body

pytestmark = pytest.mark.any_database

GTC = {"time_in_force": "GTC"}


def place_bracket(api, **changes):
    legs = {"take_profit": {"limit_price": "55"}, "stop_loss": {"stop_price": "48"}}
    ticket = {"symbol": "BRK", "quantity": "100", "type": "LIMIT", "limit_price": "50", **GTC, **legs}
    return api.place_order(**(ticket | changes))


@pytest.fixture
def api_with_quote(api):
    """Provide a desk at which BRK is quoted above the entry of the bracket."""
    api.set_quote("BRK", "51", "52", "51")
    return api


def fill_entry(api, quantity, price):
    api.set_quote("BRK", price, price, price, ask_size=quantity)


def get_leg(api, order, role):
    return next(leg for leg in api.get_order(order["id"])["legs"] if leg["role"] == role)


def test_bracket_legs_are_held_until_the_entry_fills(api_with_quote):
    order = place_bracket(api_with_quote)
    assert (order["status"], order["role"]) == ("ACCEPTED", "entry")
    assert [(leg["type"], leg["side"], leg["status"]) for leg in order["legs"]] == [
        ("LIMIT", "SELL", "HELD"),
        ("STOP", "SELL", "HELD"),
    ]
    assert {leg["parent_id"] for leg in order["legs"]} == {order["id"]}
    assert api_with_quote.get_order(order["legs"][0]["id"])["status"] == "HELD"


def test_documented_bracket_example_runs_as_described(api_with_quote):
    order = place_bracket(api_with_quote)
    fill_entry(api_with_quote, "40", "50")
    assert get_leg(api_with_quote, order, "take_profit")["quantity"] == "40"
    fill_entry(api_with_quote, "20", "49.90")
    target, stop = get_leg(api_with_quote, order, "take_profit"), get_leg(api_with_quote, order, "stop_loss")
    assert (target["status"], target["quantity"], stop["quantity"]) == ("ACCEPTED", "60", "60")
    api_with_quote.set_quote("BRK", "55", "55", "55", bid_size="25")
    entry = api_with_quote.get_order(order["id"])
    assert (entry["status"], entry["filled_quantity"], entry["leaves_quantity"]) == ("CANCELED", "60", "0")
    assert get_leg(api_with_quote, order, "take_profit")["filled_quantity"] == "25"
    assert get_leg(api_with_quote, order, "stop_loss")["leaves_quantity"] == "35"
    assert api_with_quote.get_portfolio()["realized_pnl"] == "125.83333333"
    api_with_quote.set_quote("BRK", "47.50", "47.60", "47.50")
    stopped = get_leg(api_with_quote, order, "stop_loss")
    assert (stopped["status"], stopped["filled_quantity"], stopped["average_price"]) == (
        "FILLED",
        "35",
        "47.50",
    )
    assert get_leg(api_with_quote, order, "take_profit")["status"] == "CANCELED"
    book = api_with_quote.get_portfolio()
    assert (book["realized_pnl"], book["positions"]["BRK"]["quantity"]) == ("39.50", "0")
    assert [trade["realized_pnl"] for trade in api_with_quote.list_trades()][:2] == [
        "-86.33333333",
        "125.83333333",
    ]


def test_released_legs_match_from_the_next_quote(api_with_quote):
    order = place_bracket(api_with_quote, type="MARKET", limit_price=None, take_profit={"limit_price": "53"})
    assert order["status"] == "FILLED"
    assert {leg["status"] for leg in order["legs"]} == {"ACCEPTED"}
    api_with_quote.set_quote("BRK", "53", "54", "53")
    assert get_leg(api_with_quote, order, "take_profit")["status"] == "FILLED"
    assert get_leg(api_with_quote, order, "stop_loss")["status"] == "CANCELED"


def test_cancelled_unfilled_entry_cancels_its_legs(api_with_quote):
    order = place_bracket(api_with_quote)
    api_with_quote.post(f"/orders/{order['id']}/cancel", {})
    assert {leg["status"] for leg in api_with_quote.get_order(order["id"])["legs"]} == {"CANCELED"}


def test_cancelled_partially_filled_entry_keeps_legs_for_the_filled_quantity(api_with_quote):
    order = place_bracket(api_with_quote)
    fill_entry(api_with_quote, "40", "50")
    api_with_quote.post(f"/orders/{order['id']}/cancel", {})
    legs = api_with_quote.get_order(order["id"])["legs"]
    assert [(leg["status"], leg["leaves_quantity"]) for leg in legs] == [("ACCEPTED", "40")] * 2


def test_cancelled_leg_leaves_the_other_leg_working(api_with_quote):
    order = place_bracket(api_with_quote)
    fill_entry(api_with_quote, "100", "50")
    target = get_leg(api_with_quote, order, "take_profit")
    assert api_with_quote.post(f"/orders/{target['id']}/cancel", {}).status_code == 200
    assert get_leg(api_with_quote, order, "stop_loss")["status"] == "ACCEPTED"


def test_denied_entry_has_no_legs(api_with_quote):
    response = api_with_quote.post_order(
        symbol="BRK", quantity="2000000", take_profit={"limit_price": "60"}, stop_loss={"stop_price": "40"}
    )
    assert api_with_quote.get_order(response.json()["order_id"])["legs"] == []


def test_legs_follow_a_replaced_entry(api_with_quote):
    order = place_bracket(api_with_quote)
    successor = api_with_quote.patch(f"/orders/{order['id']}", {"quantity": "50"}).json()
    assert [(leg["status"], leg["quantity"]) for leg in successor["legs"]] == [("HELD", "50")] * 2
    fill_entry(api_with_quote, "50", "50")
    legs = api_with_quote.get_order(successor["id"])["legs"]
    assert [(leg["status"], leg["quantity"]) for leg in legs] == [("ACCEPTED", "50")] * 2


def test_replaced_leg_still_reduces_its_sibling(api_with_quote):
    order = place_bracket(api_with_quote)
    fill_entry(api_with_quote, "100", "50")
    target = get_leg(api_with_quote, order, "take_profit")
    better = api_with_quote.patch(f"/orders/{target['id']}", {"limit_price": "60"}).json()
    assert better["parent_id"] == order["id"]
    api_with_quote.set_quote("BRK", "60", "61", "60", bid_size="30")
    assert get_leg(api_with_quote, order, "stop_loss")["leaves_quantity"] == "70"


def place_pair(api, kind, first, second):
    base = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "10", **GTC}
    return api.post("/orders:group", {"kind": kind, "orders": [{**base, **first}, {**base, **second}]})


TARGET = {"type": "LIMIT", "limit_price": "110"}
STOP = {"type": "STOP", "stop_price": "90"}


def place_oco(api):
    api.place_order(quantity="10")
    response = place_pair(api, "OCO", TARGET, STOP)
    assert response.status_code == 201, response.text
    return response.json()["orders"]


def list_statuses(api, orders):
    return [api.get_order(order["id"])["status"] for order in orders]


def test_oco_fill_cancels_the_sibling(market):
    orders = place_oco(market)
    assert list_statuses(market, orders) == ["ACCEPTED", "ACCEPTED"]
    market.set_quote("AAPL", "110", "111", "110")
    assert list_statuses(market, orders) == ["FILLED", "CANCELED"]


def test_oco_partial_fill_reduces_the_sibling_equally(market):
    orders = place_oco(market)
    market.set_quote("AAPL", "110", "111", "110", bid_size="4")
    assert market.get_order(orders[1]["id"])["leaves_quantity"] == "6"
    market.set_quote("AAPL", "89", "90", "89")
    assert list_statuses(market, orders) == ["CANCELED", "FILLED"]
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"


def test_oco_sibling_cancelled_by_a_fill_does_not_fill_at_the_same_quote(market):
    market.place_order(quantity="10")
    far = {"type": "LIMIT", "limit_price": "120"}
    near, other = place_pair(market, "OCO", TARGET, far).json()["orders"]
    larger = market.patch(f"/orders/{other['id']}", {"quantity": "20"}).json()
    market.set_quote("AAPL", "125", "126", "125")
    assert list_statuses(market, [near, larger]) == ["FILLED", "CANCELED"]
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"


def test_cancelled_oco_order_cancels_the_sibling(market):
    orders = place_oco(market)
    market.post(f"/orders/{orders[0]['id']}/cancel", {})
    assert list_statuses(market, orders) == ["CANCELED", "CANCELED"]


def test_oco_order_that_fills_on_arrival_prevents_the_sibling(market):
    market.place_order(quantity="10")
    first, second = place_pair(market, "OCO", {"type": "LIMIT", "limit_price": "99"}, STOP).json()["orders"]
    assert (first["status"], second["status"]) == ("FILLED", "CANCELED")


def test_denied_oco_order_prevents_both_orders(market):
    response = place_pair(market, "OCO", TARGET, {**STOP, "quantity": "2000000"})
    assert (response.status_code, response.json()["denial"]["code"]) == (422, "MAX_ORDER_QUANTITY")
    assert sorted(order["status"] for order in market.get("/orders").json()) == ["CANCELED", "DENIED"]


def test_oto_child_waits_until_the_parent_is_filled(market):
    entry = {"type": "LIMIT", "limit_price": "95", "side": "BUY"}
    orders = place_pair(market, "OTO", entry, TARGET).json()["orders"]
    assert list_statuses(market, orders) == ["ACCEPTED", "HELD"]
    market.set_quote("AAPL", "94", "95", "95", ask_size="4")
    assert list_statuses(market, orders) == ["PARTIALLY_FILLED", "HELD"]
    market.set_quote("AAPL", "94", "95", "95")
    assert list_statuses(market, orders) == ["FILLED", "ACCEPTED"]
    market.set_quote("AAPL", "110", "111", "110")
    assert list_statuses(market, orders) == ["FILLED", "FILLED"]


def test_oto_child_may_fill_on_release(market):
    orders = place_pair(market, "OTO", {"type": "MARKET", "side": "BUY"}, {"type": "MARKET"}).json()["orders"]
    assert [order["status"] for order in orders] == ["FILLED", "FILLED"]


def test_oto_child_is_not_sent_when_the_parent_ends_unfilled(market):
    entry = {"type": "LIMIT", "limit_price": "95", "side": "BUY"}
    orders = place_pair(market, "OTO", entry, TARGET).json()["orders"]
    market.post(f"/orders/{orders[0]['id']}/cancel", {})
    assert list_statuses(market, orders) == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize("second", [[{}, {}], [{"kind": "OCO", "orders": [{}, {}]}]])
def test_nested_group_is_rejected_with_an_explanation(market, second):
    body = {"kind": "OTO", "orders": [build_ticket_body(), *second]}
    response = market.post("/orders:group", body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "orders")
    assert "`take_profit` and `stop_loss`" in response.json()["errors"][0]["message"]


def test_repeated_group_request_returns_the_same_orders(market):
    market.place_order(quantity="10")
    base = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "10", **GTC}
    body = {"kind": "OCO", "orders": [{**base, **TARGET}, {**base, **STOP}]}
    first, again = (market.post("/orders:group", body, {"Idempotency-Key": "G"}) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"


def test_oco_pair_has_one_portfolio_and_no_legs(market):
    assert place_pair(market, "OCO", TARGET, {**STOP, "portfolio_name": "Other"}).status_code == 422
    assert place_pair(market, "OCO", TARGET, {**STOP, "take_profit": {"limit_price": "1"}}).status_code == 422
    assert market.get("/orders").json() == []
