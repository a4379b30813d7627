"""A position whose reduction was taken back is protected by its exits again."""

import pytest

from tests.identity.administration import assert_ok


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


EXITS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}


@pytest.fixture
def bracket(api):
    """Provide a filled bracket order of 10 AAPL bought at 101."""
    api.quote("AAPL", "99", "101", "100")
    return api, api.found(api.order(quantity="10", **EXITS)["id"])


def leg(order, role):
    return next(one["id"] for one in order["legs"] if one["role"] == role)


def bust(api, order):
    (fill,) = order["fills"]
    body = {"execution_id": fill["execution_id"], "reason": "Clearly erroneous"}
    return assert_ok(api.post(f"/orders/{order['id']}/bust", body))


def held(api):
    found = assert_ok(api.get("/positions"))
    return {one["symbol"]: one["quantity"] for one in found}.get("AAPL", "0")


def working(api):
    """Return (role, quantity left) of the open orders."""
    found = assert_ok(api.get("/orders", status="ACCEPTED"))
    return sorted((one["role"], one["leaves_quantity"]) for one in found)


PROTECTED = [("stop_loss", "10"), ("take_profit", "10")]


def test_bust_of_an_exit_places_exits_of_the_same_terms(bracket):
    api, entry = bracket
    api.quote("AAPL", "89", "90", "89.5")
    stop = api.found(leg(entry, "stop_loss"))
    assert (stop["status"], working(api)) == ("FILLED", [])
    answer = bust(api, stop)
    assert (answer["status"], answer["filled_quantity"]) == ("FILLED", "0")
    assert sorted((one["role"], one["stop_price"], one["limit_price"]) for one in answer["legs"]) == [
        ("stop_loss", "90.00", None), ("take_profit", None, "120.00"),
    ]  # fmt: skip
    assert working(api) == PROTECTED
    events = assert_ok(api.get("/events", type="order.initialized"))
    fill = stop["fills"][0]["execution_id"]
    reasons = [one["data"].get("reason", "") for one in events]
    assert sum(reason.startswith(f"{fill} was busted: continues O") for reason in reasons) == 2
    api.quote("AAPL", "88", "89", "88.5")
    assert (working(api), held(api)) == ([], "0")


def test_bust_of_a_partial_exit_lets_its_sibling_grow(bracket):
    api, entry = bracket
    api.quote("AAPL", "120", "121", "120.5", bid_size="4", ask_size="4")
    target = api.found(leg(entry, "take_profit"))
    assert (target["status"], target["filled_quantity"]) == ("PARTIALLY_FILLED", "4")
    api.quote("AAPL", "110", "111", "110.5")
    bust(api, target)
    assert {api.found(one["id"])["leaves_quantity"] for one in entry["legs"]} == {"10"}


def test_exit_that_a_person_cancelled_is_not_restored(bracket):
    api, entry = bracket
    assert_ok(api.post(f"/orders/{leg(entry, 'take_profit')}/cancel", {}))
    api.quote("AAPL", "89", "90", "89.5")
    bust(api, api.found(leg(entry, "stop_loss")))
    assert working(api) == [("stop_loss", "10")]


def test_reversal_of_a_trade_that_closed_the_position_restores_its_exits(bracket):
    api, _ = bracket
    sold = api.trade(side="SELL", symbol="AAPL", quantity="10", portfolio_name="Growth", gmv="1000")
    assert working(api) == []
    assert api.reverse(sold["trade_id"]).status_code == 201
    assert working(api) == PROTECTED


def test_bust_of_a_close_restores_the_exits_that_it_cancelled(bracket):
    api, _ = bracket
    closed = assert_ok(api.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"}), 201)
    assert working(api) == []
    answer = bust(api, api.found(closed["id"]))
    assert sorted(one["role"] for one in answer["legs"]) == ["stop_loss", "take_profit"]
    assert working(api) == PROTECTED


def test_bust_of_an_opening_fill_restores_nothing(bracket):
    api, entry = bracket
    other = api.found(api.order(quantity="5")["id"])
    assert_ok(api.post(f"/orders/{leg(entry, 'stop_loss')}/cancel", {}))
    bust(api, other)
    assert working(api) == [("take_profit", "10")]
