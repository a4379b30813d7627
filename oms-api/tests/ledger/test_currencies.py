"""Trades in another currency than the portfolio's: cost in both currencies, at the rate of each fill."""

from decimal import Decimal

import pytest

from app.verify import verify_database
from tests.risk.risk_requests import events

SHARE = {"tick_size": "0.01", "lot_size": "1", "currency": "USD"}


def rate(api, price, pair="USD/INR"):
    api.quote(pair, None, None, price)


@pytest.fixture
def rupees(api):
    """Provide a desk with a portfolio of 1,000,000 INR, and a share that is listed in USD."""
    return in_rupees(api)


def in_rupees(api):
    made = {"name": "Growth", "base_currency": "INR", "opening_cash": "1000000"}
    assert api.post("/portfolios", made).status_code == 201
    assert api.put("/instruments/AAPL", SHARE).status_code == 200
    rate(api, "83.50")
    return api


def by_reports(api, side, quantity, price):
    api.trade(side=side, quantity=quantity, price=price, gmv=None)


def by_orders(api, side, quantity, price):
    api.quote("AAPL", price, price, price)
    assert api.order(side=side, quantity=quantity)["status"] == "FILLED"


@pytest.mark.parametrize("trade", [by_reports, by_orders])
def test_documented_currency_example_is_booked_exactly(rupees, trade):
    trade(rupees, "BUY", "10", "200")
    rate(rupees, "84")
    trade(rupees, "SELL", "4", "210")
    rate(rupees, "85")
    rupees.quote("AAPL", "205", "205", "205")
    book, body = rupees.portfolio(), rupees.get("/positions/Growth/AAPL").json()
    assert (book["base_currency"], book["realized_pnl"]) == ("INR", "3760.00")
    assert {name: body[name] for name in ("quantity", "mark", "currency", "fx_rate", "local_cost")} == {
        "quantity": "6", "mark": "205.00", "currency": "USD", "fx_rate": "85.00", "local_cost": "1200.00",
    }  # fmt: skip
    assert {name: body[name] for name in ("base_currency", "cost", "avg_cost", "market_value")} == {
        "base_currency": "INR", "cost": "100200.00", "avg_cost": "16700.00", "market_value": "104550.00",
    }  # fmt: skip
    assert (body["realized_pnl"], body["unrealized_pnl"]) == ("3760.00", "4350.00")
    assert Decimal(book["cash"]) + Decimal(body["market_value"]) == 1_008_110


def test_foreign_trade_shows_local_price_and_rate(rupees):
    body = rupees.buy("10", "200")
    assert (body["price"], body["gmv"], body["currency"], body["fx_rate"]) == (
        "200.00",
        "2000.00",
        "USD",
        "83.50",
    )
    assert body["position"]["cost"] == "167000.00"
    assert rupees.trades()[0] == body
    [event] = events(rupees, "trade.recorded")
    assert (event["data"]["currency"], event["data"]["fx_rate"]) == ("USD", "83.50")


@pytest.mark.parametrize("symbol", ["INFY", "MSFT"])
def test_unlisted_or_same_currency_instrument_is_not_converted(rupees, symbol):
    rupees.put("/instruments/INFY", SHARE | {"currency": "INR"})
    body = rupees.buy("10", "200", symbol=symbol)
    assert (body["position"]["cost"], body["currency"], body["fx_rate"]) == ("2000.00", None, None)
    held = rupees.get(f"/positions/Growth/{symbol}").json()
    assert (held["currency"], held["base_currency"]) == ("INR", "INR")
    assert (held["fx_rate"], held["local_cost"]) == (None, None)


def test_trade_without_an_exchange_rate_is_rejected(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    response = api.report(symbol="GOLD")
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["field"], error["code"]) == ("symbol", "no_rate")
    assert "ZZZ/USD" in error["message"]
    rate(api, "0.5", "ZZZ/USD")
    assert api.trade(symbol="GOLD", gmv="1000")["position"]["cost"] == "500.00"


def test_batch_item_without_a_rate_does_not_affect_others(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    body = {"symbol": "AAPL", "quantity": "1", "price": "5", "side": "BUY", "portfolio_name": "Growth"}
    outcomes = api.post("/trades:batch", {"trades": [body | {"symbol": "GOLD"}, body]}).json()["outcomes"]
    assert [item["status"] for item in outcomes] == [422, 201]


def test_foreign_short_and_fill_through_zero_are_booked_in_both_currencies(rupees):
    rupees.sell("3", "100")
    rate(rupees, "80")
    after = rupees.buy("5", "110")
    # 3 of 5 close: 550 × 80 × 3/5 = 26,400 against 300 × 83.5 = 25,050; 2 open for the rest.
    assert (after["realized_pnl"], after["position"]["cost"]) == ("-1350.00", "17600.00")
    assert rupees.get("/positions/Growth/AAPL").json()["local_cost"] == "220.00"


def test_reversal_restores_both_currencies(serve):
    with serve() as service:
        rupees = in_rupees(service.api())
        _reverse_the_second(rupees)
        assert verify_database(service.engine).clean


def _reverse_the_second(rupees):
    rupees.buy("10", "200")
    rate(rupees, "90")
    second = rupees.buy("10", "300")
    undone = rupees.reverse(second["trade_id"]).json()["trade"]
    assert (undone["currency"], undone["fx_rate"]) == ("USD", "90.00")
    body = rupees.get("/positions/Growth/AAPL").json()
    assert (body["cost"], body["local_cost"]) == ("167000.00", "2000.00")
    assert rupees.portfolio()["cash"] == "833000.00"


def test_position_keeps_its_currency_until_flat(rupees):
    first = rupees.buy("10", "200")
    response = rupees.put("/instruments/AAPL", SHARE | {"currency": "EUR"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert rupees.put("/instruments/AAPL", SHARE | {"lot_size": "2"}).status_code == 200
    rupees.sell("10", "200")
    assert rupees.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 200
    rate(rupees, "1.2", "EUR/USD")
    assert rupees.buy("10", "100")["fx_rate"] == "100.20"
    assert rupees.reverse(first["trade_id"]).status_code == 409


def test_listing_a_held_instrument_must_not_change_its_currency(rupees):
    rupees.buy("10", "200", symbol="MSFT")
    assert rupees.put("/instruments/MSFT", SHARE).status_code == 409
    assert rupees.put("/instruments/MSFT", SHARE | {"currency": "INR"}).status_code == 200


def test_instrument_currency_cannot_change_with_an_open_order(api):
    api.put("/instruments/AAPL", SHARE)
    api.quote("AAPL", "99", "101", "100")
    order = api.order(type="LIMIT", limit_price="50", time_in_force="GTC")
    assert api.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 409
    api.post(f"/orders/{order['id']}/cancel", {})
    assert api.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 200


def test_position_without_a_current_rate_is_valued_at_its_cost_rate(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    rate(api, "0.5", "ZZZ/USD")
    api.buy("10", "100", symbol="GOLD")
    api.quote("ZZZ/USD", "0.4", None, None)  # a bid alone is no mark
    api.quote("GOLD", "120", "120", "120")
    body = api.get("/positions/Growth/GOLD").json()
    assert (body["fx_rate"], body["unrealized_pnl"]) == ("0.50", "100.00")


def test_past_portfolio_shows_the_cost_at_that_time(rupees):
    rupees.buy("10", "200")
    rate(rupees, "90")
    rupees.buy("10", "200")
    then = rupees.portfolio(as_of="1")
    assert (then["cash"], then["positions"]["AAPL"]["cost"]) == ("833000.00", "167000.00")
