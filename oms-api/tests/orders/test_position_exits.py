"""PUT /positions/{portfolio}/{symbol}/exits sets stop-loss and take-profit of an existing position."""

import pytest

from tests.orders.rig import amount
from tests.orders.test_stopping import set_switch

pytestmark = pytest.mark.any_database

PATH = "/positions/Growth/AAPL/exits"
BOTH = {"take_profit": {"limit_price": "108"}, "stop_loss": {"stop_price": "95"}}


@pytest.fixture
def held(market):
    """Provide 100 AAPL bought at 100, without exits."""
    market.order(quantity="100")
    return market


def put(api, body, path=PATH):
    answer = api.put(path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()["orders"]


def levels(api):
    position = api.get("/positions/Growth/AAPL").json()
    return position["stop_loss"], position["take_profit"]


def quantity(api):
    return api.portfolio()["positions"]["AAPL"]["quantity"]


def test_stop_loss_and_take_profit_cover_the_whole_position(held):
    target, stop = put(held, BOTH)
    assert (target["role"], target["type"], target["side"], target["quantity"]) == (
        *("take_profit", "LIMIT", "SELL", "100"),
    )
    assert (stop["role"], stop["type"], stop["time_in_force"]) == ("stop_loss", "STOP", "GTC")
    assert levels(held) == ("95.00", "108.00")


@pytest.mark.parametrize(("price", "filled"), [("108", 0), ("95", 1)])
def test_exit_fill_cancels_the_other_exit(held, price, filled):
    orders = put(held, BOTH)
    held.quote("AAPL", price, price, price)
    assert quantity(held) == "0"
    statuses = [held.found(one["id"])["status"] for one in orders]
    assert (statuses.pop(filled), statuses) == ("FILLED", ["CANCELED"])


def test_exits_of_a_short_position_buy(market):
    market.order(side="SELL", quantity="100")
    put(market, {"take_profit": "92", "stop_loss": "105"})
    market.quote("AAPL", "105", "105", "105")
    assert quantity(market) == "0"


def test_new_exits_replace_the_previous_exits(held):
    old = put(held, BOTH)
    (stop,) = put(held, {"stop_loss": {"stop_price": "97", "limit_price": "96"}})
    assert (stop["type"], stop["role"]) == ("STOP_LIMIT", "stop_loss")
    assert {held.found(one["id"])["status"] for one in old} == {"CANCELED"}
    assert levels(held) == ("97.00", None)
    assert put(held, {}) == []
    assert levels(held) == (None, None)


def test_exits_of_a_filled_bracket_are_replaced(market):
    order = market.order(quantity="100", take_profit={"limit_price": "120"}, stop_loss={"stop_price": "80"})
    put(market, BOTH)
    assert {leg["status"] for leg in market.found(order["id"])["legs"]} == {"CANCELED"}
    assert levels(market) == ("95.00", "108.00")


def test_exits_of_a_working_entry_are_not_replaced(market):
    market.quote("AAPL", "100", "100", "100", bid_size="40", ask_size="40")
    order = market.order(quantity="100", type="LIMIT", limit_price="100", stop_loss={"stop_price": "80"})
    assert order["filled_quantity"] == "40"
    answer = market.put(PATH, BOTH)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "exits-of-an-entry")
    assert order["id"] in answer.json()["detail"]


def test_identical_exits_change_nothing(held):
    assert [one["id"] for one in put(held, BOTH)] == [one["id"] for one in put(held, BOTH)]


def test_exits_follow_the_remaining_position(held):
    (stop,) = put(held, {"stop_loss": "95"})
    held.trade(side="SELL", quantity="70", gmv="7000", portfolio_name="Growth")
    assert held.found(stop["id"])["leaves_quantity"] == "30"
    held.quote("AAPL", "94", "94", "94")
    assert quantity(held) == "0"


@pytest.mark.parametrize(
    ("body", "code"),
    [({"stop_loss": "101"}, "EXIT_PRICE"), ({**BOTH, "stop_loss": "95.001"}, "TICK_SIZE")],
)
def test_denied_exit_keeps_the_previous_exits(held, body, code):
    put(held, BOTH)
    held.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    answer = held.put(PATH, body)
    assert (answer.status_code, answer.json()["denial"]["code"]) == (422, code)
    assert levels(held) == ("95.00", "108.00")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"take_profit": "95", "stop_loss": "108"}, "stop_loss.stop_price"),
        ({"stop_loss": {"stop_price": "95", "limit_price": "96"}}, "stop_loss.limit_price"),
        ({"stop_loss": "-1"}, "stop_loss.stop_price"),
        ({"stop": "95"}, "stop"),
    ],
)
def test_invalid_exits_are_rejected_by_field(held, body, field):
    answer = held.put(PATH, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_exits_need_an_open_position_in_a_known_portfolio(held):
    assert held.put("/positions/Growth/MSFT/exits", BOTH).status_code == 422
    assert held.put("/positions/Growht/AAPL/exits", BOTH).status_code == 404


def test_halt_rejects_new_exits(held):
    set_switch(held, "HALTED")
    answer = held.put(PATH, BOTH)
    assert (answer.status_code, answer.json()["denial"]["code"]) == (422, "HALTED")


def test_exits_accept_symbols_with_a_slash_and_aliases(market):
    market.quote("BTC/USD", "100", "100", "100")
    market.order(symbol="BTC/USD", quantity="2")
    (stop,) = put(market, {"stop_loss": "95"}, "/positions/growth/BTC/USD/exits")
    assert amount(stop["quantity"]) == 2
