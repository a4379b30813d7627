"""Exits are evaluated before their entry is sent, are always released, and only reduce a position."""

from decimal import Decimal

import pytest

from app.orders.rules.values import Status, StopLoss, TakeProfit
from app.verify import format_report, verify_database
from tests.orders.requests import GTC, get_denial_code, post_group, set_limit
from tests.orders.writer_harness import build_ticket

pytestmark = pytest.mark.any_database

STOP_LOSS = {"stop_loss": {"stop_price": "90"}}


def get_position(api, symbol="AAPL"):
    position = api.get_portfolio()["positions"].get(symbol)
    return position["quantity"] if position else "0"


BAD_LEGS = [
    ({"take_profit": {"limit_price": "110.03"}, "stop_loss": {"stop_price": "90"}}, "TICK_SIZE", "110.05"),
    ({"stop_loss": {"stop_price": "90.01"}}, "TICK_SIZE", "90"),
    ({"stop_loss": {"stop_price": "90", "limit_price": "89.99"}}, "TICK_SIZE", "90"),
    ({"take_profit": {"limit_price": "1000001"}}, "PRICE_RANGE", "1000000"),
    ({"stop_loss": {"stop_price": "990"}}, "EXIT_PRICE", "99.95"),
    ({"stop_loss": {"stop_price": "100"}}, "EXIT_PRICE", "99.95"),
    ({"take_profit": {"limit_price": "101"}}, "EXIT_PRICE", "101.05"),
    ({"type": "LIMIT", "limit_price": "110", "stop_loss": {"stop_price": "105"}}, "EXIT_PRICE", "99.95"),
    ({"side": "SELL", "stop_loss": {"stop_price": "95"}}, "EXIT_PRICE", "100.05"),
    ({"side": "SELL", "take_profit": {"limit_price": "99"}}, "EXIT_PRICE", "98.95"),
]


@pytest.mark.parametrize(("terms", "code", "nearest"), BAD_LEGS)
def test_invalid_leg_rejects_the_whole_ticket_and_its_preview(market, terms, code, nearest):
    market.put("/instruments/AAPL", {"tick_size": "0.05", "lot_size": "1"})
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    previewed = market.post("/orders:preview", body | terms).json()
    assert (previewed["would_pass"], previewed["denial"]["code"]) == (False, code)
    response = market.post("/orders", body | terms)
    assert get_denial_code(response) == code
    denial = response.json()["denial"]
    assert (denial["nearest_price"], denial["largest_passing"]) == (nearest, None)
    assert market.get_order(response.json()["order_id"])["legs"] == []
    assert get_position(market) == "0"


def test_open_order_limit_counts_bracket_legs(market):
    set_limit(market, "MAX_OPEN_ORDERS", "2")
    legs = {"take_profit": {"limit_price": "120"}, **STOP_LOSS}
    assert get_denial_code(market.post_order(**legs)) == "FIRM_OPEN_ORDERS"
    assert market.post_order(**STOP_LOSS).status_code == 201


def test_leg_without_permission_rejects_the_ticket(market):
    set_limit(market, "ALLOWED_SIDES", "BUY")
    assert get_denial_code(market.post_order(**STOP_LOSS)) == "NOT_PERMITTED"
    assert market.post_order().status_code == 201


@pytest.mark.parametrize(
    "terms",
    [
        {"stop_loss": {"stop_price": "90", "limit_price": "200"}},
        {"time_in_force": "OPG"},
        {"type": "LIMIT", "limit_price": "99", "time_in_force": "CLS"},
        {"type": "TRAILING_STOP", "side": "SELL", "trail_amount": "100"},
        {"type": "TRAILING_STOP", "side": "BUY", "trail_amount": "250"},
    ],
)
def test_ticket_that_can_never_fill_is_rejected(market, terms):
    assert market.post_order(**terms).status_code == 422
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    previewed = market.post("/orders:preview", body | terms)
    assert previewed.status_code == 422 or not previewed.json()["would_pass"]


