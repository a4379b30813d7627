"""Trades in another currency than the portfolio's: cost in both currencies, at the rate of each fill."""

from decimal import Decimal

import pytest

from app.verify import verify_database
from tests.risk.risk_requests import list_events

SHARE = {"tick_size": "0.01", "lot_size": "1", "currency": "USD"}


def set_rate(api, price, currency_pair="USD/INR"):
    api.set_quote(currency_pair, None, None, price)


@pytest.fixture
def rupee_api(api):
    """Provide a desk with a portfolio of 1,000,000 INR, and a share that is listed in USD."""
    return get_rupee_portfolio(api)


def get_rupee_portfolio(api):
    body = {"name": "Growth", "base_currency": "INR", "opening_cash": "1000000"}
    assert api.post("/portfolios", body).status_code == 201
    assert api.put("/instruments/AAPL", SHARE).status_code == 200
    set_rate(api, "83.50")
    return api


def trade_by_report(api, side, quantity, price):
    api.record_trade(side=side, quantity=quantity, price=price, gmv=None)


def trade_by_order(api, side, quantity, price):
    api.set_quote("AAPL", price, price, price)
    assert api.place_order(side=side, quantity=quantity)["status"] == "FILLED"


@pytest.mark.parametrize("trade", [trade_by_report, trade_by_order])
def test_documented_currency_example_is_booked_exactly(rupee_api, trade):
    trade(rupee_api, "BUY", "10", "200")
    set_rate(rupee_api, "84")
    trade(rupee_api, "SELL", "4", "210")
    set_rate(rupee_api, "85")
    rupee_api.set_quote("AAPL", "205", "205", "205")
    book, body = rupee_api.get_portfolio(), rupee_api.get("/positions/Growth/AAPL").json()
    assert (book["base_currency"], book["realized_pnl"]) == ("INR", "3760.00")
    assert {name: body[name] for name in ("quantity", "mark", "currency", "fx_rate", "local_cost")} == {
        "quantity": "6", "mark": "205.00", "currency": "USD", "fx_rate": "85.00", "local_cost": "1200.00",
    }  # fmt: skip
    assert {name: body[name] for name in ("base_currency", "cost", "avg_cost", "market_value")} == {
        "base_currency": "INR", "cost": "100200.00", "avg_cost": "16700.00", "market_value": "104550.00",
    }  # fmt: skip
    assert (body["realized_pnl"], body["unrealized_pnl"]) == ("3760.00", "4350.00")
    assert Decimal(book["cash"]) + Decimal(body["market_value"]) == 1_008_110


def test_foreign_trade_shows_local_price_and_rate(rupee_api):
    body = rupee_api.buy("10", "200")
    assert body["price"] == "200.00"
    assert body["gmv"] == "2000.00"
    assert body["currency"] == "USD"
    assert body["fx_rate"] == "83.50"
    assert body["position"]["cost"] == "167000.00"
    assert rupee_api.list_trades()[0] == body
    [event] = list_events(rupee_api, "trade.recorded")
    assert (event["data"]["currency"], event["data"]["fx_rate"]) == ("USD", "83.50")


@pytest.mark.parametrize("symbol", ["INFY", "MSFT"])
def test_unlisted_or_same_currency_instrument_is_not_converted(rupee_api, symbol):
    rupee_api.put("/instruments/INFY", SHARE | {"currency": "INR"})
    body = rupee_api.buy("10", "200", symbol=symbol)
    assert (body["position"]["cost"], body["currency"], body["fx_rate"]) == ("2000.00", None, None)
    position = rupee_api.get(f"/positions/Growth/{symbol}").json()
    assert (position["currency"], position["base_currency"]) == ("INR", "INR")
    assert (position["fx_rate"], position["local_cost"]) == (None, None)


def test_trade_without_an_exchange_rate_is_rejected(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    response = api.post_trade(symbol="GOLD")
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["field"], error["code"]) == ("symbol", "no_rate")
    assert "ZZZ/USD" in error["message"]
    set_rate(api, "0.5", "ZZZ/USD")
    assert api.record_trade(symbol="GOLD", gmv="1000")["position"]["cost"] == "500.00"


