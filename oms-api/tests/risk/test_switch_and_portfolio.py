"""The kill switch and portfolios that are created, renamed, or have separate orders.

The emphasis is on reported trades.
"""

import pytest

from tests.risk.risk_requests import post_order, put_limit, set_quote, set_switch

pytestmark = pytest.mark.any_database


@pytest.fixture
def quoted_api(api):
    set_quote(api)
    return api


def assert_refused(response):
    assert response.status_code == 422, response.text
    problem = response.json()
    assert problem["type"].rpartition("/")[2] == "kill-switch"
    return problem["detail"].partition(":")[0]


def create_portfolio(api, name):
    body = {"name": name, "base_currency": "USD", "opening_cash": "1000"}
    assert api.post("/portfolios", body).status_code == 201


def rename_portfolio(api, name, new_name):
    response = api.patch(f"/portfolios/{name}", {"name": new_name})
    assert response.status_code == 200, response.text


def list_switches(api):
    return {(row["scope"], row["name"]): row["state"] for row in api.get("/kill-switch").json()}


def test_rejection_names_the_switch_that_stops_the_trade(api):
    api.record_trade()
    set_switch(api, "HALTED")
    assert assert_refused(api.post_trade()) == "The kill switch of the tenant is HALTED"
    set_switch(api, "REDUCING", "portfolio", "Growth")
    assert assert_refused(api.post_trade()) == "The kill switch of the tenant is HALTED"
    set_switch(api, "ACTIVE")
    assert assert_refused(api.post_trade()) == "The kill switch of portfolio 'Growth' is REDUCING"


@pytest.mark.parametrize("state", ["HALTED", "REDUCING"])
def test_portfolio_created_during_a_tenant_halt_is_halted(api, state):
    set_switch(api, state)
    create_portfolio(api, "Fresh")
    assert (
        assert_refused(api.post_trade(portfolio_name="Fresh")) == f"The kill switch of the tenant is {state}"
    )
    set_switch(api, "ACTIVE")
    assert api.post_trade(portfolio_name="Fresh").status_code == 201


def test_portfolio_created_under_a_halted_name_is_halted(api):
    set_switch(api, "HALTED", "portfolio", "fresh")
    create_portfolio(api, "Fresh")
    create_portfolio(api, "Another")
    assert (
        assert_refused(api.post_trade(portfolio_name="Fresh"))
        == "The kill switch of portfolio 'Fresh' is HALTED"
    )
    assert api.post_trade(portfolio_name="Another").status_code == 201


def test_switch_follows_a_renamed_portfolio(quoted_api):
    quoted_api.record_trade()
    set_switch(quoted_api, "HALTED", "portfolio", "Growth", reason="Bad prices")
    rename_portfolio(quoted_api, "Growth", "Income")
    assert list_switches(quoted_api) == {("tenant", None): "ACTIVE", ("portfolio", "Income"): "HALTED"}
    assert (
        assert_refused(quoted_api.post_trade(portfolio_name="Income"))
        == "The kill switch of portfolio 'Income' is HALTED"
    )
    assert post_order(quoted_api, portfolio_name="Income").json()["denial"]["code"] == "HALTED"
    set_switch(quoted_api, "HALTED", "strategy", "momentum")  # which settles all portfolios again
    assert quoted_api.post_trade(portfolio_name="Income").status_code == 422
    assert quoted_api.post_trade(portfolio_name="Growth").status_code == 201  # another one, of the old name
    set_switch(quoted_api, "ACTIVE", "portfolio", "Income")
    assert quoted_api.post_trade(portfolio_name="Income").status_code == 201
    assert post_order(quoted_api, portfolio_name="Income").status_code == 201


def test_switch_set_for_an_unused_name_applies_after_a_rename_to_it(quoted_api):
    quoted_api.record_trade()
    set_switch(quoted_api, "HALTED", "portfolio", "Income")
    rename_portfolio(quoted_api, "Growth", "Income")
    assert quoted_api.post_trade(portfolio_name="Income").status_code == 422
    assert post_order(quoted_api, portfolio_name="Income").status_code == 422