ENTRY = {"side": "BUY", "type": "MARKET"}


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ({"type": "STOP", "stop_price": "90.01"}, "TICK_SIZE"),
        ({"type": "STOP", "stop_price": "130"}, "EXIT_PRICE"),
        ({"type": "LIMIT", "limit_price": "110", "quantity": "2000000"}, "MAX_ORDER_QUANTITY"),
        ({"type": "TRAILING_STOP", "trail_amount": "100"}, "TRAIL_AMOUNT"),
    ],
)
def test_invalid_second_order_rejects_the_whole_group(market, second, code):
    market.put("/instruments/AAPL", {"tick_size": "0.05", "lot_size": "1"})
    assert get_denial_code(post_group(market, "OTO", ENTRY, {"side": "SELL"} | second)) == code
    assert sorted(order["status"] for order in market.get("/orders").json()) == ["CANCELED", "DENIED"]
    assert get_position(market) == "0"


def test_risk_check_of_an_oto_child_assumes_a_filled_parent(market):
    set_limit(market, "SHORT_SELLING", "0")
    follower = {"side": "SELL", "type": "STOP", "stop_price": "90"}
    assert get_denial_code(post_group(market, "OTO", ENTRY, follower | {"quantity": "11"})) == "SHORT_SELLING"
    assert post_group(market, "OTO", ENTRY, follower).status_code == 201
    assert get_position(market) == "10"


def test_oco_stop_must_not_trigger_at_once(market):
    market.place_order(quantity="10")
    target = {"side": "SELL", "type": "LIMIT", "limit_price": "110"}
    stop = {"side": "SELL", "type": "STOP", "stop_price": "130"}
    assert get_denial_code(post_group(market, "OCO", target, stop)) == "EXIT_PRICE"
    short_of_stop = {"side": "SELL", "type": "STOP_LIMIT", "stop_price": "90", "limit_price": "95"}
    assert post_group(market, "OCO", target, short_of_stop).status_code == 422
    assert get_position(market) == "10"


def get_leg(api, order, role):
    return next(leg for leg in api.get_order(order["id"])["legs"] if leg["role"] == role)


def test_stop_moved_through_the_market_is_rejected_and_keeps_working(market):
    order = market.place_order(**STOP_LOSS)
    stop = get_leg(market, order, "stop_loss")
    assert get_denial_code(market.patch(f"/orders/{stop['id']}", {"stop_price": "130"})) == "EXIT_PRICE"
    assert market.get_order(stop["id"])["status"] == "ACCEPTED"
    assert market.patch(f"/orders/{stop['id']}", {"stop_price": "95"}).status_code == 200


def test_waiting_leg_price_is_checked_against_its_entry(market):
    order = market.place_order(type="LIMIT", limit_price="95", **GTC, **STOP_LOSS)
    stop = get_leg(market, order, "stop_loss")
    assert get_denial_code(market.patch(f"/orders/{stop['id']}", {"stop_price": "96"})) == "EXIT_PRICE"
    assert get_denial_code(market.patch(f"/orders/{order['id']}", {"limit_price": "89"})) == "EXIT_PRICE"
    assert market.patch(f"/orders/{order['id']}", {"limit_price": "91"}).status_code == 200


def test_waiting_oto_child_is_risk_checked_when_replaced(market):
    entry = {"side": "BUY", "type": "LIMIT", "limit_price": "95"}
    response = post_group(market, "OTO", entry, {"side": "SELL", "type": "STOP", "stop_price": "90"})
    second = response.json()["orders"][1]
    assert get_denial_code(market.patch(f"/orders/{second['id']}", {"stop_price": "97"})) == "EXIT_PRICE"
    assert market.patch(f"/orders/{second['id']}", {"stop_price": "92"}).status_code == 200


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("MAX_ORDER_VALUE", "1000"),
        ("MAX_POSITION_VALUE", "1000"),
        ("MAX_GROSS_EXPOSURE", "1000"),
        ("MAX_ORDER_QUANTITY", "10"),
    ],
)
def test_limits_do_not_block_exits_of_a_filled_entry(market, code, value):
    set_limit(market, code, value)
    order = market.place_order(
        side="SELL", type="LIMIT", limit_price="99", quantity="10", stop_loss={"stop_price": "110"}
    )
    assert order["status"] == "FILLED"
    assert [leg["status"] for leg in order["legs"]] == ["ACCEPTED"]


