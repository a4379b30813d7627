"""The kill switch and portfolios that are created, renamed, or have separate orders.

The emphasis is on reported trades.
"""

import pytest

from tests.risk.risk_requests import put_limit, put_quote, set_switch, try_order

pytestmark = pytest.mark.any_database


@pytest.fixture
def quoted(api):
    put_quote(api)
    return api


def refused(answer):
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"].rpartition("/")[2] == "kill-switch"
    return problem["detail"].partition(":")[0]


def make(api, name):
    body = {"name": name, "base_currency": "USD", "opening_cash": "1000"}
    assert api.post("/portfolios", body).status_code == 201


def rename(api, name, new_name):
    response = api.patch(f"/portfolios/{name}", {"name": new_name})
    assert response.status_code == 200, response.text


def switches(api):
    return {(row["scope"], row["name"]): row["state"] for row in api.get("/kill-switch").json()}


def test_rejection_names_the_switch_that_stops_the_trade(api):
    api.trade()
    set_switch(api, "HALTED")
    assert refused(api.report()) == "The kill switch of the tenant is HALTED"
    set_switch(api, "REDUCING", "portfolio", "Growth")
    assert refused(api.report()) == "The kill switch of the tenant is HALTED"
    set_switch(api, "ACTIVE")
    assert refused(api.report()) == "The kill switch of portfolio 'Growth' is REDUCING"


@pytest.mark.parametrize("state", ["HALTED", "REDUCING"])
def test_portfolio_created_during_a_tenant_halt_is_halted(api, state):
    set_switch(api, state)
    make(api, "Fresh")
    assert refused(api.report(portfolio_name="Fresh")) == f"The kill switch of the tenant is {state}"
    set_switch(api, "ACTIVE")
    assert api.report(portfolio_name="Fresh").status_code == 201


def test_portfolio_created_under_a_halted_name_is_halted(api):
    set_switch(api, "HALTED", "portfolio", "fresh")
    make(api, "Fresh")
    make(api, "Another")
    assert refused(api.report(portfolio_name="Fresh")) == "The kill switch of portfolio 'Fresh' is HALTED"
    assert api.report(portfolio_name="Another").status_code == 201


def test_switch_follows_a_renamed_portfolio(quoted):
    quoted.trade()
    set_switch(quoted, "HALTED", "portfolio", "Growth", reason="Bad prices")
    rename(quoted, "Growth", "Income")
    assert switches(quoted) == {("tenant", None): "ACTIVE", ("portfolio", "Income"): "HALTED"}
    assert (
        refused(quoted.report(portfolio_name="Income")) == "The kill switch of portfolio 'Income' is HALTED"
    )
    assert try_order(quoted, portfolio_name="Income").json()["denial"]["code"] == "HALTED"
    set_switch(quoted, "HALTED", "strategy", "momentum")  # which settles all portfolios again
    assert quoted.report(portfolio_name="Income").status_code == 422
    assert quoted.report(portfolio_name="Growth").status_code == 201  # another one, of the old name
    set_switch(quoted, "ACTIVE", "portfolio", "Income")
    assert quoted.report(portfolio_name="Income").status_code == 201
    assert try_order(quoted, portfolio_name="Income").status_code == 201


def test_switch_set_for_an_unused_name_applies_after_a_rename_to_it(quoted):
    quoted.trade()
    set_switch(quoted, "HALTED", "portfolio", "Income")
    rename(quoted, "Growth", "Income")
    assert quoted.report(portfolio_name="Income").status_code == 422
    assert try_order(quoted, portfolio_name="Income").status_code == 422


@pytest.mark.parametrize(
    ("own", "waiting", "left"),
    [
        ("REDUCING", "HALTED", "HALTED"),
        ("HALTED", "REDUCING", "HALTED"),
        ("REDUCING", "ACTIVE", "REDUCING"),
        ("ACTIVE", "ACTIVE", "ACTIVE"),
    ],
)
def test_rename_keeps_the_stricter_of_two_switches(api, own, waiting, left):
    api.trade()
    set_switch(api, own, "portfolio", "Growth", reason="own")
    set_switch(api, waiting, "portfolio", "Income", reason="waiting")
    rename(api, "Growth", "Income")
    assert switches(api) == {("tenant", None): "ACTIVE", ("portfolio", "Income"): left}
    reason = api.get("/kill-switch").json()[-1]["reason"]
    assert reason == ("waiting" if waiting == left != own else "own")


