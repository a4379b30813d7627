"""Estimates over REST: charges by component with their sources, and an error for each invalid field."""

from datetime import UTC, date, datetime

import pytest

from app.costs.rules.markets import get_trading_day

pytestmark = pytest.mark.any_database

INTRADAY = {
    "schedule": "zerodha",
    "exchange": "NSE",
    "product": "MIS",
    "side": "SELL",
    "quantity": "40",
    "price": "1100",
    "date": "2026-11-20",
}
AMERICAN = {
    "schedule": "ibkr_fixed",
    "exchange": "NASDAQ",
    "side": "SELL",
    "quantity": "100",
    "price": "25",
    "date": "2026-11-20",
}


def post_estimate(api, body, **changes):
    response = api.post("/costs:estimate", {**body, **changes})
    assert response.status_code == 200, response.text
    return response.json()


def assert_refused(api, **changes):
    response = api.post("/costs:estimate", {**INTRADAY, **changes})
    assert response.status_code == 422, response.text
    return response.json()["errors"]


def test_estimate_lists_components_with_rates_and_sources(api):
    response = post_estimate(api, INTRADAY)
    rates = {rate["component"]: rate for rate in response.pop("rates")}
    assert response == {
        "schedule": "zerodha",
        "exchange": "NSE",
        "market": "IN",
        "product": "MIS",
        "side": "SELL",
        "quantity": "40",
        "price": "1100.00",
        "value": "44000.00",
        "date": "2026-11-20",
        "currency": "INR",
        "total": "28.22",
        "charges": {
            "total": "28.22",
            "brokerage": "13.20",
            "stt": "11.00",
            "exchange": "1.35",
            "sebi": "0.04",
            "gst": "2.63",
            "stamp_duty": "0.00",
            "square_off": "0.00",
        },
        "dp_charge": "0.00",
        "not_covered": False,
    }
    assert set(rates) == {"brokerage", "stt", "exchange", "sebi", "gst"}
    assert rates["brokerage"] == {
        "component": "brokerage",
        "rate": "0.03",
        "unit": "percent",
        "minimum": None,
        "maximum": "20",
        "rounding_step": "0.01",
        "effective_from": "2021-01-01",
        "source": "Zerodha, list of charges, https://zerodha.com/charges (November 2026)",
    }
    assert all(rate["source"] for rate in rates.values())


def test_depository_charge_of_a_delivery_sale_is_separate_from_the_total(api):
    body = post_estimate(api, INTRADAY, product="CNC", quantity="400")
    assert (body["total"], body["dp_charge"]) == ("456.46", "15.34")
    body = post_estimate(api, INTRADAY, product="CNC", date="2023-06-01")
    assert body["dp_charge"] is None  # unknown on that date


def test_us_orders_are_charged_in_usd(api):
    body = post_estimate(api, AMERICAN)
    assert (body["market"], body["currency"], body["product"]) == ("US", "USD", None)
    assert body["charges"] == {"total": "1.07", "commission": "1.00", "regulatory": "0.07"}
    assert {rate["component"] for rate in body["rates"]} == {
        *("commission", "commission_cap", "sec", "finra_taf", "cat")
    }
    assert post_estimate(api, AMERICAN, schedule="us_equity")["charges"] == {
        "total": "0.07",
        "regulatory": "0.07",
    }


def test_missing_schedule_charges_nothing(api):
    body = post_estimate(api, INTRADAY, schedule="none")
    assert (body["charges"], body["not_covered"], body["rates"]) == ({"total": "0.00"}, False, [])


@pytest.mark.parametrize("changes", [{"exchange": "NYSE"}, {"product": "NRML"}, {"schedule": "us_equity"}])
def test_estimate_states_that_the_schedule_does_not_cover_the_market(api, changes):
    body = post_estimate(api, INTRADAY, **changes)
    assert body["not_covered"] is True
    assert (body["total"], body["rates"]) == ("0.00", [])


def test_enumerated_values_are_case_insensitive(api):
    changes = {"schedule": "Zerodha", "exchange": "nse", "product": "mis", "side": "sell"}
    assert post_estimate(api, INTRADAY, **changes) == post_estimate(api, INTRADAY)


def test_date_defaults_to_the_current_exchange_date(api):
    body = post_estimate(api, AMERICAN, date=None)
    assert abs((date.fromisoformat(body["date"]) - datetime.now(UTC).date()).days) <= 1
    late = datetime(2026, 11, 20, 20, tzinfo=UTC)
    assert get_trading_day("NSE", late) == date(2026, 11, 21)
    assert get_trading_day("NYSE", datetime(2026, 11, 20, 3, tzinfo=UTC)) == date(2026, 11, 19)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", "robinhood"),
        ("schedule", None),
        ("exchange", "XETRA"),
        ("exchange", 7),
        ("product", "BO"),
        ("side", "HOLD"),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("price", "1e3"),
        ("date", "20 November"),
        ("date", "2026-02-30"),
        ("date", "20261120"),
        ("date", 20261120),
        ("date", "2020-01-01"),  # before the first rate
        ("qty", "1"),
    ],
)
def test_invalid_field_is_named(api, field, value):
    assert [error["field"] for error in assert_refused(api, **{field: value})] == [field]


def test_all_invalid_fields_are_reported_at_once(api):
    errors = assert_refused(api, schedule="other", exchange="nowhere")
    assert [error["field"] for error in errors] == ["schedule", "exchange"]
    assert "'zerodha'" in errors[0]["message"]


def test_value_that_cannot_be_stored_is_rejected(api):
    errors = assert_refused(api, quantity="9999999999999999", price="9999999999999999")
    assert errors[0]["field"] == "quantity"


def test_foreign_field_name_gets_our_name_as_a_suggestion(api):
    assert "`exchange`" in assert_refused(api, market="IN")[0]["message"]


def test_read_only_key_may_request_an_estimate(service):
    assert post_estimate(service.create_client("read"), AMERICAN)["total"] == "1.07"
