"""Positions show the prices of the working orders that close them."""

from tests.orders.requests import set_switch

EXIT_TERMS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}


def get_levels(api, **params):
    (position,) = api.get("/positions", **params).json()
    return position["stop_loss"], position["take_profit"]


def test_position_levels_are_the_exits_of_its_bracket(market):
    order = market.place_order(quantity="10", **EXIT_TERMS)
    assert get_levels(market) == ("80.00", "120.00")
    position = market.get("/positions/Growth/AAPL").json()
    assert (position["stop_loss"], position["take_profit"]) == ("80.00", "120.00")
    stop = next(leg for leg in order["legs"] if leg["role"] == "stop_loss")
    assert market.patch(f"/orders/{stop['id']}", {"stop_price": "85"}).status_code == 200
    assert get_levels(market) == ("85.00", "120.00")


def test_position_without_exits_has_no_levels(market):
    market.place_order(quantity="10")
    market.place_order(
        side="SELL", type="LIMIT", limit_price="120", quantity="10"
    )  # no exit: a separate order
    assert get_levels(market) == (None, None)


def test_opposite_entry_is_not_a_level(market):
    market.place_order(quantity="10")
    legs = {"take_profit": {"limit_price": "90"}, "stop_loss": {"stop_price": "140"}}
    market.place_order(side="SELL", type="LIMIT", limit_price="120", quantity="10", **legs)
    assert get_levels(market) == (None, None)


def test_flat_position_has_no_levels(market):
    market.place_order(quantity="10", **EXIT_TERMS)
    market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert get_levels(market, include_closed="true") == (None, None)


def test_legs_waiting_for_their_entry_are_not_levels_of_another_position(market):
    market.place_order(quantity="10")
    market.place_order(
        type="LIMIT", limit_price="90", quantity="5", **{**EXIT_TERMS, "stop_loss": {"stop_price": "70"}}
    )
    assert get_levels(market) == (None, None)


def test_nearest_of_several_exits_is_the_level(market):
    market.place_order(quantity="10", **EXIT_TERMS)
    market.place_order(quantity="10", take_profit={"limit_price": "110"}, stop_loss={"stop_price": "70"})
    assert get_levels(market) == ("80.00", "110.00")


def test_short_position_levels_are_mirrored(market):
    for target, stop in (("80", "120"), ("70", "115")):
        legs = {"take_profit": {"limit_price": target}, "stop_loss": {"stop_price": stop}}
        market.place_order(side="SELL", quantity="10", **legs)
    assert get_levels(market) == ("115.00", "80.00")


def test_trailing_stop_level_is_its_current_stop_price(market):
    market.place_order(quantity="10")
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "10"}
    pair_terms = [
        {**ticket, "type": "LIMIT", "limit_price": "130"},
        {**ticket, "type": "TRAILING_STOP", "trail_amount": "5"},
    ]
    assert market.post("/orders:group", {"kind": "OCO", "orders": pair_terms}).status_code == 201
    market.set_quote("AAPL", "109", "111", "110")
    assert get_levels(market) == ("105.00", "130.00")


def test_exits_of_another_portfolio_or_product_are_not_levels(market):
    market.place_order(quantity="10", portfolio_name="Other", **EXIT_TERMS)
    market.place_order(quantity="10", product="NRML", **EXIT_TERMS)
    market.place_order(quantity="10")
    assert get_levels(market, portfolio="Growth", product="") == (None, None)


def test_exits_released_while_reducing_are_levels(market):
    market.place_order(type="LIMIT", limit_price="90", quantity="10", time_in_force="GTC", **EXIT_TERMS)
    set_switch(market, "REDUCING")
    market.set_quote("AAPL", "88", "89", "89")
    assert get_levels(market) == ("80.00", "120.00")
