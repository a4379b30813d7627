"""Losses that reach a limit switch the portfolio to REDUCING, until a person or the next day."""

from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from sqlalchemy import insert

from app.database import connect_engine, execute_writes, unit_of_work
from app.orders.rules.values import Status
from app.orders.service.internal_commands import CheckLosses
from app.performance.models import EquitySnapshot
from app.risk.queries.limits import build_limit_upsert
from app.risk.queries.losses import list_tenants_with_loss_limits
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.rules.losses import LOSS_LIMIT_ACTOR
from app.timestamps import format_timestamp
from app.verify import check_database
from tests.support.conditions import wait_until

pytestmark = pytest.mark.usefixtures("decides_on_loaded_state")


def set_limit(harness, code, value, scope=LimitScope.PORTFOLIO, name="Growth"):
    limit = RiskLimit(
        scope, name.lower(), name, code, Decimal(value), None, "key", format_timestamp(harness.now)
    )
    with unit_of_work(harness.engine) as connection:
        execute_writes(connection, build_limit_upsert(harness.tenant, limit))
    harness.restart()  # limits are cached


def check_losses(harness):
    harness.advance_clock()
    harness.run(CheckLosses(harness.tenant, format_timestamp(harness.now)))
    return harness.query("SELECT trading_state FROM portfolios")[0][0]


def list_switches(harness):
    return harness.query("SELECT state, set_by FROM kill_switch_changes ORDER BY id")


@pytest.fixture
def losing_harness(harness):
    """Provide the harness with 10 bought at 101 and a limit of 100 for the loss of the day."""
    harness.place_order(quantity="10")
    set_limit(harness, LimitCode.MAX_DAILY_LOSS, "100")
    return harness


def test_daily_loss_limit_switches_the_portfolio_to_reducing(losing_harness):
    losing_harness.publish_quote("91", "91.2", "91")
    assert check_losses(losing_harness) == "ACTIVE"  # 10 × (101 − 91.1) = 99
    losing_harness.publish_quote("90.9", "91.1", "91")
    assert check_losses(losing_harness) == "REDUCING"  # exactly 100
    assert losing_harness.place_order(quantity="1").status is Status.DENIED
    assert losing_harness.place_order(side="SELL", quantity="1").status is Status.FILLED
    assert list_switches(losing_harness) == [("REDUCING", LOSS_LIMIT_ACTOR)]
    (event,) = losing_harness.list_events("kill_switch.reducing")
    assert event["reason"] == "The daily loss of 100 has reached MAX_DAILY_LOSS, which is 100."
    assert event["name"] == "Growth"
    check_losses(losing_harness)
    assert len(list_switches(losing_harness)) == 1  # once


def store_close(harness, equity, flows="0"):
    """Store a close of the portfolio, as the background job does."""
    (portfolio_id,) = harness.query("SELECT id FROM portfolios")[0]
    amounts = {"equity": Decimal(equity), "flows": Decimal(flows)}
    zeros = dict.fromkeys(
        ("cash", "market_value", "gross_exposure", "realized_pnl", "unrealized_pnl", "charges"), Decimal(0)
    )
    key = {"tenant_id": harness.tenant, "portfolio_id": portfolio_id, "at": harness.now, "kind": "close"}
    with unit_of_work(harness.engine) as connection:
        connection.execute(insert(EquitySnapshot).values(**key, **amounts, **zeros))
    harness.advance_clock()


def test_daily_loss_is_measured_from_the_last_close(losing_harness):
    losing_harness.publish_quote("91.9", "92.1", "92")  # the position has lost 90 since it was opened
    store_close(losing_harness, "999950")
    assert check_losses(losing_harness) == "ACTIVE"  # 999,910 is 40 below the close
    losing_harness.publish_quote("85.9", "86.1", "86")
    assert check_losses(losing_harness) == "REDUCING"  # 999,850 is exactly 100 below it


def test_drawdown_is_measured_from_the_highest_close(losing_harness):
    set_limit(losing_harness, LimitCode.MAX_DAILY_LOSS, "100000")
    set_limit(losing_harness, LimitCode.MAX_DRAWDOWN, "200")
    store_close(losing_harness, "1000150")
    store_close(losing_harness, "999950")
    losing_harness.publish_quote("95.9", "96.1", "96")
    assert check_losses(losing_harness) == "REDUCING"  # 999,950 is 200 below the peak of 1,000,150
    (event,) = losing_harness.list_events("kill_switch.reducing")
    assert "MAX_DRAWDOWN" in event["reason"]


@pytest.mark.any_database
def test_manual_reset_is_not_overridden_on_the_same_day(losing_harness):
    losing_harness.publish_quote("80", "80", "80")
    assert check_losses(losing_harness) == "REDUCING"
    with unit_of_work(losing_harness.engine) as connection:
        for statement in (
            "UPDATE kill_switches SET state = 'ACTIVE', set_by = 'alice'",
            "UPDATE portfolios SET trading_state = 'ACTIVE'",
        ):
            connection.exec_driver_sql(statement)
    assert check_losses(losing_harness) == "ACTIVE"
    losing_harness.advance_clock(days=1)
    assert check_losses(losing_harness) == "REDUCING"  # the next day it counts again