@pytest.mark.parametrize(
    ("own", "waiting", "expected_state"),
    [
        ("REDUCING", "HALTED", "HALTED"),
        ("HALTED", "REDUCING", "HALTED"),
        ("REDUCING", "ACTIVE", "REDUCING"),
        ("ACTIVE", "ACTIVE", "ACTIVE"),
    ],
)
def test_rename_keeps_the_stricter_of_two_switches(api, own, waiting, expected_state):
    api.record_trade()
    set_switch(api, own, "portfolio", "Growth", reason="own")
    set_switch(api, waiting, "portfolio", "Income", reason="waiting")
    rename_portfolio(api, "Growth", "Income")
    assert list_switches(api) == {("tenant", None): "ACTIVE", ("portfolio", "Income"): expected_state}
    reason = api.get("/kill-switch").json()[-1]["reason"]
    assert reason == ("waiting" if waiting == expected_state != own else "own")


def test_switch_shows_the_current_spelling_of_the_name(api):
    api.record_trade()
    set_switch(api, "HALTED", "portfolio", "Growth")
    rename_portfolio(api, "Growth", "GROWTH")
    assert list_switches(api)["portfolio", "GROWTH"] == "HALTED"
    assert api.post_trade(portfolio_name="growth").status_code == 422


def test_limits_of_a_renamed_portfolio_replace_limits_of_the_new_name(quoted_api):
    quoted_api.record_trade(quantity="1", gmv="1")
    put_limit(quoted_api, "MAX_ORDER_QUANTITY", "5", "portfolio", "Growth")
    put_limit(quoted_api, "MAX_ORDER_QUANTITY", "9", "portfolio", "Income")
    put_limit(quoted_api, "MAX_OPEN_ORDERS", "3", "portfolio", "Income")
    rename_portfolio(quoted_api, "Growth", "Income")
    listed = {(row["name"], row["code"]): row["value"] for row in quoted_api.get("/limits").json()}
    assert listed == {("Income", "MAX_ORDER_QUANTITY"): "5.00", ("Income", "MAX_OPEN_ORDERS"): "3.00"}


def test_reducing_limits_a_reported_trade_to_quantity_not_held_by_orders(quoted_api):
    quoted_api.record_trade(quantity="100", gmv="10000")
    for quantity, price in (("60", "150"), ("10", "160")):
        resting = {"side": "SELL", "quantity": quantity, "type": "LIMIT", "limit_price": price}
        assert post_order(quoted_api, **resting).status_code == 201
    set_switch(quoted_api, "REDUCING", "portfolio", "Growth")
    sell = {"side": "SELL", "gmv": "10"}
    assert (
        assert_refused(quoted_api.post_trade(quantity="31", **sell))
        == "The kill switch of portfolio 'Growth' is REDUCING"
    )
    assert quoted_api.post_trade(quantity="30", **sell).status_code == 201
    assert quoted_api.post_trade(quantity="1", **sell).status_code == 422
    assert quoted_api.post_trade(side="BUY", quantity="1", gmv="10").status_code == 422


def test_reducing_ignores_an_oco_pair_that_only_closes(quoted_api):
    quoted_api.record_trade(quantity="100", gmv="10000")
    exits = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "60"}
    pair_terms = [
        exits | {"type": "LIMIT", "limit_price": "150"},
        exits | {"type": "STOP", "stop_price": "50"},
    ]
    assert quoted_api.post("/orders:group", {"kind": "OCO", "orders": pair_terms}).status_code == 201
    set_switch(quoted_api, "REDUCING")
    assert quoted_api.post_trade(side="SELL", quantity="101", gmv="10").status_code == 422
    assert quoted_api.post_trade(side="SELL", quantity="100", gmv="10").status_code == 201
    assert {item["status"] for item in quoted_api.get("/orders").json()} == {"CANCELED"}


def test_reducing_counts_an_oco_pair_larger_than_the_position(quoted_api):
    quoted_api.record_trade(quantity="100", gmv="10000")
    sale = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "101"}
    pair_terms = [sale | {"type": "LIMIT", "limit_price": "150"}, sale | {"type": "STOP", "stop_price": "50"}]
    assert quoted_api.post("/orders:group", {"kind": "OCO", "orders": pair_terms}).status_code == 201
    set_switch(quoted_api, "REDUCING")
    assert quoted_api.post_trade(side="SELL", quantity="1", gmv="10").status_code == 422


def test_switches_and_limits_show_their_author_like_orders(quoted_api):
    order = post_order(quoted_api).json()
    placed_by = quoted_api.get_order(order["id"])["events"][0]["actor"]
    assert set_switch(quoted_api, "REDUCING").json()["set_by"] == placed_by
    assert put_limit(quoted_api, "MAX_PRICE", "5").json()["set_by"] == placed_by
    assert quoted_api.get("/kill-switch").json()[0]["set_by"] == placed_by