@pytest.mark.parametrize(("state", "expected_quantity"), [("REDUCING", "7"), ("HALTED", "4")])
def test_kill_switch_does_not_block_exits_of_a_filled_entry(market, state, expected_quantity):
    order = market.place_order(type="LIMIT", limit_price="95", **GTC, **STOP_LOSS)
    market.set_quote("AAPL", "94", "95", "95", ask_size="4")
    turned = {"scope": "tenant", "name": None, "state": state}
    assert market.post("/kill-switch", turned).status_code == 200
    market.set_quote("AAPL", "94", "95", "95", ask_size="3")
    assert get_leg(market, order, "stop_loss")["leaves_quantity"] == expected_quantity
    market.set_quote("AAPL", "89", "90", "89")
    assert get_position(market) == "0"


def test_closing_oto_child_is_released_while_reducing(market):
    entry = {"side": "BUY", "type": "LIMIT", "limit_price": "95"}
    orders = post_group(market, "OTO", entry, {"side": "SELL", "type": "STOP", "stop_price": "90"}).json()[
        "orders"
    ]
    market.post("/kill-switch", {"scope": "tenant", "name": None, "state": "REDUCING"})
    market.set_quote("AAPL", "94", "95", "95")
    assert market.get_order(orders[1]["id"])["status"] == "ACCEPTED"


def test_leg_off_a_changed_tick_is_rounded_away_from_the_market_at_release(market):
    legs = {
        "take_profit": {"limit_price": "110.03"},
        "stop_loss": {"stop_price": "90.03", "limit_price": "90.01"},
    }
    order = market.place_order(type="LIMIT", limit_price="95", **GTC, **legs)
    assert market.put("/instruments/AAPL", {"tick_size": "0.05", "lot_size": "1"}).status_code == 200
    market.set_quote("AAPL", "94", "95", "95")
    target, stop = get_leg(market, order, "take_profit"), get_leg(market, order, "stop_loss")
    assert (target["status"], target["limit_price"]) == ("ACCEPTED", "110.05")
    assert (stop["status"], stop["stop_price"], stop["limit_price"]) == ("ACCEPTED", "90.00", "90.00")


def test_exit_quantity_is_at_most_the_filled_entry_quantity(market):
    order = market.place_order(quantity="4", **STOP_LOSS)
    stop = get_leg(market, order, "stop_loss")
    response = market.patch(f"/orders/{stop['id']}", {"quantity": "50"})
    assert (get_denial_code(response), response.json()["denial"]["largest_passing"]) == ("REDUCE_ONLY", "4")
    assert market.patch(f"/orders/{stop['id']}", {"quantity": "3"}).status_code == 200


def test_waiting_exit_quantity_is_at_most_the_entry_quantity(market):
    order = market.place_order(type="LIMIT", limit_price="95", quantity="4", **GTC, **STOP_LOSS)
    stop = get_leg(market, order, "stop_loss")
    assert get_denial_code(market.patch(f"/orders/{stop['id']}", {"quantity": "5"})) == "REDUCE_ONLY"


def place_trailing_stop(harness, **changes):
    harness.place_order(quantity="10")
    order = harness.place_order(side="SELL", type="TRAILING_STOP", **GTC, **changes)
    harness.publish_quote("119", "121", "120")
    harness.publish_quote("115.90", "116.10", "116")
    return order


def test_replaced_trailing_stop_keeps_its_extreme_price(harness):
    order = place_trailing_stop(harness, trail_percent="5")
    assert harness.get_order(order).trail_level == 114
    successor = harness.replace(order, trail_percent="4").orders[0].order
    assert harness.get_order(successor).trail_level == Decimal("115.2")
    harness.publish_quote("115.10", "115.30", "115.20")
    assert harness.get_order(successor).status is Status.FILLED


