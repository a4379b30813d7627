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
from app.risk.queries.losses import find_tenants_with_loss_limits
from app.risk.rules.limits import LimitCode, LimitScope, SetLimit
from app.risk.rules.losses import LOSS_LIMITS
from app.timestamps import format_timestamp
from app.verify import check_database
from tests.orders.test_kept_promises import wait_until


def set_limit(rig, code, value, scope=LimitScope.PORTFOLIO, name="Growth"):
    limit = SetLimit(scope, name.lower(), name, code, Decimal(value), None, "key", format_timestamp(rig.now))
    with unit_of_work(rig.engine) as connection:
        execute_writes(connection, build_limit_upsert(rig.tenant, limit))
    rig.restart()  # limits are cached


def check_losses(rig):
    rig.tick()
    rig.run(CheckLosses(rig.tenant, format_timestamp(rig.now)))
    return rig.rows("SELECT trading_state FROM portfolios")[0][0]


def switches(rig):
    return rig.rows("SELECT state, set_by FROM kill_switch_changes ORDER BY id")


@pytest.fixture
def losing(rig):
    """Provide the rig with 10 bought at 101 and a limit of 100 for the loss of the day."""
    rig.place(quantity="10")
    set_limit(rig, LimitCode.MAX_DAILY_LOSS, "100")
    return rig


def test_daily_loss_limit_switches_the_portfolio_to_reducing(losing):
    losing.quote("91", "91.2", "91")
    assert check_losses(losing) == "ACTIVE"  # 10 × (101 − 91.1) = 99
    losing.quote("90.9", "91.1", "91")
    assert check_losses(losing) == "REDUCING"  # exactly 100
    assert losing.place(quantity="1").status is Status.DENIED
    assert losing.place(side="SELL", quantity="1").status is Status.FILLED
    assert switches(losing) == [("REDUCING", LOSS_LIMITS)]
    (told,) = losing.events("kill_switch.reducing")
    assert told["reason"] == "MAX_DAILY_LOSS: the loss of the day is 100, the limit 100."
    assert told["name"] == "Growth"
    check_losses(losing)
    assert len(switches(losing)) == 1  # once


def store_close(rig, equity, flows="0"):
    """Store a close of the portfolio, as the background job does."""
    (portfolio_id,) = rig.rows("SELECT id FROM portfolios")[0]
    amounts = {"equity": Decimal(equity), "flows": Decimal(flows)}
    zeros = dict.fromkeys(
        ("cash", "market_value", "gross_exposure", "realized_pnl", "unrealized_pnl", "charges"), Decimal(0)
    )
    key = {"tenant_id": rig.tenant, "portfolio_id": portfolio_id, "at": rig.now, "kind": "close"}
    with unit_of_work(rig.engine) as connection:
        connection.execute(insert(EquitySnapshot).values(**key, **amounts, **zeros))
    rig.tick()


def test_daily_loss_is_measured_from_the_last_close(losing):
    losing.quote("91.9", "92.1", "92")  # the position has lost 90 since it was opened
    store_close(losing, "999950")
    assert check_losses(losing) == "ACTIVE"  # 999,910 is 40 below the close
    losing.quote("85.9", "86.1", "86")
    assert check_losses(losing) == "REDUCING"  # 999,850 is exactly 100 below it


def test_drawdown_is_measured_from_the_highest_close(losing):
    set_limit(losing, LimitCode.MAX_DAILY_LOSS, "100000")
    set_limit(losing, LimitCode.MAX_DRAWDOWN, "200")
    store_close(losing, "1000150")
    store_close(losing, "999950")
    losing.quote("95.9", "96.1", "96")
    assert check_losses(losing) == "REDUCING"  # 999,950 is 200 below the peak of 1,000,150
    (told,) = losing.events("kill_switch.reducing")
    assert told["reason"].startswith("MAX_DRAWDOWN")


@pytest.mark.any_database
def test_manual_reset_is_not_overridden_on_the_same_day(losing):
    losing.quote("80", "80", "80")
    assert check_losses(losing) == "REDUCING"
    with unit_of_work(losing.engine) as connection:
        for statement in (
            "UPDATE kill_switches SET state = 'ACTIVE', set_by = 'alice'",
            "UPDATE portfolios SET trading_state = 'ACTIVE'",
        ):
            connection.exec_driver_sql(statement)
    assert check_losses(losing) == "ACTIVE"
    losing.tick(days=1)
    assert check_losses(losing) == "REDUCING"  # the next day it counts again


@pytest.mark.any_database
def test_next_day_resets_reducing_when_no_limit_is_reached(losing):
    losing.quote("80", "80", "80")
    assert check_losses(losing) == "REDUCING"
    losing.quote("101", "101", "101")
    assert check_losses(losing) == "REDUCING"
    losing.now = (losing.now + timedelta(days=1)).replace(hour=0)
    assert check_losses(losing) == "ACTIVE"
    assert switches(losing) == [("REDUCING", LOSS_LIMITS), ("ACTIVE", LOSS_LIMITS)]
    assert find_due_tenants(losing) == [losing.tenant]


