"""GET /pnl/explain: why a portfolio earned what it earned on a day."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.support.jobs import book_carry, take_snapshots

CLOSE = datetime(2036, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PARTS = ("price", "currency", "carry", "fees", "adjustments")


def get_explanation(api, **params):
    response = api.get("/pnl/explain", **params)
    assert response.status_code == 200, response.text
    return response.json()


def set_last_price(api, symbol, price):
    api.set_quote(symbol, price, price, price)


@pytest.fixture
def rupee_api(api):
    """Provide an INR portfolio with the documented trades in a USD instrument."""
    assert api.post("/portfolios", {"name": "Growth", "base_currency": "INR"}).status_code == 201
    api.put("/instruments/XYZ", {"tick_size": "0.01", "lot_size": "1", "currency": "USD"})
    for rate, trade, quantity, price in (("83.50", api.buy, "10", "200"), ("84", api.sell, "4", "210")):
        set_last_price(api, "USD/INR", rate)
        trade(quantity, price, symbol="XYZ", charges="1")
    set_last_price(api, "USD/INR", "85")
    set_last_price(api, "XYZ", "205")
    return api


def test_parts_of_the_current_day_add_up_to_the_day_pnl(rupee_api):
    (body,) = get_explanation(rupee_api)["items"]
    assert (body["price"], body["currency"], body["fees"]) == ("5950.00", "2160.00", "-2.00")
    assert sum(Decimal(body[part]) for part in PARTS) == Decimal(body["day_pnl"])
    assert body["day_pnl"] == rupee_api.get_portfolio()["day_pnl"]
    assert (body["from"], body["base_currency"]) == (None, "INR")


def test_closed_days_are_explained_from_close_to_close(service, rupee_api):
    take_snapshots(service, CLOSE)
    before = get_explanation(rupee_api, date="2035-12-31")["items"][0]
    assert (before["price"], before["currency"], before["day_pnl"]) == ("5950.00", "2160.00", "8108.00")
    set_last_price(rupee_api, "USD/INR", "86")
    set_last_price(rupee_api, "XYZ", "200")
    take_snapshots(service, CLOSE + DAY)
    (body,) = get_explanation(rupee_api, date="2036-01-01", portfolio="growth")["items"]
    assert (body["price"], body["currency"], body["fees"]) == ("-2580.00", "1230.00", "0.00")
    assert (body["from"], body["to"]) == ("2036-01-01T00:00:00.000000Z", "2036-01-02T00:00:00.000000Z")
    assert get_explanation(rupee_api, date="2036-01-05")["items"] == []
    assert get_explanation(rupee_api, portfolio="nothing")["items"] == []


def test_position_that_was_closed_is_explained_at_the_quoted_rate(rupee_api):
    rupee_api.sell("6", "205", symbol="XYZ")
    (body,) = get_explanation(rupee_api)["items"]
    assert (body["price"], body["currency"]) == ("5950.00", "2160.00")


def test_interest_is_carry(service, api):
    rate = {"kind": "interest", "from": "2026-01-01", "percent": "3.65"}
    assert api.post("/portfolios", {"name": "Growth", "carry_rates": [rate]}).status_code == 201
    for day in range(2):
        book_carry(service, CLOSE + day * DAY)
    (body,) = get_explanation(api)["items"]
    assert (body["carry"], body["interest"], body["day_pnl"]) == ("100.00", "100.00", "100.00")


def test_total_converts_with_named_rates_and_their_age(rupee_api):
    set_last_price(rupee_api, "USD/INR", "80")
    total = get_explanation(rupee_api)["total"]
    assert (total["base_currency"], total["fees"]) == ("USD", "-0.025")
    (rate,) = total["rates"]
    assert (rate["currency"], rate["rate"]) == ("INR", "0.0125")
    assert rate["age_seconds"] >= 0
    assert sum(Decimal(total[part]) for part in PARTS) == Decimal(total["day_pnl"])


def test_currency_without_a_rate_has_no_total(api):
    api.post("/portfolios", {"name": "Far", "base_currency": "ISK"})
    assert get_explanation(api)["total"] is None


def test_explanation_shows_only_visible_portfolios(service, rupee_api):
    assert get_explanation(service.create_client())["items"] == []
    assert rupee_api.get("/pnl/explain", date="yesterday").status_code == 422
