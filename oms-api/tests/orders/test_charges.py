"""Charges of orders and reported trades: computed per fill, and booked with the trade."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.instruments.queries import set_terms
from app.instruments.rules import Instrument
from app.orders.rules.values import Status
from app.orders.service.commands import PreviewOrder
from app.verify import verify_database
from tests.identity.administration import assert_error, assert_ok, list_audit_entries
from tests.orders.writer_harness import TENANT, build_ticket
from tests.risk.risk_requests import set_quote

NSE_SHARE = {"exchange": "NSE", "currency": "INR", "tick_size": "0.05", "lot_size": "1"}
US_SHARE = {"exchange": "NASDAQ", "currency": "USD", "tick_size": "0.01", "lot_size": "1"}
RUPEES = {"name": "Growth", "base_currency": "INR", "opening_cash": "10000000"}


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


@pytest.fixture
def zerodha_api(api):
    """Provide a portfolio in INR with the charges of Zerodha, and a share of the NSE."""
    assert_ok(api.post("/portfolios", RUPEES | {"cost_schedule": "Zerodha"}), 201)
    assert api.put("/instruments/INFY", NSE_SHARE).status_code == 200
    return api


def set_price(api, price, **sizes):
    api.set_quote("INFY", price, price, price, **sizes)


def place_order(api, side, quantity, **changes):
    return api.place_order(symbol="INFY", side=side, quantity=quantity, **changes)


def list_charges(api, placed):
    return [fill["charges"] for fill in api.get_order(placed["id"])["fills"]]


@pytest.mark.parametrize(
    ("product", "quantity", "exit_price", "charges"),
    [("MIS", 400, 1100, "200.62"), ("CNC", 400, 1100, "931.42"), ("CNC", 100, 1005, "223.50")],
)
def test_zerodha_round_trip_examples_are_charged_exactly(zerodha_api, product, quantity, exit_price, charges):
    set_price(zerodha_api, "1000")
    place_order(zerodha_api, "BUY", str(quantity), product=product)
    set_price(zerodha_api, str(exit_price))
    place_order(zerodha_api, "SELL", str(quantity), product=product)
    gross = Decimal(quantity * (exit_price - 1000))
    portfolio = zerodha_api.get_portfolio()
    assert (portfolio["charges"], Decimal(portfolio["realized_pnl"])) == (charges, gross)
    assert Decimal(portfolio["net_realized_pnl"]) == gross - Decimal(charges)
    assert Decimal(portfolio["cash"]) == 10_000_000 + gross - Decimal(charges)
    assert sum(Decimal(trade["charges"]) for trade in zerodha_api.list_trades()) == Decimal(charges)


def list_dp_charges(api):
    return [
        row for row in assert_ok(api.get("/portfolios/Growth/cash"))["rows"] if row["kind"] == "dp_charges"
    ]


def test_dp_charge_applies_once_per_scrip_and_day_of_delivery_sales(zerodha_api):
    late = {"executed_at": "2026-11-20T06:00:00Z", "backdated": True, "backdated_reason": "Late"}
    zerodha_api.buy("100", "1000", symbol="INFY", charges="0", **late)
    zerodha_api.put("/instruments/TCS", NSE_SHARE)
    zerodha_api.buy("10", "1000", symbol="TCS", charges="0", **late)
    first = zerodha_api.sell("40", "1100", symbol="INFY")
    zerodha_api.sell("40", "1100", symbol="INFY")
    zerodha_api.sell("20", "1100", symbol="INFY", charges="5")
    zerodha_api.sell("10", "1100", symbol="TCS")
    rows = list_dp_charges(zerodha_api)
    assert [(row["symbol"], row["amount"]) for row in rows] == [("TCS", "-15.34"), ("INFY", "-15.34")]
    assert zerodha_api.post_reversal(first["trade_id"]).status_code == 201
    assert len(list_dp_charges(zerodha_api)) == 2  # a reversal does not return it
    portfolio = zerodha_api.get_portfolio()
    booked = sum(Decimal(trade["charges"]) for trade in zerodha_api.list_trades())
    assert Decimal(portfolio["charges"]) == booked + Decimal("30.68")


@pytest.mark.reads_while_deciding
def test_dp_charge_applies_to_order_fills_but_not_to_same_day_purchases(harness):
    list_charged_instrument(harness, "zerodha", exchange="NSE", currency="INR")
    harness.publish_quote("1000", "1000", "1000")
    harness.place_order(quantity="100", product="CNC")
    harness.place_order(side="SELL", quantity="10", product="CNC")
    harness.now += timedelta(days=1)
    harness.publish_quote("1000", "1000", "1000")
    for quantity in ("10", "20"):
        harness.place_order(side="SELL", quantity=quantity, product="CNC")
    harness.now += timedelta(days=1)
    harness.publish_quote("1000", "1000", "1000")
    harness.place_order(side="SELL", quantity="10", product="CNC")
    with harness.engine.connect() as connection:
        movements = connection.execute(
            text("SELECT kind, amount FROM cash_movements ORDER BY sequence")
        ).all()
    assert [(kind, Decimal(amount)) for kind, amount in movements] == [("dp_charges", Decimal("-15.34"))] * 2
    assert set(verify_database(harness.engine).failed) == {"portfolio record"}  # the schedule was set by SQL


def test_fills_of_one_order_share_charge_caps_and_show_their_charges(zerodha_api):
    set_price(zerodha_api, "1100", bid_size="40", ask_size="1")
    placed = place_order(zerodha_api, "SELL", "400", product="MIS", type="LIMIT", limit_price="1100")
    set_price(zerodha_api, "1100", bid_size="160", ask_size="1")
    set_price(zerodha_api, "1100", bid_size="200", ask_size="1")
    charges = list_charges(zerodha_api, placed)
    assert [charge["total"] for charge in charges] == ["28.22", "58.60", "63.24"]
    assert charges[0] == {
        "total": "28.22", "brokerage": "13.20", "stt": "11.00", "exchange": "1.35", "sebi": "0.04",
        "gst": "2.63", "stamp_duty": "0.00", "square_off": "0.00",
    }  # fmt: skip
    assert [trade["charges"] for trade in zerodha_api.list_trades()] == ["63.24", "58.60", "28.22"]
    [event] = zerodha_api.get("/events", type="order.filled").json()
    assert event["data"]["charges"] == charges[-1]


def test_replacement_chain_is_charged_as_one_order_by_zerodha(zerodha_api):
    set_price(zerodha_api, "1100", bid_size="40", ask_size="1")
    placed = place_order(zerodha_api, "SELL", "400", product="MIS", type="LIMIT", limit_price="1100")
    changed = assert_ok(zerodha_api.patch(f"/orders/{placed['id']}", {"quantity": "200"}))
    set_price(zerodha_api, "1100", bid_size="160", ask_size="1")
    assert [charge["total"] for charge in list_charges(zerodha_api, changed)] == ["58.60"]


def test_unlisted_instrument_is_not_covered_by_the_schedule(zerodha_api):
    zerodha_api.set_quote("OTHER", "10", "10", "10")
    assert list_charges(zerodha_api, zerodha_api.place_order(symbol="OTHER")) == [{"total": "0.00"}]


def test_changed_schedule_applies_only_to_later_orders(zerodha_api):
    set_price(zerodha_api, "1000")
    resting = {"product": "MIS", "type": "LIMIT", "limit_price": "990", "time_in_force": "GTC"}
    before = place_order(zerodha_api, "BUY", "10", **resting)
    assert_ok(zerodha_api.patch("/portfolios/growth", {"cost_schedule": "none"}))
    entry = list_audit_entries(zerodha_api)[0]
    assert (entry["action"], entry["target"]) == ("portfolio.updated", "portfolio:Growth")
    assert (entry["before"]["cost_schedule"], entry["after"]["cost_schedule"]) == ("zerodha", "none")
    after = place_order(zerodha_api, "BUY", "10", **resting)
    assert (before["cost_schedule"], after["cost_schedule"]) == ("zerodha", "none")
    set_price(zerodha_api, "990")
    assert Decimal(list_charges(zerodha_api, before)[0]["total"]) > 0
    assert list_charges(zerodha_api, after) == [{"total": "0.00"}]


def test_portfolio_rename_and_schedule_change_in_one_request(api):
    api.record_trade(portfolio_name="Growth")
    both = assert_ok(api.patch("/portfolios/growth", {"name": "Income", "cost_schedule": "us_equity"}))
    assert (both["portfolio_name"], both["cost_schedule"]) == ("Income", "us_equity")
    assert [entry["action"] for entry in list_audit_entries(api)[:2]] == [
        "portfolio.updated",
        "portfolio.renamed",
    ]
    assert_ok(api.patch("/portfolios/income", {"cost_schedule": "us_equity"}))
    assert list_audit_entries(api)[0]["action"] == "portfolio.updated"
    assert_error(api.patch("/portfolios/income", {"cost_schedule": "free"}), 422, "cost_schedule")
    assert_error(api.patch("/portfolios/income", {}), 422, "name")


def test_foreign_currency_charges_are_booked_at_the_rate_of_the_fill(api):
    assert_ok(api.post("/portfolios", RUPEES | {"cost_schedule": "ibkr_fixed"}), 201)
    api.put("/instruments/AAPL", US_SHARE)
    set_quote(api, "USD/INR", bid=None, ask=None, last="80")
    set_quote(api, bid="25", ask="25")
    ticket = {
        "portfolio_name": "Growth",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "100",
        "type": "MARKET",
    }
    preview = assert_ok(api.post("/orders:preview", ticket))
    assert (preview["expected_charges"], preview["cash_after"]) == ("80.80", "9799919.20")
    placed = api.place_order(symbol="AAPL", quantity="100")
    assert list_charges(api, placed) == [{"total": "80.80", "commission": "80.00", "regulatory": "0.80"}]
    portfolio = api.get_portfolio()
    assert (portfolio["cash"], portfolio["charges"]) == ("9799919.20", "80.80")
    assert portfolio["positions"]["AAPL"]["avg_cost"] == "2000.00"  # without charges


def test_reported_trade_uses_given_charges_or_else_the_schedule(zerodha_api):
    reported_trade = zerodha_api.buy("10", "1000", symbol="INFY", charges="7.5")
    assert (reported_trade["charges"], reported_trade["position"]["avg_cost"]) == ("7.50", "1000.00")
    scheduled = zerodha_api.sell("10", "1000", symbol="INFY")
    assert Decimal(scheduled["charges"]) > 7
    assert zerodha_api.buy("10", "1000", symbol="OTHER")["charges"] == "0.00"  # its exchange is unknown
    assert zerodha_api.buy("10", "1000", symbol="INFY", charges="0")["charges"] == "0.00"
    assert zerodha_api.get_portfolio(as_of=reported_trade["sequence"])["charges"] == "7.50"
    assert zerodha_api.get_portfolio(as_of="0")["charges"] == "0.00"


def test_reversal_returns_the_charges_of_its_trade(zerodha_api):
    trade = zerodha_api.buy("10", "1000", symbol="INFY")
    assert_ok(zerodha_api.patch("/portfolios/growth", {"cost_schedule": "none"}))
    back = zerodha_api.post_reversal(trade["trade_id"]).json()["trade"]
    assert back["charges"] == f"-{trade['charges']}" != "-0.00"
    portfolio = zerodha_api.get_portfolio()
    assert (portfolio["cash"], portfolio["charges"]) == ("10000000.00", "0.00")


@pytest.mark.parametrize("charges", ["-1", "1e2", "0.000000001", True, "much"])
def test_invalid_charges_are_rejected_by_field(api, charges):
    assert_error(api.post_trade(charges=charges), 422, "charges")


def test_idempotency_key_with_other_charges_conflicts(api):
    api.record_trade("k1", charges="1")
    assert api.post_trade("k1", charges="1.00").headers["Idempotent-Replayed"] == "true"
    assert api.post_trade("k1", charges="2").status_code == 409
    assert api.post_trade("k1").status_code == 409


def list_charged_instrument(harness, schedule, **terms):
    """Let a schedule charge the portfolio Growth, in which AAPL is listed with an exchange."""
    harness.open_portfolio()
    share = Instrument("AAPL", tick_size=Decimal("0.01"), lot_size=Decimal(1), **terms)
    with unit_of_work(harness.engine) as connection:
        set_terms(connection, TENANT, share, harness.now)
        values = {"schedule": schedule, "currency": terms["currency"]}
        connection.execute(
            text("UPDATE portfolios SET cost_schedule = :schedule, base_currency = :currency"), values
        )


def list_booked_charges(harness):
    with harness.engine.connect() as connection:
        amounts = connection.execute(text("SELECT charges FROM trades ORDER BY sequence")).scalars()
        return [str(round(Decimal(charges), 2)) for charges in amounts]


def test_order_charges_restart_on_another_day(harness):
    list_charged_instrument(harness, "zerodha", exchange="NSE", currency="INR")
    harness.publish_quote("1100", "1100", "1100", bid_size="200", ask_size="1")
    terms = {"product": "MIS", "type": "LIMIT", "limit_price": Decimal(1100), "time_in_force": "GTC"}
    harness.place_order(side="SELL", quantity="600", **terms)
    harness.advance_clock(seconds=1)
    harness.publish_quote("1100", "1100", "1100", bid_size="200", ask_size="1")
    harness.advance_clock(days=3)
    harness.publish_quote("1100", "1100", "1100", bid_size="200", ask_size="1")
    assert list_booked_charges(harness) == ["86.82", "63.24", "86.82"]


def test_minimum_commission_applies_once_per_order_and_replacement(harness):
    list_charged_instrument(harness, "ibkr_fixed", exchange="NASDAQ", currency="USD")
    harness.publish_quote("25", "25", "25", ask_size="100", bid_size="1")
    placed = harness.place_order(quantity="2000", type="LIMIT", limit_price=Decimal(25), time_in_force="GTC")
    harness.publish_quote("25", "25", "25", ask_size="300", bid_size="1")
    harness.publish_quote("25", "25", "25", ask_size="600", bid_size="1")
    harness.replace(harness.get_order(placed), quantity="1500")
    harness.publish_quote("25", "25", "25", ask_size="100", bid_size="1")
    with harness.engine.connect() as connection:
        amounts = connection.execute(text("SELECT charges FROM executions ORDER BY trade_id")).scalars()
        commissions = [orjson.loads(charges)["commission"] for charges in amounts]
    assert commissions == ["1.00000000", "1.00000000", "3.00000000", "1.00000000"]


def test_order_with_unknown_charges_is_rejected(harness):
    harness.now = datetime(2020, 6, 1, 12, tzinfo=UTC)
    list_charged_instrument(harness, "zerodha", exchange="NSE", currency="INR")
    harness.publish_quote("100", "100", "100")
    preview = PreviewOrder(harness.build_origin(), build_ticket(), "Growth", "growth")
    [preview_result] = harness.run(preview)
    assert (preview_result.estimate.charges, preview_result.estimate.cash_after) == (None, None)
    assert harness.place_order().status is Status.REJECTED
    assert list_booked_charges(harness) == []


def test_us_fees_accumulate_over_the_new_york_day(harness):
    list_charged_instrument(harness, "us_equity", exchange="NASDAQ", currency="USD")
    harness.publish_quote("100", "100", "100")
    for quantity in ("3", "3", "4"):
        harness.place_order(side="SELL", quantity=quantity)
    harness.now += timedelta(days=3)
    harness.publish_quote("100", "100", "100")
    harness.place_order(side="SELL", quantity="3")
    assert list_booked_charges(harness) == ["0.02", "0.01", "0.01", "0.02"]


def test_cash_equals_the_sum_of_its_rows(zerodha_api):
    """Orders filled in parts, reported trades and reversals at random, recomputed naively from the rows."""
    chance = random.Random(12)
    for _ in range(12):
        price = str(chance.randrange(19_800, 20_200) * 5)[:-2] + ".00"
        set_price(
            zerodha_api, price, bid_size=str(chance.randrange(1, 90)), ask_size=str(chance.randrange(1, 90))
        )
        side, quantity = chance.choice(("BUY", "SELL")), str(chance.randrange(1, 120))
        place_order(
            zerodha_api, side, quantity, product="MIS", type="LIMIT", limit_price=price, time_in_force="IOC"
        )
        recorded = zerodha_api.record_trade(
            symbol="INFY", side=side, quantity=quantity, charges=chance.choice((None, "0", "3.33"))
        )
        if chance.random() < 0.4:
            assert zerodha_api.post_reversal(recorded["trade_id"]).status_code == 201
    rows = zerodha_api.list_trades(limit="500")
    assert any(row["kind"] == "reversal" for row in rows)
    cash, charges = Decimal(RUPEES["opening_cash"]), Decimal(0)
    for row in rows:
        cash += Decimal(row["gmv"]) * (-1 if row["side"] == "BUY" else 1) - Decimal(row["charges"])
        charges += Decimal(row["charges"])
    portfolio = zerodha_api.get_portfolio()
    assert (Decimal(portfolio["cash"]), Decimal(portfolio["charges"])) == (cash, charges)


def test_each_market_is_charged_by_its_own_schedule(api):
    body = {"name": "Both", "base_currency": "INR", "cost_schedules": {"IN": "zerodha"}}
    assert api.post("/portfolios", body).status_code == 201
    share = {"tick_size": "0.01", "lot_size": "1"}
    api.put("/instruments/RELIANCE", share | {"exchange": "NSE", "currency": "INR"})
    api.put("/instruments/MSFT", share | {"exchange": "NASDAQ", "currency": "INR"})
    for symbol in ("RELIANCE", "MSFT"):
        api.set_quote(symbol, "1000", "1000", "1000")
    charged = api.place_order(symbol="RELIANCE", quantity="400", portfolio_name="Both", product="MIS")
    free = api.place_order(symbol="MSFT", quantity="4", portfolio_name="Both")
    assert (charged["cost_schedule"], free["cost_schedule"]) == ("zerodha", "none")
    assert (
        api.record_trade(symbol="MSFT", quantity="4", gmv="4000", portfolio_name="Both")["charges"] == "0.00"
    )
    reported = api.record_trade(symbol="RELIANCE", quantity="4", gmv="4000", portfolio_name="Both")
    assert Decimal(reported["charges"]) > 0


def test_buy_requires_buying_power_for_its_charges(api):
    assert api.put("/instruments/INFY", NSE_SHARE).status_code == 200
    set_price(api, "1000")
    terms = {"type": "LIMIT", "limit_price": "1000", "quantity": "100", "product": "CNC"}
    for name, opening_cash in (("Enough", "100118.74"), ("Short", "100118.73")):
        body = {"name": name, "base_currency": "INR", "opening_cash": opening_cash}
        assert_ok(api.post("/portfolios", body | {"cost_schedule": "zerodha"}), 201)
    bought = api.place_order(symbol="INFY", portfolio_name="Enough", **terms)
    assert (bought["status"], api.get_portfolio("Enough")["cash"]) == ("FILLED", "0.00")
    denial = list_refused_fields(api.post_order(symbol="INFY", portfolio_name="Short", **terms))
    assert (denial["code"], denial["asked"], denial["largest_passing"]) == (
        *("BUYING_POWER", "100118.74", "99"),
    )


def test_open_buy_orders_reserve_their_charges(api):
    assert api.put("/instruments/INFY", NSE_SHARE).status_code == 200
    set_price(api, "1000")
    body = {"name": "Growth", "base_currency": "INR", "opening_cash": "200000", "cost_schedule": "zerodha"}
    assert_ok(api.post("/portfolios", body), 201)
    terms = {"type": "LIMIT", "time_in_force": "GTC", "product": "CNC", "symbol": "INFY"}
    api.place_order(**terms, limit_price="900", quantity="100")
    charges = Decimal("107.36")  # STT 90, exchange 2.76, SEBI 0.09, GST 0.51, stamp duty 14 (13.5)
    power = Decimal(api.get_portfolio()["buying_power"])
    assert power == 200_000 - 90_000 - charges
    refused_fields = list_refused_fields(api.post_order(**terms, limit_price="1000", quantity="110"))
    assert Decimal(refused_fields["limit"]) == power


def list_refused_fields(response):
    assert response.status_code == 422, response.text
    return response.json()["denial"]