@pytest.mark.any_database
def test_next_day_resets_reducing_when_no_limit_is_reached(losing_harness):
    losing_harness.publish_quote("80", "80", "80")
    assert check_losses(losing_harness) == "REDUCING"
    losing_harness.publish_quote("101", "101", "101")
    assert check_losses(losing_harness) == "REDUCING"
    losing_harness.now = (losing_harness.now + timedelta(days=1)).replace(hour=0)
    assert check_losses(losing_harness) == "ACTIVE"
    assert list_switches(losing_harness) == [("REDUCING", LOSS_LIMIT_ACTOR), ("ACTIVE", LOSS_LIMIT_ACTOR)]
    assert find_due_tenants(losing_harness) == [losing_harness.tenant]


@pytest.mark.any_database
def test_tenant_drawdown_limit_applies_to_each_portfolio(harness):
    harness.place_order(quantity="10")
    assert find_due_tenants(harness) == []
    set_limit(harness, LimitCode.MAX_DRAWDOWN, "50", LimitScope.TENANT, "")
    harness.publish_quote("95", "95", "95")
    assert check_losses(harness) == "REDUCING"


def find_due_tenants(harness):
    with harness.engine.connect() as connection:
        return list_tenants_with_loss_limits(connection)


def test_automatic_switch_passes_verification(serve):
    with serve() as service:
        api = service.create_client()
        api.set_quote("AAPL", "99", "101", "100")
        api.place_order(quantity="10")
        limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_DAILY_LOSS", "value": "10"}
        assert api.put("/limits", limit).status_code == 200
        wait_until(lambda: api.get("/kill-switch").json()[-1]["state"] == "REDUCING")
        switch = api.get("/kill-switch").json()[-1]
        assert (switch["scope"], switch["set_by"]) == ("portfolio", LOSS_LIMIT_ACTOR)
        assert api.post_order().json()["denial"]["code"] == "REDUCING"
    engine = connect_engine(service.database_url)
    with engine.connect() as connection:
        result = check_database(connection)
    engine.dispose()
    assert result.is_clean, result.first


def get_denial(order):
    assert order.status is Status.DENIED
    return orjson.loads(order.denial)


def test_order_after_a_loss_is_denied_before_the_switch_is_set(losing_harness):
    losing_harness.publish_quote("91", "91.2", "91")
    assert losing_harness.place_order(quantity="1").status is Status.FILLED
    losing_harness.publish_quote("90.4", "90.4", "90.4")
    denial = get_denial(losing_harness.place_order(quantity="1"))
    assert (denial["code"], denial["limit"]) == ("MAX_DAILY_LOSS", "100")
    assert Decimal(denial["asked"]) >= 100
    assert losing_harness.query("SELECT trading_state FROM portfolios") == [("ACTIVE",)]
    assert losing_harness.place_order(side="SELL", quantity="4").status is Status.FILLED
    assert get_denial(losing_harness.place_order(side="SELL", quantity="20"))["largest_passing"] == "7"


@pytest.mark.any_database
def test_drawdown_denies_orders_of_each_portfolio_of_the_tenant(losing_harness):
    set_limit(losing_harness, LimitCode.MAX_DAILY_LOSS, "100000")
    set_limit(losing_harness, LimitCode.MAX_DRAWDOWN, "200", LimitScope.TENANT, "")
    store_close(losing_harness, "1000150")
    losing_harness.publish_quote("95.9", "96.1", "96")
    assert get_denial(losing_harness.place_order(quantity="1"))["code"] == "MAX_DRAWDOWN"
    assert losing_harness.place_order(portfolio="Other", quantity="1").status is Status.FILLED


@pytest.mark.any_database
def test_orders_pass_after_a_person_reset_the_switch_on_the_same_day(losing_harness):
    losing_harness.publish_quote("80", "80", "80")
    assert get_denial(losing_harness.place_order(quantity="1"))["code"] == "MAX_DAILY_LOSS"
    assert check_losses(losing_harness) == "REDUCING"
    with unit_of_work(losing_harness.engine) as connection:
        for statement in (
            "UPDATE kill_switches SET state = 'ACTIVE', set_by = 'alice'",
            "UPDATE portfolios SET trading_state = 'ACTIVE'",
        ):
            connection.exec_driver_sql(statement)
    losing_harness.restart()
    assert losing_harness.place_order(quantity="1").status is Status.FILLED
    losing_harness.advance_clock(days=1)
    losing_harness.publish_quote("80", "80", "80")
    assert get_denial(losing_harness.place_order(quantity="1"))["code"] == "MAX_DAILY_LOSS"


@pytest.mark.any_database
def test_new_close_counts_within_seconds(losing_harness):
    losing_harness.publish_quote("80", "80", "80")
    assert get_denial(losing_harness.place_order(quantity="1"))["code"] == "MAX_DAILY_LOSS"
    store_close(losing_harness, "999790")
    losing_harness.advance_clock(seconds=2)
    assert losing_harness.place_order(quantity="1").status is Status.FILLED


def test_daily_loss_of_the_tenant_counts_all_portfolios(harness):
    harness.place_order(quantity="10")
    harness.place_order(quantity="5", portfolio="Income")
    set_limit(harness, LimitCode.MAX_DAILY_LOSS, "150", LimitScope.TENANT, "")
    harness.publish_quote("91.9", "92.1", "92")  # both lost 9 on each of 15
    harness.advance_clock(seconds=2)
    assert harness.place_order(quantity="1").status is Status.FILLED
    harness.publish_quote("90.9", "91.1", "91")
    harness.advance_clock(seconds=2)
    denied = harness.place_order(quantity="1", portfolio="Income")
    assert denied.status is Status.DENIED
    denial = orjson.loads(denied.denial)
    assert (denial["code"], denial["limit"]) == ("FIRM_DAILY_LOSS", "150")
    assert harness.place_order(side="SELL", quantity="1", portfolio="Income").status is Status.FILLED
