"""The caches of a process follow changes by other processes and by operators' commands."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from app import rebuild
from app.admin import __main__ as admin
from app.database import unit_of_work
from app.risk.service.controls import MAX_AGE_SECONDS
from tests.factories import BOOTSTRAP_KEY
from tests.identity.administration import (
    assert_ok,
    build_bearer_header,
    create_key,
    create_tenant,
    create_user,
    log_in,
    request_with_session,
)
from tests.risk.risk_requests import put_limit, set_switch
from tests.support.conditions import WAIT_SECONDS

SHARE = {"exchange": "NSE", "asset_class": "equity", "currency": "USD", "tick_size": "0.05", "lot_size": "1"}


@pytest.fixture
def two_processes(serve, database_url, monkeypatch):
    """Provide one desk at two processes, the first of which has cached all that it caches."""
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)
    with serve() as first, serve() as second:
        here = create_tenant(first, "desk")
        there = replace(here, service=second)
        here.set_quote("AAPL", "99", "101", "100")
        here.place_order(quantity="10", symbol="AAPL", side="BUY", type="MARKET", limit_price=None)
        yield here, there


def buy_shares(api, **changes):
    values = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET", "limit_price": None}
    return api.post_order(**values | changes)


def wait_until_equal(find, expected):
    """Wait until something is found as wanted."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (value := find()) != expected:
        assert time.monotonic() < deadline, f"{value} stays"
        time.sleep(MAX_AGE_SECONDS / 4)


def test_process_sees_changes_written_by_another_process(two_processes):
    here, there = two_processes
    resting = here.place_order(
        symbol="AAPL", side="BUY", quantity="1", type="LIMIT", limit_price="90", portfolio_name="Growth"
    )
    assert there.post(f"/orders/{resting['id']}/cancel", {}).status_code == 200
    assert here.post(f"/orders/{resting['id']}/cancel", {}).status_code == 409  # orders
    there.set_quote("AAPL", "109", "111", "110")
    assert buy_shares(here).json()["average_price"].startswith("111")  # quotes
    assert_ok(there.put("/instruments/AAPL", SHARE | {"tick_size": "0.5"}))
    off_tick = buy_shares(here, type="LIMIT", limit_price="90.05")
    assert off_tick.json()["denial"]["code"] == "TICK_SIZE"  # instruments
    buy_shares(there, quantity="5")
    assert buy_shares(here).status_code == 201
    assert here.get_portfolio()["positions"]["AAPL"]["quantity"] == "17"  # positions
    assert_ok(there.patch("/portfolios/Growth", {"name": "Renamed"}))
    assert buy_shares(here, portfolio_name="Renamed").status_code == 201
    assert here.get_portfolio("Renamed")["positions"]["AAPL"]["quantity"] == "18"  # names
    set_switch(there, "HALTED")
    assert buy_shares(here, portfolio_name="Renamed").json()["denial"]["code"] == "HALTED"  # switches
    set_switch(there, "ACTIVE")
    assert_ok(put_limit(there, "MAX_ORDER_QUANTITY", "2"))
    wait_until_equal(
        lambda: buy_shares(here, portfolio_name="Renamed", quantity="3").status_code, 422
    )  # limits


def test_process_sees_changes_by_operator_commands(two_processes):
    here, _ = two_processes
    other = here.with_key(create_key(here, "bot")["key"])
    create_user(here)
    session = build_bearer_header(log_in(here))

    def asks():
        return request_with_session(here, "GET", "/auth/me", session).status_code

    assert buy_shares(other).status_code == 201
    assert asks() == 200
    with unit_of_work(here.service.engine) as connection:
        connection.execute(text("UPDATE positions SET quantity = '50.00000000'"))
    assert rebuild.main() == rebuild.REBUILT
    assert buy_shares(here).status_code == 201
    assert here.get_portfolio()["positions"]["AAPL"]["quantity"] == "12"
    for command, find, expected in (
        (("revoke-key", "bot", "--tenant", "desk"), lambda: buy_shares(other).status_code, 401),
        (("disable-user", "alice@example.com", "--tenant", "desk"), asks, 401),
        (("suspend", "desk"), lambda: buy_shares(here).status_code, 403),
        (("resume", "desk"), lambda: buy_shares(here).status_code, 201),
        (("enable-user", "alice@example.com", "--tenant", "desk"), lambda: log_in(here).status_code, 200),
    ):
        assert admin.main(command) == admin.DONE
        wait_until_equal(find, expected)