def test_replaced_trail_amount_keeps_its_extreme_price(harness):
    order = place_trailing_stop(harness, trail_amount="6")
    successor = harness.replace(order, trail_amount="5").orders[0].order
    assert harness.get_order(successor).trail_level == 115


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ({"trail_amount": "6"}, {"trail_percent": "4"}, "115.2"),
        ({"trail_percent": "5"}, {"trail_amount": "5"}, "115"),
    ],
)
def test_trailing_stop_can_change_between_amount_and_percentage(harness, before, after, level):
    order = place_trailing_stop(harness, **before)
    successor = harness.get_order(harness.replace(order, **after).orders[0].order)
    (exit_order,) = after
    assert (successor.status, successor.trail_level) == (Status.ACCEPTED, Decimal(level))
    assert (successor.trail_amount is None) == (exit_order == "trail_percent")
    back = harness.get_order(harness.replace(successor, **before).orders[0].order)
    assert back.trail_level == harness.get_order(order).trail_level == 114


def test_replaced_trailing_stop_of_a_short_keeps_its_low(harness):
    harness.place_order(side="SELL")
    order = harness.place_order(type="TRAILING_STOP", **GTC, trail_amount="5")
    harness.publish_quote("79", "81", "80")
    successor = harness.get_order(harness.replace(order, trail_percent="2.5").orders[0].order)
    assert successor.trail_level == 82


def test_replacement_quantity_below_the_filled_quantity_becomes_the_filled_quantity(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    order = harness.place_order(type="LIMIT", limit_price="101", **GTC)
    successor = harness.get_order(harness.replace(order, quantity="3").orders[0].order)
    assert (successor.status, successor.quantity, successor.filled_quantity) == (Status.FILLED, 4, 4)
    result = verify_database(harness.engine)
    assert result.is_clean, list(format_report(result, 0))


def test_increased_take_profit_matches_from_the_next_quote(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    entry = harness.place_order(type="LIMIT", limit_price="101", **GTC, take_profit=TakeProfit(Decimal(105)))
    harness.publish_quote("105", "101", "105", ask_size="3")
    harness.advance_clock()
    harness.check_quote_again("105", "101", "105")
    ids = [row[0] for row in harness.query("SELECT id FROM orders WHERE role = 'take_profit'")]
    target = harness.get_order(entry._replace(id=ids[0]))
    assert (target.filled_quantity, target.leaves_quantity) == (4, 3)
    harness.publish_quote("105", "106", "105")
    assert harness.get_order(target).status is Status.FILLED


def test_oto_child_of_another_symbol_is_risk_checked_independently(harness):
    harness.publish_quote("49", "51", "50", symbol="MSFT")
    second = build_ticket(symbol="MSFT", side="SELL", type="STOP", stop_price="60", **GTC)
    first, follower = harness.place_pair("OTO", build_ticket(), second)
    assert (first.status, follower.status) == (Status.FILLED, Status.FILLED)


def test_exits_of_an_entry_without_a_price_are_not_compared(harness):
    order = harness.place_order(
        type="TRAILING_STOP", trail_amount="2", **GTC, stop_loss=StopLoss(Decimal(90))
    )
    assert order.status is Status.ACCEPTED


@pytest.mark.parametrize(("sold", "remaining"), [("7", "0"), ("10", "0"), ("12", "-2")])
def test_exit_never_crosses_zero(market, sold, remaining):
    order = market.place_order(quantity="10", **STOP_LOSS)
    market.place_order(quantity=sold, side="SELL")
    market.set_quote("AAPL", "89", "90", "89")
    assert get_position(market) == remaining
    stop = get_leg(market, order, "stop_loss")
    assert (stop["status"], stop["filled_quantity"]) == (
        ("FILLED", "3") if sold == "7" else ("CANCELED", "0")
    )


def test_exits_of_two_brackets_never_exceed_the_position(market):
    for _ in range(2):
        market.place_order(quantity="10", **STOP_LOSS)
    market.place_order(quantity="15", side="SELL")
    market.set_quote("AAPL", "89", "90", "89")
    assert get_position(market) == "0"
