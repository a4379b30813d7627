"""GET /pnl, /pnl/today, /daily-stats, /round-trips and /lots."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest


@pytest.fixture
def traded_api(api):
    """Provide a round trip of 198 net, an open position at a gain of 100, and a reversed trade."""
    api.post_trade(side="BUY", quantity="200", gmv="2200", charges="1")
    api.post_trade(side="SELL", quantity="200", gmv="2400", charges="1", user_id="U7")
    api.post_trade(symbol="MSFT", side="BUY", quantity="10", gmv="1000", charges="2")
    mistake = api.post_trade(symbol="MSFT", side="SELL", quantity="10", gmv="10", charges="2").json()
    assert api.post_reversal(mistake["trade_id"]).status_code == 201
    api.set_quote("MSFT", "110", "110", "110")
    return api


def get_report(api, path, **params):
    response = api.get(path, **params)
    assert response.status_code == 200, response.text
    return response.json()


def get_portfolio_report(traded):
    return traded.list_trades()[0]["portfolio_name"]


def test_profit_by_portfolio_is_gross_and_net(traded_api):
    report = get_report(traded_api, "/pnl")
    (item,) = report["items"]
    assert item == {
        "key": get_portfolio_report(traded_api), "currency": "USD", "trades": 4, "realized_pnl": "200.00",
        "unrealized_pnl": "100.00", "gross_pnl": "300.00", "charges": "4.00", "net_pnl": "296.00",
    }  # fmt: skip
    assert report["total"] == {
        "currency": "USD", "realized_pnl": "200.00", "unrealized_pnl": "100.00", "charges": "4.00",
        "net_pnl": "296.00", "rates": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        ("symbol", {"AAPL": "200.00", "MSFT": "0.00"}),
        ("USER", {"U7": "200.00", None: "0.00"}),
        ("strategy", {None: "200.00"}),
    ],
)
def test_profit_is_summed_by_each_grouping(traded_api, by, sums):
    items = get_report(traded_api, "/pnl", by=by)["items"]
    assert {item["key"]: item["realized_pnl"] for item in items}.keys() >= sums.keys()
    assert sum(Decimal(item["realized_pnl"]) for item in items) == 200


def test_profit_is_summed_by_day(traded_api):
    days = {trade["executed_at"][:10] for trade in traded_api.list_trades()}
    items = get_report(traded_api, "/pnl", by="day")["items"]
    assert {item["key"] for item in items} == days
    assert sum(Decimal(item["realized_pnl"]) for item in items) == 200


def test_profit_by_strategy_follows_the_order_of_a_fill(api):
    api.set_quote("AAPL", "100", "100", "100")
    api.place_order(quantity="10", strategy="Momentum")
    api.set_quote("AAPL", "110", "110", "110")
    api.place_order(side="SELL", quantity="10", strategy="Momentum")
    (body,) = get_report(api, "/pnl", by="strategy")["items"]
    assert (body["key"], body["trades"], body["realized_pnl"]) == ("Momentum", 2, "100.00")
    assert body["unrealized_pnl"] is None


def test_period_counts_trades_booked_within_it(traded_api):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert get_report(traded_api, "/pnl", from_=tomorrow, by="day")["items"] == []
    assert get_report(traded_api, "/daily-stats", from_=tomorrow) == []
    (before,) = get_report(traded_api, "/pnl", from_="2020-01-01T00:00:00Z", to="2020-01-02T00:00:00Z")[
        "items"
    ] or [None]
    assert before is None


def test_todays_profit_includes_open_positions(traded_api):
    (body,) = get_report(traded_api, "/pnl/today", portfolio=get_portfolio_report(traded_api))["items"]
    assert (body["unrealized_pnl"], body["gross_pnl"]) == ("100.00", "300.00")


def test_amount_without_a_rate_has_no_total(api):
    api.post("/portfolios", {"name": "Far", "base_currency": "ISK"})
    api.post_trade(portfolio_name="Far")
    assert get_report(api, "/pnl")["total"] is None


def test_total_names_the_rates_it_used(api):
    api.set_quote("USD/INR", "80", "80", "80")
    api.post("/portfolios", {"name": "India", "base_currency": "INR"})
    api.post_trade(portfolio_name="India", side="BUY", quantity="10", gmv="1000")
    api.post_trade(portfolio_name="India", side="SELL", quantity="10", gmv="1800")
    total = get_report(api, "/pnl")["total"]
    assert (total["currency"], total["realized_pnl"]) == ("USD", "10.00")
    assert [(rate["currency"], rate["rate"]) for rate in total["rates"]] == [("INR", "0.0125")]


def test_daily_stats_have_one_row_per_portfolio_and_day(traded_api):
    (day,) = get_report(traded_api, "/daily-stats")
    assert (day["trades"], day["wins"], day["losses"]) == (4, 1, 1)
    assert (day["realized_pnl"], day["charges"], day["net_pnl"]) == ("200.00", "4.00", "196.00")
    assert Decimal(day["max_drawdown"]) == 994  # the mistake lost 990, and its charges and those before it


def test_daily_stats_convert_with_a_named_rate_and_its_age(api):
    api.set_quote("USD/INR", "80", "80", "80")
    for name, currency in (("India", "INR"), ("Far", "ISK")):
        api.post("/portfolios", {"name": name, "base_currency": currency})
        api.post_trade(portfolio_name=name, side="BUY", quantity="10", gmv="1000")
        api.post_trade(portfolio_name=name, side="SELL", quantity="10", gmv="1800")
    far, india = get_report(api, "/daily-stats")
    assert far["converted"] is None
    assert india["converted"].pop("age_seconds") >= 0
    assert india["converted"] == {"currency": "USD", "net_pnl": "10.00", "rate": "0.0125"}


def test_round_trips_exclude_reversed_trades(traded_api):
    (trip,) = get_report(traded_api, "/round-trips")
    assert (trip["symbol"], trip["side"], trip["quantity"]) == ("AAPL", "LONG", "200")
    assert (trip["entry_price"], trip["exit_price"]) == ("11.00", "12.00")
    assert (trip["realized_pnl"], trip["charges"], trip["net_pnl"]) == ("200.00", "2.00", "198.00")
    assert (trip["max_adverse_excursion"], trip["max_favorable_excursion"]) == ("0.00", "200.00")
    assert trip["holding_seconds"] >= 0
    assert get_report(traded_api, "/round-trips", symbol="msft") == []
    assert get_report(traded_api, "/round-trips", skip=1) == []
    assert get_report(traded_api, "/round-trips", to="2020-01-01T00:00:00Z") == []
    assert get_report(traded_api, "/round-trips", from_="2020-01-01T00:00:00Z") == [trip]


def test_lots_belong_to_one_portfolio(traded_api):
    lots = get_report(traded_api, "/lots", portfolio=get_portfolio_report(traded_api))
    (opened,) = lots["open"]
    assert (opened["symbol"], opened["quantity"], opened["unit_cost"]) == ("MSFT", "10", "100.00")
    (closed,) = lots["closed"]
    assert (closed["symbol"], closed["realized_pnl"], closed["charges"]) == ("AAPL", "200.00", "2.00")
    assert get_report(traded_api, "/lots", portfolio="nothing") == {"open": [], "closed": []}
    assert traded_api.get("/lots").status_code == 422


@pytest.mark.parametrize("path", ["/pnl", "/pnl/today", "/daily-stats", "/round-trips"])
def test_reports_of_another_tenant_are_empty(traded_api, service, path):
    assert (
        not get_report(service.create_client(), path).get("items")
        if "pnl" in path
        else get_report(service.create_client(), path) == []
    )


def test_exposure_is_in_the_tenants_currency(api):
    api.put("/instruments/MSFT", {"tick_size": "0.01", "lot_size": "1", "sector": "Technology"})
    api.set_quote("USD/INR", "80", "80", "80")
    api.set_quote("MSFT", "110", "110", "110")
    api.set_quote("INFY", "80", "80", "80")
    api.post("/portfolios", {"name": "India", "base_currency": "INR"})
    api.post("/portfolios", {"name": "Far", "base_currency": "ISK"})
    api.post_trade(symbol="MSFT", side="BUY", quantity="10", gmv="1000", portfolio_name="Growth")
    api.post_trade(symbol="INFY", side="SELL", quantity="10", gmv="800", portfolio_name="India")
    api.post_trade(symbol="ODD", portfolio_name="Far")
    report = get_report(api, "/exposure", by="sector")
    values = {item["key"]: (item["long_value"], item["short_value"]) for item in report["items"]}
    assert values == {"Technology": ("1100.00", "0.00"), "": ("0.00", "-10.00")}
    assert (report["total"]["gross_exposure"], report["total"]["net_exposure"]) == ("1110.00", "1090.00")
    assert (report["currency"], report["unconverted"]) == ("USD", ["ISK"])
    assert [(rate["currency"], rate["rate"]) for rate in report["rates"]] == [("INR", "0.0125")]
    assert report["rates"][0]["age_seconds"] >= 0
    assert [
        item["key"] for item in get_report(api, "/exposure", portfolio="growth", by="symbol")["items"]
    ] == ["MSFT"]
