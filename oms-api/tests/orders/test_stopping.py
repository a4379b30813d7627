"""The kill switch and orders: HALTED accepts no orders, allows all cancels, and can flatten."""


def set_switch(api, state, **facts):
    answer = api.post("/kill-switch", {"scope": "tenant", "name": None, "state": state} | facts)
    assert answer.status_code == 200, answer.text
    return answer.json()


WAITING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def denied(answer):
    assert answer.status_code == 422, answer.text
    return answer.json()["denial"]["code"]


def test_halted_rejects_orders_and_allows_cancels(market):
    market.order(quantity="10")
    order = market.order(side="SELL", type="LIMIT", limit_price="110", quantity="10")
    set_switch(market, "HALTED")
    assert denied(market.place()) == "HALTED"
    assert denied(market.patch(f"/orders/{order['id']}", {"quantity": "9"})) == "HALTED"
    assert market.post(f"/orders/{order['id']}/cancel", {}).status_code == 200
    set_switch(market, "ACTIVE")
    assert market.place().status_code == 201


def test_reducing_allows_only_orders_that_reduce_a_position(market):
    market.order(quantity="10")
    set_switch(market, "REDUCING")
    assert denied(market.place(side="BUY")) == "REDUCING"
    assert denied(market.place(side="SELL", quantity="11")) == "REDUCING"
    assert market.place(side="SELL", quantity="10").status_code == 201


def test_strategy_switch_stops_only_that_strategy(market):
    set_switch(market, "HALTED", scope="strategy", name="S")
    assert denied(market.place(strategy="S")) == "HALTED"
    assert market.place().status_code == 201


def test_flatten_cancels_all_orders_closes_at_market_and_reports_it(market):
    market.order(quantity="10")
    market.order(symbol="MSFT", side="SELL", quantity="3")
    waiting = market.order(**WAITING)
    proof = set_switch(market, "HALTED", flatten=True)["flattened"]
    assert (proof["canceled"], len(proof["closed"]), proof["left"]) == ([waiting["id"]], 2, [])
    positions = market.portfolio()["positions"]
    assert {held["quantity"] for held in positions.values()} == {"0"}
    assert denied(market.place()) == "HALTED"


def test_portfolio_flatten_leaves_other_portfolios_unchanged(market):
    market.order(quantity="10")
    market.order(quantity="5", portfolio_name="Other")
    set_switch(market, "HALTED", scope="portfolio", name="Growth", flatten=True)
    assert market.portfolio()["positions"]["AAPL"]["quantity"] == "0"
    assert market.portfolio("Other")["positions"]["AAPL"]["quantity"] == "5"


def test_bracket_exits_are_released_while_reducing(market):
    entry = market.order(**WAITING, take_profit={"limit_price": "110"}, stop_loss={"stop_price": "80"})
    set_switch(market, "REDUCING")
    market.quote("AAPL", "89", "90", "90")
    held = market.found(entry["id"])
    assert held["status"] == "FILLED"
    assert [(leg["status"], leg["leaves_quantity"]) for leg in held["legs"]] == [("ACCEPTED", "10")] * 2
    market.quote("AAPL", "79", "80", "79")
    assert market.portfolio()["positions"]["AAPL"]["quantity"] == "0"
