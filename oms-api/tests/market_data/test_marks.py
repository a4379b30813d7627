"""A mark that a person sets values positions until it expires; orders still match against quotes."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.clock import utc_now
from app.database import set_all_tenants_scope
from app.instruments.rules import InstrumentKey
from app.market_data.queries.mark_overrides import load_mark_overrides
from app.market_data.rules.base_prices import is_currency_pair
from app.timestamps import format_timestamp
from app.verify import check_database
from tests.risk.risk_requests import post_order, put_limit, set_quote
from tests.support.conditions import wait_until
from tests.support.jobs import take_snapshots

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def build_mark_body(price="80", **changes):
    return {"price": price, "reason": "Halted", "expires_at": format_timestamp(utc_now() + HOUR)} | changes


def set_mark(api, symbol="AAPL", **changes):
    response = api.put(f"/marks/{symbol}", build_mark_body(**changes))
    assert response.status_code == 200, response.text
    return response.json()


def create_position(api):
    return api.get("/positions/Growth/AAPL").json()


def test_override_values_positions_and_equity(api):
    set_quote(api)
    api.buy("10", "100")
    set_by_hand = set_mark(api)
    assert set_by_hand["price"] == "80.00"
    assert api.get("/marks").json() == [set_by_hand]
    body = create_position(api)
    assert (body["mark"], body["mark_source"], body["mark_is_stale"]) == ("80.00", "override", False)
    assert (body["market_value"], body["unrealized_pnl"], body["lowest_price"]) == (
        *("800.00", "-200.00"),
        "80.00",
    )
    portfolio = api.get_portfolio()
    assert (portfolio["net_exposure"], portfolio["equity"]) == ("800.00", "999800.00")
    assert api.get("/quotes/AAPL").json()["last"] == "100.00"
    assert api.delete("/marks/AAPL").status_code == 204
    assert create_position(api)["mark_source"] == "quote"
    assert api.delete("/marks/AAPL").status_code == 404


def test_override_is_used_in_risk_checks_and_not_for_matching(service, api):
    set_quote(api)
    api.buy("10", "100")
    set_quote(api, "MSFT", bid="10", ask="10", last="10")
    assert put_limit(api, "MAX_GROSS_EXPOSURE", "1500").status_code == 200
    assert post_order(api, symbol="MSFT", quantity="1").status_code == 201
    set_mark(api, price="200")
    market, key = service.app.state.market, InstrumentKey(api.tenant_id, "AAPL")
    wait_until(lambda: market.overrides.get(key, utc_now()) is not None)
    denial = post_order(api, symbol="MSFT", quantity="1")
    assert denial.status_code == 422, denial.text
    sold = api.place_order(side="SELL", quantity="5")
    assert Decimal(sold["average_price"]) == 99
    assert api.delete("/marks/AAPL").status_code == 204
    wait_until(lambda: market.overrides.get(key, utc_now()) is None)
    assert post_order(api, symbol="MSFT", quantity="1").status_code == 201


def test_buying_power_of_a_short_counts_the_override(api):
    set_quote(api)
    api.sell("10", "100")
    cash = Decimal(api.get_portfolio()["cash"])
    set_mark(api, price="200")
    assert Decimal(api.get_portfolio()["buying_power"]) == cash - 3000


@pytest.mark.any_database
def test_expired_override_is_not_used(service, api):
    set_mark(api)
    key = InstrumentKey(api.tenant_id, "AAPL")
    with service.open_connection() as connection:
        assert load_mark_overrides(connection, [key], utc_now())[key].price == 80
        assert load_mark_overrides(connection, [key], utc_now() + 2 * HOUR) == {}
        assert load_mark_overrides(connection, [key], utc_now() - HOUR) == {}


@pytest.mark.any_database
def test_close_is_taken_at_the_override(service, api):
    set_quote(api)
    api.buy("10", "100")
    set_mark(api, expires_at="2037-01-01T00:00:00Z")
    take_snapshots(service, utc_now().replace(year=2036))
    assert api.get_portfolio()["day_pnl"] == "0.00"
    assert api.delete("/marks/AAPL").status_code == 204
    assert api.get_portfolio()["day_pnl"] == "200.00"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": "0"}, "price"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2036-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": None}, "expires_at"),
    ],
)
@pytest.mark.any_database
def test_invalid_mark_is_rejected_by_field(api, change, field):
    response = api.put("/marks/AAPL", build_mark_body(**change))
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.any_database
def test_mark_of_a_currency_pair_is_refused(api):
    assert api.put("/marks/USD/INR", build_mark_body()).status_code == 422
    assert api.put("/marks/BTC/USD", build_mark_body()).status_code == 200
    assert [is_currency_pair(symbol) for symbol in ("EUR/USD", "ETH/USD", "AAPL")] == [True, False, False]


@pytest.mark.any_database
def test_marks_are_audited_verified_and_separate_for_each_tenant(service, api):
    set_mark(api)
    second = set_mark(api, price="81")
    other = service.create_client()
    assert other.get("/marks").json() == []
    assert other.delete("/marks/AAPL").status_code == 404
    newest, first = api.get("/audit", action="mark.set").json()
    assert (newest["target"], newest["before"]["price"], newest["after"]) == ("AAPL", "80.00", second)
    assert first["before"] is None
    set_mark(api, "MSFT")
    assert api.delete("/marks/MSFT").status_code == 204
    [removed] = api.get("/audit", action="mark.removed").json()
    assert (removed["target"], removed["after"]) == ("MSFT", None)
    with service.open_connection() as connection:
        assert check_database(set_all_tenants_scope(connection)).is_clean


@pytest.mark.any_database
def test_marks_are_listed_in_pages(api):
    for symbol in ("A", "B", "C"):
        set_mark(api, symbol)
    first = api.get("/marks", limit=2)
    path = first.links["next"]["url"].removeprefix("/api/v1")
    assert [item["symbol"] for item in (*first.json(), *api.get(path).json())] == ["A", "B", "C"]
