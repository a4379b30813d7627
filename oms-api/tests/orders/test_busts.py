"""Executions that their venue canceled: reversed by additional rows."""

import pytest

from app.verify import verify_database
from tests.identity.administration import assert_ok


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def bust_execution(api, order_id, execution_id, key=None, reason="Clearly erroneous"):
    body = {"execution_id": execution_id, "reason": reason}
    headers = {"Idempotency-Key": key} if key else None
    return api.post(f"/orders/{order_id}/bust", body, headers)


def assert_refused(response, status):
    assert response.status_code == status, response.text
    return response.json()["detail"]


@pytest.fixture
def filled_order(api):
    """Provide a limit order of 10 AAPL that filled 4 at 10 and waits for the rest."""
    api.set_quote("AAPL", "9", "10", "9.5", ask_size="4", bid_size="4")
    order = api.place_order(type="LIMIT", limit_price="10", quantity="10", time_in_force="GTC")
    return api, api.get_order(order["id"])


def test_bust_reverses_position_cash_and_filled_quantity(filled_order):
    api, order = filled_order
    (fill,) = order["fills"]
    before = api.get_portfolio()["cash"]
    api.set_quote("AAPL", "9", "11", "9.5")  # the order must not fill again
    busted = assert_ok(bust_execution(api, order["id"], fill["execution_id"], key="bust-1"))
    assert (busted["status"], busted["filled_quantity"]) == ("PARTIALLY_FILLED", "0")
    assert (busted["leaves_quantity"], busted["average_price"]) == ("10", None)
    assert float(api.get_portfolio()["cash"]) - float(before) == 40
    reversal = api.list_trades()[0]
    assert (reversal["kind"], reversal["reverses"]) == ("reversal", fill["trade_id"])
    order_body = api.get_order(order["id"])
    last = order_body["fills"][-1]
    assert (last["execution_id"], last["quantity"]) == (f"{fill['execution_id']}:bust", "-4")
    (event,) = assert_ok(api.get("/events", type="order.fill_busted"))
    assert (event["data"]["last_quantity"], event["data"]["broker_reason"]) == ("-4", "Clearly erroneous")
    repeated = bust_execution(api, order["id"], fill["execution_id"], key="bust-1")
    assert (repeated.status_code, repeated.json()["filled_quantity"]) == (200, "0")
    result = verify_database(api.service.engine)
    assert result.is_clean, result.reported


def test_order_fills_again_after_a_bust(filled_order):
    api, order = filled_order
    for number in range(3):
        api.set_quote("AAPL", "9", "11", "9.5")
        fill = api.get_order(order["id"])["fills"][-1]
        assert_ok(bust_execution(api, order["id"], fill["execution_id"]))
        api.set_quote("AAPL", "9", "10", "9.5", ask_size="4", bid_size="4")
        refilled = api.get_order(order["id"])
        assert (refilled["filled_quantity"], len(refilled["fills"])) == ("4", 2 * number + 3)
    api.set_quote("AAPL", "9", "10", "9.5")
    assert api.get_order(order["id"])["status"] == "FILLED"
    result = verify_database(api.service.engine)
    assert result.is_clean, result.reported


def test_filled_order_stays_filled_after_a_bust(api):
    api.set_quote("AAPL", "9", "10", "9.5")
    order = api.get_order(api.place_order(quantity="10")["id"])
    exits = api.get_order(api.place_order(quantity="5", stop_loss={"stop_price": "5"})["id"])
    assert_ok(bust_execution(api, order["id"], order["fills"][0]["execution_id"]))
    order_body = api.get_order(order["id"])
    assert (order_body["status"], order_body["filled_quantity"], order_body["leaves_quantity"]) == (
        "FILLED",
        "0",
        "0",
    )
    assert_ok(bust_execution(api, exits["id"], exits["fills"][0]["execution_id"]))
    assert api.get_order(exits["legs"][0]["id"])["status"] == "CANCELED"  # nothing is left to protect
    result = verify_database(api.service.engine)
    assert result.is_clean, result.reported


def test_execution_is_busted_once_and_only_by_its_order(filled_order):
    api, order = filled_order
    (fill,) = order["fills"]
    assert "no execution" in assert_refused(bust_execution(api, order["id"], "X1"), 404)
    assert_ok(bust_execution(api, order["id"], fill["execution_id"]))
    assert "already" in assert_refused(bust_execution(api, order["id"], fill["execution_id"]), 409)
    assert "no execution" in assert_refused(
        bust_execution(api, order["id"], f"{fill['execution_id']}:bust"), 404
    )


def test_reversed_trade_cannot_be_busted(filled_order):
    api, order = filled_order
    (fill,) = order["fills"]
    assert api.post_reversal(fill["trade_id"]).status_code == 201
    assert "reversed already" in assert_refused(bust_execution(api, order["id"], fill["execution_id"]), 409)