@pytest.mark.any_database
def test_tenant_drawdown_limit_applies_to_each_portfolio(rig):
    rig.place(quantity="10")
    assert find_due_tenants(rig) == []
    set_limit(rig, LimitCode.MAX_DRAWDOWN, "50", LimitScope.TENANT, "")
    rig.quote("95", "95", "95")
    assert check_losses(rig) == "REDUCING"


def find_due_tenants(rig):
    with rig.engine.connect() as connection:
        return find_tenants_with_loss_limits(connection)


def test_automatic_switch_passes_verification(serve):
    with serve() as service:
        api = service.api()
        api.quote("AAPL", "99", "101", "100")
        api.order(quantity="10")
        limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_DAILY_LOSS", "value": "10"}
        assert api.put("/limits", limit).status_code == 200
        wait_until(lambda: api.get("/kill-switch").json()[-1]["state"] == "REDUCING")
        switch = api.get("/kill-switch").json()[-1]
        assert (switch["scope"], switch["set_by"]) == ("portfolio", LOSS_LIMITS)
        assert api.place().json()["denial"]["code"] == "REDUCING"
    engine = connect_engine(service.database_url)
    with engine.connect() as connection:
        verdict = check_database(connection)
    engine.dispose()
    assert verdict.clean, verdict.first


def denial(order):
    assert order.status is Status.DENIED
    return orjson.loads(order.denial)


def test_order_after_a_loss_is_denied_before_the_switch_is_set(losing):
    losing.quote("91", "91.2", "91")
    assert losing.place(quantity="1").status is Status.FILLED
    losing.quote("90.4", "90.4", "90.4")
    found = denial(losing.place(quantity="1"))
    assert (found["code"], found["limit"]) == ("MAX_DAILY_LOSS", "100")
    assert Decimal(found["asked"]) >= 100
    assert losing.rows("SELECT trading_state FROM portfolios") == [("ACTIVE",)]
    assert losing.place(side="SELL", quantity="4").status is Status.FILLED
    assert denial(losing.place(side="SELL", quantity="20"))["largest_passing"] == "7"


@pytest.mark.any_database
def test_drawdown_denies_orders_of_each_portfolio_of_the_tenant(losing):
    set_limit(losing, LimitCode.MAX_DAILY_LOSS, "100000")
    set_limit(losing, LimitCode.MAX_DRAWDOWN, "200", LimitScope.TENANT, "")
    store_close(losing, "1000150")
    losing.quote("95.9", "96.1", "96")
    assert denial(losing.place(quantity="1"))["code"] == "MAX_DRAWDOWN"
    assert losing.place(portfolio="Other", quantity="1").status is Status.FILLED


@pytest.mark.any_database
def test_orders_pass_after_a_person_reset_the_switch_on_the_same_day(losing):
    losing.quote("80", "80", "80")
    assert denial(losing.place(quantity="1"))["code"] == "MAX_DAILY_LOSS"
    assert check_losses(losing) == "REDUCING"
    with unit_of_work(losing.engine) as connection:
        for statement in (
            "UPDATE kill_switches SET state = 'ACTIVE', set_by = 'alice'",
            "UPDATE portfolios SET trading_state = 'ACTIVE'",
        ):
            connection.exec_driver_sql(statement)
    losing.restart()
    assert losing.place(quantity="1").status is Status.FILLED
    losing.tick(days=1)
    losing.quote("80", "80", "80")
    assert denial(losing.place(quantity="1"))["code"] == "MAX_DAILY_LOSS"


@pytest.mark.any_database
def test_new_close_counts_within_seconds(losing):
    losing.quote("80", "80", "80")
    assert denial(losing.place(quantity="1"))["code"] == "MAX_DAILY_LOSS"
    store_close(losing, "999790")
    losing.tick(seconds=2)
    assert losing.place(quantity="1").status is Status.FILLED


def test_daily_loss_of_the_tenant_counts_all_portfolios(rig):
    rig.place(quantity="10")
    rig.place(quantity="5", portfolio="Income")
    set_limit(rig, LimitCode.MAX_DAILY_LOSS, "150", LimitScope.TENANT, "")
    rig.quote("91.9", "92.1", "92")  # both lost 9 on each of 15
    rig.tick(seconds=2)
    assert rig.place(quantity="1").status is Status.FILLED
    rig.quote("90.9", "91.1", "91")
    rig.tick(seconds=2)
    denied = rig.place(quantity="1", portfolio="Income")
    assert denied.status is Status.DENIED
    denial = orjson.loads(denied.denial)
    assert (denial["code"], denial["limit"]) == ("FIRM_DAILY_LOSS", "150")
    assert rig.place(side="SELL", quantity="1", portfolio="Income").status is Status.FILLED