def test_switch_shows_the_current_spelling_of_the_name(api):
    api.trade()
    set_switch(api, "HALTED", "portfolio", "Growth")
    rename(api, "Growth", "GROWTH")
    assert switches(api)["portfolio", "GROWTH"] == "HALTED"
    assert api.report(portfolio_name="growth").status_code == 422


def test_limits_follow_a_renamed_portfolio_and_replace_those_of_the_new_name(quoted):
    quoted.trade(quantity="1", gmv="1")
    put_limit(quoted, "MAX_ORDER_QUANTITY", "5", "portfolio", "Growth")
    put_limit(quoted, "MAX_ORDER_QUANTITY", "9", "portfolio", "Income")
    put_limit(quoted, "MAX_OPEN_ORDERS", "3", "portfolio", "Income")
    rename(quoted, "Growth", "Income")
    listed = {(row["name"], row["code"]): row["value"] for row in quoted.get("/limits").json()}
    assert listed == {("Income", "MAX_ORDER_QUANTITY"): "5.00", ("Income", "MAX_OPEN_ORDERS"): "3.00"}


def test_reducing_limits_a_reported_trade_to_quantity_not_held_by_orders(quoted):
    quoted.trade(quantity="100", gmv="10000")
    for quantity, price in (("60", "150"), ("10", "160")):
        resting = {"side": "SELL", "quantity": quantity, "type": "LIMIT", "limit_price": price}
        assert try_order(quoted, **resting).status_code == 201
    set_switch(quoted, "REDUCING", "portfolio", "Growth")
    sell = {"side": "SELL", "gmv": "10"}
    assert (
        refused(quoted.report(quantity="31", **sell)) == "The kill switch of portfolio 'Growth' is REDUCING"
    )
    assert quoted.report(quantity="30", **sell).status_code == 201
    assert quoted.report(quantity="1", **sell).status_code == 422
    assert quoted.report(side="BUY", quantity="1", gmv="10").status_code == 422


def test_reducing_ignores_an_oco_pair_that_only_closes(quoted):
    quoted.trade(quantity="100", gmv="10000")
    exits = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "60"}
    pair = [
        exits | {"type": "LIMIT", "limit_price": "150"},
        exits | {"type": "STOP", "stop_price": "50"},
    ]
    assert quoted.post("/orders:group", {"kind": "OCO", "orders": pair}).status_code == 201
    set_switch(quoted, "REDUCING")
    assert quoted.report(side="SELL", quantity="101", gmv="10").status_code == 422
    assert quoted.report(side="SELL", quantity="100", gmv="10").status_code == 201
    assert {item["status"] for item in quoted.get("/orders").json()} == {"CANCELED"}


def test_reducing_counts_an_oco_pair_larger_than_the_position(quoted):
    quoted.trade(quantity="100", gmv="10000")
    sale = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "101"}
    pair = [sale | {"type": "LIMIT", "limit_price": "150"}, sale | {"type": "STOP", "stop_price": "50"}]
    assert quoted.post("/orders:group", {"kind": "OCO", "orders": pair}).status_code == 201
    set_switch(quoted, "REDUCING")
    assert quoted.report(side="SELL", quantity="1", gmv="10").status_code == 422


def test_switches_and_limits_show_their_author_like_orders(quoted):
    order = try_order(quoted).json()
    placed_by = quoted.found(order["id"])["events"][0]["actor"]
    assert set_switch(quoted, "REDUCING").json()["set_by"] == placed_by
    assert put_limit(quoted, "MAX_PRICE", "5").json()["set_by"] == placed_by
    assert quoted.get("/kill-switch").json()[0]["set_by"] == placed_by