def test_batch_item_without_a_rate_does_not_affect_others(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    body = {"symbol": "AAPL", "quantity": "1", "price": "5", "side": "BUY", "portfolio_name": "Growth"}
    outcomes = api.post("/trades:batch", {"trades": [body | {"symbol": "GOLD"}, body]}).json()["outcomes"]
    assert [item["status"] for item in outcomes] == [422, 201]


def test_foreign_short_and_fill_through_zero_are_booked_in_both_currencies(rupee_api):
    rupee_api.sell("3", "100")
    set_rate(rupee_api, "80")
    after = rupee_api.buy("5", "110")
    # 3 of 5 close: 550 × 80 × 3/5 = 26,400 against 300 × 83.5 = 25,050; 2 open for the rest.
    assert (after["realized_pnl"], after["position"]["cost"]) == ("-1350.00", "17600.00")
    assert rupee_api.get("/positions/Growth/AAPL").json()["local_cost"] == "220.00"


def test_reversal_restores_both_currencies(serve):
    with serve() as service:
        rupees = get_rupee_portfolio(service.create_client())
        _reverse_the_second(rupees)
        assert verify_database(service.engine).is_clean


def _reverse_the_second(rupees):
    rupees.buy("10", "200")
    set_rate(rupees, "90")
    second = rupees.buy("10", "300")
    undone = rupees.post_reversal(second["trade_id"]).json()["trade"]
    assert (undone["currency"], undone["fx_rate"]) == ("USD", "90.00")
    body = rupees.get("/positions/Growth/AAPL").json()
    assert (body["cost"], body["local_cost"]) == ("167000.00", "2000.00")
    assert rupees.get_portfolio()["cash"] == "833000.00"


def test_position_keeps_its_currency_until_flat(rupee_api):
    first = rupee_api.buy("10", "200")
    response = rupee_api.put("/instruments/AAPL", SHARE | {"currency": "EUR"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert rupee_api.put("/instruments/AAPL", SHARE | {"lot_size": "2"}).status_code == 200
    rupee_api.sell("10", "200")
    assert rupee_api.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 200
    set_rate(rupee_api, "1.2", "EUR/USD")
    assert rupee_api.buy("10", "100")["fx_rate"] == "100.20"
    assert rupee_api.post_reversal(first["trade_id"]).status_code == 409


def test_listing_a_held_instrument_must_not_change_its_currency(rupee_api):
    rupee_api.buy("10", "200", symbol="MSFT")
    assert rupee_api.put("/instruments/MSFT", SHARE).status_code == 409
    assert rupee_api.put("/instruments/MSFT", SHARE | {"currency": "INR"}).status_code == 200


def test_instrument_currency_cannot_change_with_an_open_order(api):
    api.put("/instruments/AAPL", SHARE)
    api.set_quote("AAPL", "99", "101", "100")
    order = api.place_order(type="LIMIT", limit_price="50", time_in_force="GTC")
    assert api.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 409
    api.post(f"/orders/{order['id']}/cancel", {})
    assert api.put("/instruments/AAPL", SHARE | {"currency": "EUR"}).status_code == 200


def test_position_without_a_current_rate_is_valued_at_its_cost_rate(api):
    api.put("/instruments/GOLD", SHARE | {"currency": "ZZZ"})
    set_rate(api, "0.5", "ZZZ/USD")
    api.buy("10", "100", symbol="GOLD")
    api.set_quote("ZZZ/USD", "0.4", None, None)  # a bid alone is no mark
    api.set_quote("GOLD", "120", "120", "120")
    body = api.get("/positions/Growth/GOLD").json()
    assert (body["fx_rate"], body["unrealized_pnl"]) == ("0.50", "100.00")


def test_past_portfolio_shows_the_cost_at_that_time(rupee_api):
    rupee_api.buy("10", "200")
    set_rate(rupee_api, "90")
    rupee_api.buy("10", "200")
    then = rupee_api.get_portfolio(as_of="1")
    assert (then["cash"], then["positions"]["AAPL"]["cost"]) == ("833000.00", "167000.00")
