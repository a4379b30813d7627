"""Positions at their marks, in all portfolios, open and closed."""

import pytest

from tests.risk.risk_requests import set_quote


def list_positions(api, **params):
    response = api.get("/positions", **params)
    assert response.status_code == 200, response.text
    return response.json()


def list_names(positions):
    return [(item["portfolio_name"], item["symbol"]) for item in positions]


def test_position_is_marked_at_the_quote_midpoint(api):
    bought = api.buy("100", "90")
    set_quote(api, bid="99", ask="102", last="100")
    [body] = list_positions(api)
    assert {name: body[name] for name in body if name != "mark_age_seconds"} == {
        "portfolio_name": "Growth",
        "symbol": "AAPL",
        "product": None,
        "quantity": "100",
        "avg_cost": "90.00",
        "cost": "9000.00",
        "realized_pnl": "0.00",
        "mark": "100.50",
        "mark_source": "quote",
        "mark_is_stale": False,
        "market_value": "10050.00",
        "unrealized_pnl": "1050.00",
        "charges": "0.00",
        "total_pnl": "1050.00",
        "highest_price": "100.50",
        "lowest_price": "90.00",
        "max_drawdown": "0.00",
        "risk_reward": None,
        "stop_loss": None,
        "take_profit": None,
        "currency": "USD",
        "base_currency": "USD",
        "fx_rate": None,
        "local_cost": None,
        "opened_at": bought["timestamp"],
        "closed_at": None,
        "updated_at": bought["timestamp"],
    }
    assert 0 <= body["mark_age_seconds"] < 60
    assert api.get("/positions/Growth/AAPL").json().keys() == body.keys()


def test_short_position_loses_value_when_prices_rise(api):
    api.sell("10", "90")
    set_quote(api, bid=None, ask=None, last="100")
    [body] = list_positions(api)
    assert (body["quantity"], body["cost"], body["market_value"]) == ("-10", "-900.00", "-1000.00")
    assert body["unrealized_pnl"] == "-100.00"


def test_position_without_a_quote_is_marked_at_the_last_trade(serve):
    with serve(price_source="manual") as service:
        api = service.create_client()
        api.buy("10", "100")
        api.buy("10", "110")
        [body] = list_positions(api)
        assert (body["mark"], body["mark_source"], body["unrealized_pnl"]) == ("110.00", "trade", "100.00")


def test_closed_positions_are_listed_on_request(api):
    api.buy("10", "100")
    api.sell("10", "120")
    api.buy("5", "10", symbol="MSFT")
    assert list_names(list_positions(api)) == [("Growth", "MSFT")]
    closed, still_open = list_positions(api, include_closed="true")
    assert (closed["symbol"], closed["quantity"], closed["realized_pnl"]) == ("AAPL", "0", "200.00")
    assert (closed["opened_at"], closed["market_value"], still_open["symbol"]) == (None, "0.00", "MSFT")
    assert api.get("/positions/growth/aapl").json()["realized_pnl"] == "200.00"


def test_position_opening_time_is_the_last_departure_from_zero(api):
    def opened_at():
        return api.get("/positions/Growth/AAPL").json()["opened_at"]

    first = api.buy("10", "100")
    api.buy("5", "100")
    api.sell("3", "100")
    assert opened_at() == first["timestamp"]
    api.sell("12", "100")
    assert opened_at() is None
    second_trade = api.buy("0.1", "100")
    api.buy("0.2", "100")
    assert opened_at() == second_trade["timestamp"]
    through = api.sell("5", "100")
    api.sell("5", "100")
    assert opened_at() == through["timestamp"]
    back = api.buy("20", "100")
    assert opened_at() == back["timestamp"]


def test_positions_are_filtered_by_their_fields(api):
    api.buy("1", "10", portfolio_name="Growth")
    api.sell("1", "10", portfolio_name="Growth", symbol="MSFT")
    api.buy("1", "10", portfolio_name="Income")
    assert list_names(list_positions(api)) == [("Growth", "AAPL"), ("Growth", "MSFT"), ("Income", "AAPL")]
    assert list_names(list_positions(api, portfolio="GROWTH")) == [("Growth", "AAPL"), ("Growth", "MSFT")]
    assert list_names(list_positions(api, symbol="aapl")) == [("Growth", "AAPL"), ("Income", "AAPL")]
    assert list_names(list_positions(api, side="short")) == [("Growth", "MSFT")]
    assert list_names(list_positions(api, side="long", portfolio="Growth")) == [("Growth", "AAPL")]
    assert list_positions(api, product="MIS") == []
    assert list_positions(api, portfolio="Nobody") == []


def test_positions_are_listed_in_pages(api):
    for symbol in ("AAPL", "BTC/USD", "MSFT"):
        for name in ("Growth", "Income"):
            api.buy("1", "10", symbol=symbol, portfolio_name=name)
    rows, link = [], "/positions?limit=4"
    while link:
        response = api.get(link.removeprefix("/api/v1"))
        rows += list_names(response.json())
        link = response.links.get("next", {}).get("url")
    assert rows == list_names(list_positions(api))
    assert len(rows) == 6


def test_position_of_a_symbol_with_a_slash_has_a_path(api):
    api.buy("0.5", "60000", symbol="BTC/USD")
    assert api.get("/positions/Growth/BTC/USD").json()["quantity"] == "0.5"


@pytest.mark.parametrize("address", ["Growth/MSFT", "Nobody/AAPL"])
def test_position_never_traded_is_not_found(api, address):
    api.buy("1", "10")
    assert api.get(f"/positions/{address}").status_code == 404


def test_positions_of_another_tenant_are_not_found(service, api):
    api.buy("1", "10")
    other = service.create_client()
    assert list_positions(other, include_closed="true") == []
    assert other.get("/positions/Growth/AAPL").status_code == 404


def test_products_are_separate_positions(api):
    set_quote(api)
    api.open_portfolio()
    for product, quantity in (("CNC", "3"), ("MIS", "4")):
        ticket = {"symbol": "AAPL", "side": "BUY", "type": "MARKET", "quantity": quantity, "product": product}
        assert api.post("/orders", ticket | {"portfolio_name": "Growth"}).status_code == 201
    assert [(item["product"], item["quantity"]) for item in list_positions(api)] == [
        ("CNC", "3"),
        ("MIS", "4"),
    ]
    assert api.get("/positions/Growth/AAPL").status_code == 422
    assert api.get("/positions/Growth/AAPL", product="MIS").json()["quantity"] == "4"
    api.buy("5", "100")
    assert api.get("/positions/Growth/AAPL").json()["quantity"] == "5"


def test_position_shows_its_closing_time_until_the_close_is_reversed(api):
    bought = api.buy("10", "100")
    sold = api.sell("10", "110")
    [flat] = list_positions(api, include_closed="true")
    assert (flat["opened_at"], flat["closed_at"]) == (None, sold["timestamp"])
    api.post_reversal(sold["trade_id"])
    [body] = list_positions(api)
    assert (body["opened_at"], body["closed_at"]) == (bought["timestamp"], None)
    api.post_reversal(bought["trade_id"])
    [never] = list_positions(api, include_closed="true")
    assert (never["opened_at"], never["closed_at"]) == (None, None)


def test_position_through_zero_has_a_new_opening_time(api):
    api.buy("10", "100")
    turned = api.sell("15", "110")
    [body] = list_positions(api)
    assert (body["quantity"], body["opened_at"], body["closed_at"]) == ("-5", turned["timestamp"], None)
