"""A position whose reduction was busted is protected by its exits again."""

import pytest

from tests.identity.administration import assert_ok

pytestmark = pytest.mark.usefixtures("decides_on_loaded_state")


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


EXITS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}


@pytest.fixture
def filled_bracket(api):
    """Provide a filled bracket order of 10 AAPL bought at 101."""
    api.set_quote("AAPL", "99", "101", "100")
    return api, api.get_order(api.place_order(quantity="10", **EXITS)["id"])


def get_leg(order, role):
    return next(leg["id"] for leg in order["legs"] if leg["role"] == role)


def bust_execution(api, order):
    (fill,) = order["fills"]
    body = {"execution_id": fill["execution_id"], "reason": "Clearly erroneous"}
    return assert_ok(api.post(f"/orders/{order['id']}/bust", body))


def get_held_quantity(api):
    positions = assert_ok(api.get("/positions"))
    return {position["symbol"]: position["quantity"] for position in positions}.get("AAPL", "0")


def list_working_orders(api):
    """Return (role, quantity left) of the open orders."""
    orders = assert_ok(api.get("/orders", status="ACCEPTED"))
    return sorted((order["role"], order["leaves_quantity"]) for order in orders)


PROTECTED = [("stop_loss", "10"), ("take_profit", "10")]


def test_bust_of_an_exit_places_exits_of_the_same_terms(filled_bracket):
    api, entry = filled_bracket
    api.set_quote("AAPL", "89", "90", "89.5")
    stop = api.get_order(get_leg(entry, "stop_loss"))
    assert (stop["status"], list_working_orders(api)) == ("FILLED", [])
    response = bust_execution(api, stop)
    assert (response["status"], response["filled_quantity"]) == ("FILLED", "0")
    assert sorted((leg["role"], leg["stop_price"], leg["limit_price"]) for leg in response["legs"]) == [
        ("stop_loss", "90.00", None), ("take_profit", None, "120.00"),
    ]  # fmt: skip
    assert list_working_orders(api) == PROTECTED
    events = assert_ok(api.get("/events", type="order.initialized"))
    fill = stop["fills"][0]["execution_id"]
    reasons = [event["data"].get("reason", "") for event in events]
    assert sum(reason.startswith(f"{fill} was busted: continues O") for reason in reasons) == 2
    api.set_quote("AAPL", "88", "89", "88.5")
    assert (list_working_orders(api), get_held_quantity(api)) == ([], "0")


def test_bust_of_a_partial_exit_lets_its_sibling_grow(filled_bracket):
    api, entry = filled_bracket
    api.set_quote("AAPL", "120", "121", "120.5", bid_size="4", ask_size="4")
    target = api.get_order(get_leg(entry, "take_profit"))
    assert (target["status"], target["filled_quantity"]) == ("PARTIALLY_FILLED", "4")
    api.set_quote("AAPL", "110", "111", "110.5")
    bust_execution(api, target)
    assert {api.get_order(leg["id"])["leaves_quantity"] for leg in entry["legs"]} == {"10"}


def test_exit_whose_replacement_was_denied_grows_again(filled_bracket):
    api, entry = filled_bracket
    api.set_quote("AAPL", "120", "121", "120.5", bid_size="4", ask_size="4")
    api.set_quote("AAPL", "110", "111", "110.5")
    stop, target = get_leg(entry, "stop_loss"), get_leg(entry, "take_profit")
    assert_ok(api.patch(f"/orders/{stop}", {"stop_price": "115"}), 422)
    assert len(assert_ok(api.get("/orders", status="DENIED"))) == 1
    bust_execution(api, api.get_order(target))
    assert {api.get_order(order_id)["leaves_quantity"] for order_id in (stop, target)} == {"10"}


def test_exit_that_a_person_cancelled_is_not_restored(filled_bracket):
    api, entry = filled_bracket
    assert_ok(api.post(f"/orders/{get_leg(entry, 'take_profit')}/cancel", {}))
    api.set_quote("AAPL", "89", "90", "89.5")
    bust_execution(api, api.get_order(get_leg(entry, "stop_loss")))
    assert list_working_orders(api) == [("stop_loss", "10")]


def test_reversal_of_a_trade_that_closed_the_position_restores_its_exits(filled_bracket):
    api, _ = filled_bracket
    sold = api.record_trade(side="SELL", symbol="AAPL", quantity="10", portfolio_name="Growth", gmv="1000")
    assert list_working_orders(api) == []
    assert api.post_reversal(sold["trade_id"]).status_code == 201
    assert list_working_orders(api) == PROTECTED


def test_bust_of_a_close_restores_the_exits_that_it_cancelled(filled_bracket):
    api, _ = filled_bracket
    closed = assert_ok(api.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"}), 201)
    assert list_working_orders(api) == []
    response = bust_execution(api, api.get_order(closed["id"]))
    assert sorted(leg["role"] for leg in response["legs"]) == ["stop_loss", "take_profit"]
    assert list_working_orders(api) == PROTECTED


def test_bust_of_an_opening_fill_restores_nothing(filled_bracket):
    api, entry = filled_bracket
    other = api.get_order(api.place_order(quantity="5")["id"])
    assert_ok(api.post(f"/orders/{get_leg(entry, 'stop_loss')}/cancel", {}))
    bust_execution(api, other)
    assert list_working_orders(api) == [("take_profit", "10")]
