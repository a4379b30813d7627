"""Orders in another currency than the portfolio's: evaluated and booked at the exchange rate."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.values import Executed
from app.database import unit_of_work
from app.instruments.queries import set_terms
from app.instruments.rules import Instrument
from tests.orders.writer_harness import WriterHarness, to_decimal
from tests.risk.risk_requests import post_order, put_limit, set_quote

SHARE = {"tick_size": "0.01", "lot_size": "1", "currency": "USD"}


@pytest.fixture
def rupee_api(api):
    """Provide a desk with a book of 1,000,000 INR, at 80 INR for a dollar, and a share at 100 dollars."""
    body = {"name": "Growth", "base_currency": "INR", "opening_cash": "1000000"}
    assert api.post("/portfolios", body).status_code == 201
    assert api.put("/instruments/AAPL", SHARE).status_code == 200
    set_quote(api, "USD/INR", bid=None, ask=None, last="80")
    set_quote(api, bid="100", ask="100")
    return api


def get_denial(response):
    assert response.status_code == 422, response.text
    return response.json()["denial"]


def test_foreign_fill_is_booked_at_the_rate_and_order_shows_local_prices(rupee_api):
    order = rupee_api.place_order(quantity="10")
    assert order["average_price"] == "100.00"
    [fill] = rupee_api.get_order(order["id"])["fills"]
    assert fill["value"] == "1000.00"
    [trade] = rupee_api.list_trades()
    assert (trade["gmv"], trade["currency"], trade["fx_rate"]) == ("1000.00", "USD", "80.00")
    assert rupee_api.get_portfolio()["cash"] == "920000.00"


def test_order_and_preview_without_an_exchange_rate_are_denied(api):
    api.open_portfolio()
    api.put("/instruments/AAPL", SHARE | {"currency": "XAF"})
    set_quote(api)
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    preview = api.post("/orders:preview", ticket).json()
    denial = get_denial(post_order(api))
    assert denial == preview["denial"]
    assert (denial["code"], denial["asked"], denial["largest_passing"]) == ("NO_RATE", "XAF/USD", "0")
    assert (preview["expected_value"], preview["cash_after"]) == ("1010.00", None)


def test_preview_shows_cash_in_the_portfolio_currency(rupee_api):
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    preview = rupee_api.post("/orders:preview", ticket).json()
    assert (preview["expected_value"], preview["cash_after"]) == ("1000.00", "920000.00")


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("MAX_ORDER_VALUE", "80000"),
        ("MAX_POSITION_VALUE", "80000"),
        ("MAX_GROSS_EXPOSURE", "80000"),
        ("MAX_NET_EXPOSURE", "80000"),
    ],
)
def test_value_limits_are_in_the_portfolio_currency(rupee_api, code, limit):
    put_limit(rupee_api, code, limit, "portfolio", "Growth")
    denial = get_denial(post_order(rupee_api, quantity="11"))
    assert (denial["code"], denial["asked"], denial["largest_passing"]) == (code, "88000", "10")
    assert post_order(rupee_api, quantity="10").status_code == 201


def test_buying_power_is_in_the_portfolio_currency(rupee_api):
    rupee_api.place_order(quantity="100", type="LIMIT", limit_price="100", time_in_force="GTC")
    denial = get_denial(post_order(rupee_api, quantity="26"))
    assert (denial["code"], denial["limit"], denial["asked"]) == ("BUYING_POWER", "200000", "208000")


def test_price_collar_and_range_are_in_the_instrument_currency(rupee_api):
    put_limit(rupee_api, "MAX_PRICE", "105")
    assert post_order(rupee_api, type="LIMIT", limit_price="104").status_code == 201
    put_limit(rupee_api, "MAX_PRICE", "1000")
    denial = get_denial(post_order(rupee_api, type="LIMIT", limit_price="111"))
    assert (denial["code"], denial["limit"], denial["asked"]) == ("PRICE_COLLAR", "110", "111")


def test_open_positions_and_orders_are_revalued_at_a_changed_rate(rupee_api):
    put_limit(rupee_api, "MAX_GROSS_EXPOSURE", "1000000", "portfolio", "Growth")
    rupee_api.place_order(quantity="10", type="LIMIT", limit_price="100", time_in_force="GTC")
    rupee_api.put("/instruments/INFY", SHARE | {"currency": "INR"})
    set_quote(rupee_api, "INFY", bid="100", ask="100")
    assert post_order(rupee_api, symbol="INFY", quantity="1").status_code == 201
    set_quote(rupee_api, "USD/INR", bid=None, ask=None, last="90")
    put_limit(rupee_api, "MAX_GROSS_EXPOSURE", "90000", "portfolio", "Growth")
    denial = get_denial(post_order(rupee_api, symbol="INFY", quantity="1"))
    assert (denial["code"], denial["asked"]) == ("MAX_GROSS_EXPOSURE", "90200")


@pytest.mark.parametrize(
    ("currency", "limit", "asked"), [(None, "2000", "2100"), ("INR", "160000", "168000")]
)
def test_firm_gross_exposure_is_in_the_tenant_currency(rupee_api, currency, limit, asked):
    if currency is not None:
        changed = rupee_api.patch(f"/tenants/desk-{rupee_api.tenant_id}", {"base_currency": currency})
        assert (changed.status_code, changed.json()["base_currency"]) == (200, currency)
    rupee_api.buy("10", "100", portfolio_name="Dollars")
    put_limit(rupee_api, "MAX_GROSS_EXPOSURE", limit)
    denial = get_denial(post_order(rupee_api, quantity="11"))
    assert denial["code"] == "FIRM_GROSS_EXPOSURE"
    assert denial["limit"] == limit
    assert denial["asked"] == asked
    assert denial["largest_passing"] == "10"
    assert post_order(rupee_api, quantity="10").status_code == 201
    denial = get_denial(post_order(rupee_api, portfolio_name="Dollars", quantity="1"))
    assert (denial["limit"], denial["asked"]) == (
        limit,
        asked,
    )  # the same sum for any portfolio


def test_firm_net_exposure_is_in_the_tenant_currency(rupee_api):
    rupee_api.buy("10", "100", portfolio_name="Dollars")
    put_limit(rupee_api, "MAX_NET_EXPOSURE", "2000")
    denial = get_denial(post_order(rupee_api, quantity="11"))
    assert (denial["code"], denial["asked"]) == ("FIRM_NET_EXPOSURE", "2100")


def test_firm_order_count_needs_no_rate(rupee_api):
    body = {"name": "Odd", "base_currency": "XAF", "opening_cash": "1000"}
    assert rupee_api.post("/portfolios", body).status_code == 201
    rupee_api.put("/instruments/ROPE", SHARE | {"currency": "XAF"})
    set_quote(rupee_api, "ROPE")
    put_limit(rupee_api, "MAX_OPEN_ORDERS", "1")
    resting = {"type": "LIMIT", "limit_price": "95", "quantity": "1"}
    assert post_order(rupee_api, portfolio_name="Odd", symbol="ROPE", **resting).status_code == 201
    assert get_denial(post_order(rupee_api, **resting))["code"] == "FIRM_OPEN_ORDERS"


def test_firm_exposure_without_a_rate_denies_the_order(rupee_api):
    body = {"name": "Odd", "base_currency": "XAF", "opening_cash": "1000"}
    assert rupee_api.post("/portfolios", body).status_code == 201
    put_limit(rupee_api, "MAX_GROSS_EXPOSURE", "160000")
    assert (
        post_order(rupee_api, quantity="1").status_code == 201
    )  # the portfolio without a rate has no positions
    rupee_api.buy("1", "10", portfolio_name="Odd", symbol="ROPE")
    denial = get_denial(post_order(rupee_api, quantity="1"))
    assert (denial["code"], denial["asked"]) == ("NO_RATE", "XAF/USD")


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def euro_harness(engine):
    """Provide a writer whose portfolio is in dollars, and a share in euros at 100."""
    with unit_of_work(engine) as connection:
        set_terms(connection, 1, Instrument("AAPL", currency="EUR", is_listed=True), NOON)
    harness = WriterHarness(engine)
    harness.publish_quote("2", "2", "2", symbol="EUR/USD")
    harness.publish_quote("100", "100", "100")
    return harness


def delete_rates(harness):
    with harness.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM quotes WHERE symbol = 'EUR/USD'")


def build_execution(order, quantity):
    return Executed(order.id, f"x{quantity}", Decimal(quantity), Decimal(100), Decimal(quantity) * 100, NOON)


def list_booked_amounts(harness):
    return [to_decimal(row[0]) for row in harness.query("SELECT fx_rate FROM trades ORDER BY sequence")]


def place_resting_order(harness, **changes):
    return harness.place_order(type="LIMIT", limit_price="95", quantity="10", time_in_force="GTC", **changes)


def test_fill_without_a_rate_is_booked_at_the_rate_of_the_position_cost(euro_harness):
    order = place_resting_order(euro_harness)
    euro_harness.place_order(quantity="10")
    delete_rates(euro_harness)
    assert euro_harness.report_broker_event(order, build_execution(order, "4")).filled_quantity == 4
    assert list_booked_amounts(euro_harness) == [2, 2]


def test_fill_without_a_rate_or_position_is_booked_at_the_newest_trade_rate(euro_harness):
    order = place_resting_order(euro_harness)
    euro_harness.place_order(quantity="1")
    euro_harness.place_order(quantity="1", side="SELL")
    delete_rates(euro_harness)
    assert euro_harness.report_broker_event(order, build_execution(order, "4")).filled_quantity == 4
    assert list_booked_amounts(euro_harness) == [2, 2, 2]


def test_fill_without_any_known_rate_is_recorded_but_not_booked(euro_harness):
    order = place_resting_order(euro_harness)
    delete_rates(euro_harness)
    assert euro_harness.report_broker_event(order, build_execution(order, "4")).filled_quantity == 0
    assert list_booked_amounts(euro_harness) == []
    [broker_words] = euro_harness.query("SELECT broker_words FROM order_events WHERE reason = 'not applied'")
    assert "EUR/USD" in broker_words[0]


def test_matched_order_without_any_rate_is_closed(euro_harness):
    order = place_resting_order(euro_harness)
    delete_rates(euro_harness)
    euro_harness.publish_quote("90", "90", "90")
    assert euro_harness.get_order(order).status == "REJECTED"
