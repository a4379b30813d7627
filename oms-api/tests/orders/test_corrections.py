"""Executions that their venue corrected: a bust, and a new execution in the place of the other."""

import pytest

from app.orders.rules.execution_verification import get_correction_id
from tests.identity.administration import assert_ok

WHY = {"reason": "Price corrected by the venue"}


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


@pytest.fixture
def filled(api):
    """Provide a bracket order of 10 AAPL that filled at 101."""
    api.quote("AAPL", "99", "101", "100")
    exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}
    return api, api.found(api.order(quantity="10", **exits)["id"])


def correct(api, order, key=None, **changes):
    fill = order["fills"][-1]["execution_id"]
    headers = {"Idempotency-Key": key} if key else None
    return api.post(f"/orders/{order['id']}/correct", {"execution_id": fill, **WHY, **changes}, headers)


def held(api):
    found = assert_ok(api.get("/positions"))
    return {one["symbol"]: one["quantity"] for one in found}.get("AAPL", "0")


def working(api):
    found = assert_ok(api.get("/orders", status="ACCEPTED"))
    return sorted((one["role"], one["leaves_quantity"]) for one in found)


def test_corrected_price_is_booked_as_a_bust_and_a_new_execution(filled):
    api, order = filled
    before, fill = api.portfolio()["cash"], order["fills"][0]
    answer = assert_ok(correct(api, order, price="100", key="correct-1"))
    assert (answer["status"], answer["filled_quantity"], answer["average_price"]) == (
        "FILLED",
        "10",
        "100.00",
    )
    assert float(api.portfolio()["cash"]) - float(before) == 10
    found = api.found(order["id"])
    assert [(one["execution_id"], one["quantity"], one["price"]) for one in found["fills"]] == [
        (fill["execution_id"], "10", "101.00"),
        (f"{fill['execution_id']}:bust", "-10", "101.00"),
        (f"{fill['execution_id']}:correction1", "10", "100.00"),
    ]
    assert found["fills"][2]["executed_at"] == fill["executed_at"]
    (event,) = assert_ok(api.get("/events", type="order.fill_corrected"))
    assert (event["data"]["last_price"], event["data"]["broker_reason"]) == ("100.00", WHY["reason"])
    assert working(api) == [("stop_loss", "10"), ("take_profit", "10")]  # untouched by the bust in between
    repeated = correct(api, order, price="100", key="correct-1")
    assert (repeated.status_code, repeated.json()["average_price"]) == (200, "100.00")


def test_exits_follow_a_corrected_quantity(filled):
    api, order = filled
    smaller = assert_ok(correct(api, order, quantity="6"))
    assert (smaller["filled_quantity"], held(api)) == ("6", "6")
    assert working(api) == [("stop_loss", "6"), ("take_profit", "6")]
    larger = assert_ok(correct(api, api.found(order["id"]), quantity="8"))
    assert (larger["filled_quantity"], held(api)) == ("8", "8")
    assert working(api) == [("stop_loss", "8"), ("take_profit", "8")]


def test_corrected_exit_protects_what_is_open_again(filled):
    api, order = filled
    api.quote("AAPL", "89", "90", "89.5")
    stop = api.found(next(one["id"] for one in order["legs"] if one["role"] == "stop_loss"))
    assert_ok(correct(api, stop, quantity="7"))
    assert (held(api), working(api)) == ("3", [("stop_loss", "3"), ("take_profit", "3")])


def test_correction_beyond_the_order_raises_a_reconciliation_issue(filled):
    api, order = filled
    answer = assert_ok(correct(api, order, quantity="12"))
    assert (answer["status"], answer["filled_quantity"]) == ("FILLED", "12")
    assert [one["data"]["kind"] for one in assert_ok(api.get("/events", type="reconciliation.issue"))] == [
        "over"
    ]
    assert working(api) == [("stop_loss", "12"), ("take_profit", "12")]


def test_charges_are_computed_anew(api):
    assert_ok(api.post("/portfolios", {"name": "Charged", "cost_schedule": "ibkr_fixed"}), 201)
    assert_ok(api.put("/instruments/IBM", {"exchange": "NYSE", "tick_size": "0.01", "lot_size": "1"}))
    api.quote("IBM", "24", "25", "25")
    order = api.found(api.order(portfolio_name="Charged", symbol="IBM", quantity="1000")["id"])
    assert order["fills"][0]["charges"]["commission"] == "5.00"
    assert_ok(correct(api, order, quantity="100"))
    charges = [one["charges"]["commission"] for one in api.found(order["id"])["fills"]]
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
def test_correction_without_a_change_or_a_value_is_refused(filled, changes, field):
    api, order = filled
    refused = correct(api, order, **changes)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert api.found(order["id"])["fills"] == order["fills"]


@pytest.mark.parametrize("route", ["bust", "correct"])
def test_ids_too_long_for_a_row_of_their_own_are_refused(filled, route):
    api, order = filled
    body = {"execution_id": "X" * 96, **WHY} | ({"price": "1"} if route == "correct" else {})
    refused = api.post(f"/orders/{order['id']}/{route}", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "execution_id")


def test_each_correction_has_an_id_of_its_own():
    assert get_correction_id("X1") == "X1:correction1"
    assert get_correction_id("X1:correction9") == "X1:correction10"
    assert get_correction_id("X1:corrections") == "X1:corrections:correction1"
    assert get_correction_id("X:correctionA") == "X:correctionA:correction1"
