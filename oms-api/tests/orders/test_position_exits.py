"""PUT /positions/{portfolio}/{symbol}/exits sets stop-loss and take-profit of an existing position."""

import pytest

from tests.orders.requests import set_switch
from tests.orders.writer_harness import to_decimal

pytestmark = pytest.mark.any_database

PATH = "/positions/Growth/AAPL/exits"
BOTH = {"take_profit": {"limit_price": "108"}, "stop_loss": {"stop_price": "95"}}


@pytest.fixture
def api_with_position(market):
    """Provide 100 AAPL bought at 100, without exits."""
    market.place_order(quantity="100")
    return market


def put_exits(api, body, path=PATH):
    response = api.put(path, body)
    assert response.status_code == 200, response.text
    return response.json()["orders"]


def get_levels(api):
    position = api.get("/positions/Growth/AAPL").json()
    return position["stop_loss"], position["take_profit"]


def get_quantity(api):
    return api.get_portfolio()["positions"]["AAPL"]["quantity"]


def test_stop_loss_and_take_profit_cover_the_whole_position(api_with_position):
    target, stop = put_exits(api_with_position, BOTH)
    assert target["role"] == "take_profit"
    assert target["type"] == "LIMIT"
    assert target["side"] == "SELL"
    assert target["quantity"] == "100"
    assert (stop["role"], stop["type"], stop["time_in_force"]) == ("stop_loss", "STOP", "GTC")
    assert get_levels(api_with_position) == ("95.00", "108.00")


@pytest.mark.parametrize(("price", "filled"), [("108", 0), ("95", 1)])
def test_exit_fill_cancels_the_other_exit(api_with_position, price, filled):
    orders = put_exits(api_with_position, BOTH)
    api_with_position.set_quote("AAPL", price, price, price)
    assert get_quantity(api_with_position) == "0"
    statuses = [api_with_position.get_order(order["id"])["status"] for order in orders]
    assert (statuses.pop(filled), statuses) == ("FILLED", ["CANCELED"])


def test_exits_of_a_short_position_buy(market):
    market.place_order(side="SELL", quantity="100")
    put_exits(market, {"take_profit": "92", "stop_loss": "105"})
    market.set_quote("AAPL", "105", "105", "105")
    assert get_quantity(market) == "0"


def test_new_exits_replace_the_previous_exits(api_with_position):
    old = put_exits(api_with_position, BOTH)
    (stop,) = put_exits(api_with_position, {"stop_loss": {"stop_price": "97", "limit_price": "96"}})
    assert (stop["type"], stop["role"]) == ("STOP_LIMIT", "stop_loss")
    assert {api_with_position.get_order(order["id"])["status"] for order in old} == {"CANCELED"}
    assert get_levels(api_with_position) == ("97.00", None)
    assert put_exits(api_with_position, {}) == []
    assert get_levels(api_with_position) == (None, None)


def test_exits_of_a_filled_bracket_are_replaced(market):
    order = market.place_order(
        quantity="100", take_profit={"limit_price": "120"}, stop_loss={"stop_price": "80"}
    )
    put_exits(market, BOTH)
    assert {leg["status"] for leg in market.get_order(order["id"])["legs"]} == {"CANCELED"}
    assert get_levels(market) == ("95.00", "108.00")


def test_exits_of_a_working_entry_are_not_replaced(market):
    market.set_quote("AAPL", "100", "100", "100", bid_size="40", ask_size="40")
    order = market.place_order(
        quantity="100", type="LIMIT", limit_price="100", stop_loss={"stop_price": "80"}
    )
    assert order["filled_quantity"] == "40"
    response = market.put(PATH, BOTH)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "exits-of-an-entry")
    assert order["id"] in response.json()["detail"]


def test_identical_exits_change_nothing(api_with_position):
    assert [order["id"] for order in put_exits(api_with_position, BOTH)] == [
        order["id"] for order in put_exits(api_with_position, BOTH)
    ]


def test_exits_follow_the_remaining_position(api_with_position):
    (stop,) = put_exits(api_with_position, {"stop_loss": "95"})
    api_with_position.record_trade(side="SELL", quantity="70", gmv="7000", portfolio_name="Growth")
    assert api_with_position.get_order(stop["id"])["leaves_quantity"] == "30"
    api_with_position.set_quote("AAPL", "94", "94", "94")
    assert get_quantity(api_with_position) == "0"


@pytest.mark.parametrize(
    ("body", "code"),
    [({"stop_loss": "101"}, "EXIT_PRICE"), ({**BOTH, "stop_loss": "95.001"}, "TICK_SIZE")],
)
def test_denied_exit_keeps_the_previous_exits(api_with_position, body, code):
    put_exits(api_with_position, BOTH)
    api_with_position.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    response = api_with_position.put(PATH, body)
    assert (response.status_code, response.json()["denial"]["code"]) == (422, code)
    assert get_levels(api_with_position) == ("95.00", "108.00")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"take_profit": "95", "stop_loss": "108"}, "stop_loss.stop_price"),
        ({"stop_loss": {"stop_price": "95", "limit_price": "96"}}, "stop_loss.limit_price"),
        ({"stop_loss": "-1"}, "stop_loss.stop_price"),
        ({"stop": "95"}, "stop"),
    ],
)
def test_invalid_exits_are_rejected_by_field(api_with_position, body, field):
    response = api_with_position.put(PATH, body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_exits_need_an_open_position_in_a_known_portfolio(api_with_position):
    assert api_with_position.put("/positions/Growth/MSFT/exits", BOTH).status_code == 422
    assert api_with_position.put("/positions/Growht/AAPL/exits", BOTH).status_code == 404


def test_halt_rejects_new_exits(api_with_position):
    set_switch(api_with_position, "HALTED")
    response = api_with_position.put(PATH, BOTH)
    assert (response.status_code, response.json()["denial"]["code"]) == (422, "HALTED")


def test_exits_accept_symbols_with_a_slash_and_aliases(market):
    market.set_quote("BTC/USD", "100", "100", "100")
    market.place_order(symbol="BTC/USD", quantity="2")
    (stop,) = put_exits(market, {"stop_loss": "95"}, "/positions/growth/BTC/USD/exits")
    assert to_decimal(stop["quantity"]) == 2
