"""Positions at their marks, across portfolios, open and closed."""

import pytest

from tests.risk.desks import put_quote


def positions(desk, **params):
    answer = desk.get("/positions", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found):
    return [(one["portfolio_name"], one["symbol"]) for one in found]


def test_a_position_at_the_middle_of_its_quote(desk):
    bought = desk.buy("100", "90")
    put_quote(desk, bid="99", ask="102", last="100")
    [told] = positions(desk)
    assert {name: told[name] for name in told if name != "mark_age_seconds"} == {
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
    assert 0 <= told["mark_age_seconds"] < 60
    assert desk.get("/positions/Growth/AAPL").json().keys() == told.keys()


def test_a_short_is_worth_less_when_prices_rise(desk):
    desk.sell("10", "90")
    put_quote(desk, bid=None, ask=None, last="100")
    [told] = positions(desk)
    assert (told["quantity"], told["cost"], told["market_value"]) == ("-10", "-900.00", "-1000.00")
    assert told["unrealized_pnl"] == "-100.00"


def test_where_nobody_quotes_the_last_trade_is_the_mark(serve):
    with serve(price_source="manual") as service:
        desk = service.desk()
        desk.buy("10", "100")
        desk.buy("10", "110")
        [told] = positions(desk)
        assert (told["mark"], told["mark_source"], told["unrealized_pnl"]) == ("110.00", "trade", "100.00")


def test_closed_positions_are_told_when_asked_for(desk):
    desk.buy("10", "100")
    desk.sell("10", "120")
    desk.buy("5", "10", symbol="MSFT")
    assert names(positions(desk)) == [("Growth", "MSFT")]
    closed, still_open = positions(desk, include_closed="true")
    assert (closed["symbol"], closed["quantity"], closed["realized_pnl"]) == ("AAPL", "0", "200.00")
    assert (closed["opened_at"], closed["market_value"], still_open["symbol"]) == (None, "0.00", "MSFT")
    assert desk.get("/positions/growth/aapl").json()["realized_pnl"] == "200.00"


def test_a_position_was_opened_when_it_last_left_zero_or_went_through_it(desk):
    def opened_at():
        return desk.get("/positions/Growth/AAPL").json()["opened_at"]

    first = desk.buy("10", "100")
    desk.buy("5", "100")
    desk.sell("3", "100")
    assert opened_at() == first["timestamp"]
    desk.sell("12", "100")
    assert opened_at() is None
    again = desk.buy("0.1", "100")
    desk.buy("0.2", "100")
    assert opened_at() == again["timestamp"]
    through = desk.sell("5", "100")
    desk.sell("5", "100")
    assert opened_at() == through["timestamp"]
    back = desk.buy("20", "100")
    assert opened_at() == back["timestamp"]


def test_positions_are_found_by_what_is_asked_for(desk):
    desk.buy("1", "10", portfolio_name="Growth")
    desk.sell("1", "10", portfolio_name="Growth", symbol="MSFT")
    desk.buy("1", "10", portfolio_name="Income")
    assert names(positions(desk)) == [("Growth", "AAPL"), ("Growth", "MSFT"), ("Income", "AAPL")]
    assert names(positions(desk, portfolio="GROWTH")) == [("Growth", "AAPL"), ("Growth", "MSFT")]
    assert names(positions(desk, symbol="aapl")) == [("Growth", "AAPL"), ("Income", "AAPL")]
    assert names(positions(desk, side="short")) == [("Growth", "MSFT")]
    assert names(positions(desk, side="long", portfolio="Growth")) == [("Growth", "AAPL")]
    assert positions(desk, product="MIS") == []
    assert positions(desk, portfolio="Nobody") == []


def test_a_long_list_goes_on_page_by_page(desk):
    for symbol in ("AAPL", "BTC/USD", "MSFT"):
        for name in ("Growth", "Income"):
            desk.buy("1", "10", symbol=symbol, portfolio_name=name)
    found, link = [], "/positions?limit=4"
    while link:
        answer = desk.get(link.removeprefix("/api/v1"))
        found += names(answer.json())
        link = answer.links.get("next", {}).get("url")
    assert found == names(positions(desk))
    assert len(found) == 6


def test_a_symbol_with_a_slash_has_its_address(desk):
    desk.buy("0.5", "60000", symbol="BTC/USD")
    assert desk.get("/positions/Growth/BTC/USD").json()["quantity"] == "0.5"


@pytest.mark.parametrize("address", ["Growth/MSFT", "Nobody/AAPL"])
def test_what_was_never_traded_is_not_found(desk, address):
    desk.buy("1", "10")
    assert desk.get(f"/positions/{address}").status_code == 404


def test_nothing_of_another_tenant_is_seen(service, desk):
    desk.buy("1", "10")
    other = service.desk()
    assert positions(other, include_closed="true") == []
    assert other.get("/positions/Growth/AAPL").status_code == 404


def test_products_are_positions_of_their_own(desk):
    put_quote(desk)
    desk.open_portfolio()
    for product, quantity in (("CNC", "3"), ("MIS", "4")):
        ticket = {"symbol": "AAPL", "side": "BUY", "type": "MARKET", "quantity": quantity, "product": product}
        assert desk.post("/orders", ticket | {"portfolio_name": "Growth"}).status_code == 201
    assert [(one["product"], one["quantity"]) for one in positions(desk)] == [("CNC", "3"), ("MIS", "4")]
    assert desk.get("/positions/Growth/AAPL").status_code == 422
    assert desk.get("/positions/Growth/AAPL", product="MIS").json()["quantity"] == "4"
    desk.buy("5", "100")
    assert desk.get("/positions/Growth/AAPL").json()["quantity"] == "5"


def test_a_position_tells_when_it_was_closed_and_a_reversal_takes_that_back(desk):
    bought = desk.buy("10", "100")
    sold = desk.sell("10", "110")
    [flat] = positions(desk, include_closed="true")
    assert (flat["opened_at"], flat["closed_at"]) == (None, sold["timestamp"])
    desk.reverse(sold["trade_id"])
    [held] = positions(desk)
    assert (held["opened_at"], held["closed_at"]) == (bought["timestamp"], None)
    desk.reverse(bought["trade_id"])
    [never] = positions(desk, include_closed="true")
    assert (never["opened_at"], never["closed_at"]) == (None, None)


def test_through_zero_a_position_is_opened_anew(desk):
    desk.buy("10", "100")
    turned = desk.sell("15", "110")
    [held] = positions(desk)
    assert (held["quantity"], held["opened_at"], held["closed_at"]) == ("-5", turned["timestamp"], None)
