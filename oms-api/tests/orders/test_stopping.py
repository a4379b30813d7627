"""The kill switch and orders: HALTED accepts no orders, allows all cancels, and can flatten."""

from tests.orders.requests import RESTING_LIMIT_ORDER, get_denial_code, set_switch


def test_halted_rejects_orders_and_allows_cancels(market):
    market.place_order(quantity="10")
    order = market.place_order(side="SELL", type="LIMIT", limit_price="110", quantity="10")
    set_switch(market, "HALTED")
    assert get_denial_code(market.post_order()) == "HALTED"
    assert get_denial_code(market.patch(f"/orders/{order['id']}", {"quantity": "9"})) == "HALTED"
    assert market.post(f"/orders/{order['id']}/cancel", {}).status_code == 200
    set_switch(market, "ACTIVE")
    assert market.post_order().status_code == 201


def test_reducing_allows_only_orders_that_reduce_a_position(market):
    market.place_order(quantity="10")
    set_switch(market, "REDUCING")
    assert get_denial_code(market.post_order(side="BUY")) == "REDUCING"
    assert get_denial_code(market.post_order(side="SELL", quantity="11")) == "REDUCING"
    assert market.post_order(side="SELL", quantity="10").status_code == 201


def test_strategy_switch_stops_only_that_strategy(market):
    set_switch(market, "HALTED", scope="strategy", name="S")
    assert get_denial_code(market.post_order(strategy="S")) == "HALTED"
    assert market.post_order().status_code == 201


def test_flatten_cancels_all_orders_closes_at_market_and_reports_it(market):
    market.place_order(quantity="10")
    market.place_order(symbol="MSFT", side="SELL", quantity="3")
    waiting = market.place_order(**RESTING_LIMIT_ORDER)
    proof = set_switch(market, "HALTED", flatten=True)["flattened"]
    assert (proof["canceled"], len(proof["closed"]), proof["left"]) == ([waiting["id"]], 2, [])
    positions = market.get_portfolio()["positions"]
    assert {position["quantity"] for position in positions.values()} == {"0"}
    assert get_denial_code(market.post_order()) == "HALTED"


def test_portfolio_flatten_leaves_other_portfolios_unchanged(market):
    market.place_order(quantity="10")
    market.place_order(quantity="5", portfolio_name="Other")
    set_switch(market, "HALTED", scope="portfolio", name="Growth", flatten=True)
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"
    assert market.get_portfolio("Other")["positions"]["AAPL"]["quantity"] == "5"


def test_bracket_exits_are_released_while_reducing(market):
    entry = market.place_order(
        **RESTING_LIMIT_ORDER, take_profit={"limit_price": "110"}, stop_loss={"stop_price": "80"}
    )
    set_switch(market, "REDUCING")
    market.set_quote("AAPL", "89", "90", "90")
    held_order = market.get_order(entry["id"])
    assert held_order["status"] == "FILLED"
    assert [(leg["status"], leg["leaves_quantity"]) for leg in held_order["legs"]] == [("ACCEPTED", "10")] * 2
    market.set_quote("AAPL", "79", "80", "79")
    assert market.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"
