"""Executions that their venue corrected: a bust, and a new execution in the place of the other."""

import pytest

from app.orders.rules.execution_ids import get_correction_id
from tests.identity.administration import assert_ok

WHY = {"reason": "Price corrected by the venue"}


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


@pytest.fixture
def filled_order(api):
    """Provide a bracket order of 10 AAPL that filled at 101."""
    api.set_quote("AAPL", "99", "101", "100")
    exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}
    return api, api.get_order(api.place_order(quantity="10", **exits)["id"])


def correct_execution(api, order, key=None, **changes):
    fill = order["fills"][-1]["execution_id"]
    headers = {"Idempotency-Key": key} if key else None
    return api.post(f"/orders/{order['id']}/correct", {"execution_id": fill, **WHY, **changes}, headers)


def get_held_quantity(api):
    positions = assert_ok(api.get("/positions"))
    return {position["symbol"]: position["quantity"] for position in positions}.get("AAPL", "0")


def list_working_orders(api):
    orders = assert_ok(api.get("/orders", status="ACCEPTED"))
    return sorted((order["role"], order["leaves_quantity"]) for order in orders)


def test_corrected_price_is_booked_as_a_bust_and_a_new_execution(filled_order):
    api, order = filled_order
    before, fill = api.get_portfolio()["cash"], order["fills"][0]
    response = assert_ok(correct_execution(api, order, price="100", key="correct-1"))
    assert (response["status"], response["filled_quantity"], response["average_price"]) == (
        "FILLED",
        "10",
        "100.00",
    )
    assert float(api.get_portfolio()["cash"]) - float(before) == 10
    order_body = api.get_order(order["id"])
    assert [
        (stored_fill["execution_id"], stored_fill["quantity"], stored_fill["price"])
        for stored_fill in order_body["fills"]
    ] == [
        (fill["execution_id"], "10", "101.00"),
        (f"{fill['execution_id']}:bust", "-10", "101.00"),
        (f"{fill['execution_id']}:correction1", "10", "100.00"),
    ]
    assert order_body["fills"][2]["executed_at"] == fill["executed_at"]
    (event,) = assert_ok(api.get("/events", type="order.fill_corrected"))
    assert (event["data"]["last_price"], event["data"]["broker_reason"]) == ("100.00", WHY["reason"])
    assert list_working_orders(api) == [
        ("stop_loss", "10"),
        ("take_profit", "10"),
    ]  # untouched by the bust in between
    repeated = correct_execution(api, order, price="100", key="correct-1")
    assert (repeated.status_code, repeated.json()["average_price"]) == (200, "100.00")


def test_exits_follow_a_corrected_quantity(filled_order):
    api, order = filled_order
    smaller = assert_ok(correct_execution(api, order, quantity="6"))
    assert (smaller["filled_quantity"], get_held_quantity(api)) == ("6", "6")
    assert list_working_orders(api) == [("stop_loss", "6"), ("take_profit", "6")]
    larger = assert_ok(correct_execution(api, api.get_order(order["id"]), quantity="8"))
    assert (larger["filled_quantity"], get_held_quantity(api)) == ("8", "8")
    assert list_working_orders(api) == [("stop_loss", "8"), ("take_profit", "8")]


def test_corrected_exit_protects_the_reopened_quantity(filled_order):
    api, order = filled_order
    api.set_quote("AAPL", "89", "90", "89.5")
    stop = api.get_order(next(leg["id"] for leg in order["legs"] if leg["role"] == "stop_loss"))
    assert_ok(correct_execution(api, stop, quantity="7"))
    assert (get_held_quantity(api), list_working_orders(api)) == (
        "3",
        [("stop_loss", "3"), ("take_profit", "3")],
    )


def test_correction_beyond_the_order_raises_a_reconciliation_issue(filled_order):
    api, order = filled_order
    response = assert_ok(correct_execution(api, order, quantity="12"))
    assert (response["status"], response["filled_quantity"]) == ("FILLED", "12")
    assert [
        event["data"]["kind"] for event in assert_ok(api.get("/events", type="reconciliation.issue"))
    ] == ["over"]
    assert list_working_orders(api) == [("stop_loss", "12"), ("take_profit", "12")]


def test_charges_are_computed_anew(api):
    assert_ok(api.post("/portfolios", {"name": "Charged", "cost_schedule": "ibkr_fixed"}), 201)
    assert_ok(api.put("/instruments/IBM", {"exchange": "NYSE", "tick_size": "0.01", "lot_size": "1"}))
    api.set_quote("IBM", "24", "25", "25")
    order = api.get_order(api.place_order(portfolio_name="Charged", symbol="IBM", quantity="1000")["id"])
    assert order["fills"][0]["charges"]["commission"] == "5.00"
    assert_ok(correct_execution(api, order, quantity="100"))
    charges = [fill["charges"]["commission"] for fill in api.get_order(order["id"])["fills"]]
    assert charges == ["5.00", "-5.00", "1.00"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "quantity"),
        ({"quantity": "10", "price": "101"}, "quantity"),
        ({"quantity": "0.00000001", "price": "0.00000001"}, "quantity"),
        ({"price": "0"}, "price"),
    ],
)
def test_correction_without_a_change_or_a_value_is_refused(filled_order, changes, field):
    api, order = filled_order
    refused = correct_execution(api, order, **changes)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert api.get_order(order["id"])["fills"] == order["fills"]


@pytest.mark.parametrize("route", ["bust", "correct"])
def test_ids_too_long_for_a_separate_row_are_refused(filled_order, route):
    api, order = filled_order
    body = {"execution_id": "X" * 96, **WHY} | ({"price": "1"} if route == "correct" else {})
    response = api.post(f"/orders/{order['id']}/{route}", body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "execution_id")


def test_each_correction_has_a_separate_id():
    assert get_correction_id("X1") == "X1:correction1"
    assert get_correction_id("X1:correction9") == "X1:correction10"
    assert get_correction_id("X1:corrections") == "X1:corrections:correction1"
    assert get_correction_id("X:correctionA") == "X:correctionA:correction1"
