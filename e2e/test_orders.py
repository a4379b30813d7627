"""Orders without fakes: placed over REST, shown by the simulator, filled by market prices."""

import re
import secrets
from typing import Any

import pytest
from playwright.sync_api import expect

from deployment import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]
AGE = re.compile(r"As of \d\d:\d\d:\d\d, \d+ s ago\.")
BEN = "slack:T0DESK00001:U0BENOKAF02"


@pytest.fixture
def portfolio(deployment):
    """Provide a new portfolio. Its open orders are canceled at the end."""
    name = f"Desk {secrets.token_hex(3)}"
    deployment.request_as_admin("POST", "/portfolios", name=name)
    yield name
    deployment.request_as_admin("POST", "/orders:cancel-all", reason="The test is over")


def place_order(deployment: Deployment, portfolio: str, symbol: str, **more: Any) -> None:
    ticket = {"portfolio_name": portfolio, "symbol": symbol, "side": "BUY", "quantity": "10"}
    deployment.request_as_admin("POST", "/orders", **ticket | more)


def set_quote(deployment: Deployment, symbol: str, bid: str, ask: str) -> None:
    deployment.request_as_admin("PUT", f"/quotes/{symbol}", bid=bid, ask=ask, last=bid)


def test_page_shows_working_orders_and_positions_and_updates_them(slack, deployment, portfolio):
    set_quote(deployment, "DESKA", "1499", "1500")
    slack.page.get_by_test_id("desk-button").click()
    orders, positions = (slack.page.get_by_test_id(f"desk-{label}") for label in ("orders", "positions"))
    expect(orders).to_contain_text("Working orders")
    expect(orders).not_to_contain_text("DESKA")

    legs = {"take_profit": {"limit_price": "1600"}, "stop_loss": {"stop_price": "1300"}}
    place_order(
        deployment, portfolio, "DESKA", type="LIMIT", limit_price="1450.5", time_in_force="GTC", **legs
    )
    rows = orders.get_by_role("row").filter(has_text="DESKA")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("BUY100LimitGTC · Entry1,450.50Accepted")
    expect(rows.filter(has_text="Take profit")).to_contain_text("Held")

    set_quote(deployment, "DESKA", "1440", "1450")  # better than the limit: it fills at the ask
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="Stop loss")).to_contain_text("Accepted")
    position_row = positions.get_by_role("row").filter(has_text="DESKA")
    expect(position_row).to_contain_text("101,450.001,445.00-50.00")

    set_quote(
        deployment, "DESKA", "1601", "1602"
    )  # the take-profit order fills, and the stop-loss order is canceled
    expect(rows).to_have_count(0)
    expect(position_row).to_have_count(0)
    assert deployment.get("/portfolios", detail="true", q=portfolio)[0]["realized_pnl"] == "1510.00"


def test_oms_panel_is_accessible_and_closes_on_escape(slack, deployment, portfolio):
    set_quote(deployment, "DESKR", "3.5", "3.5")
    for price in ("3", "3", "4"):
        ticket = {"symbol": "DESKR", "side": "BUY", "quantity": "1", "gmv": price}
        deployment.request_as_admin("POST", "/trade", portfolio_name=portfolio, **ticket)
    slack.page.set_viewport_size({"width": 390, "height": 844})
    slack.page.get_by_test_id("desk-button").click()
    positions = slack.page.get_by_test_id("desk-positions")
    position_row = positions.get_by_role("row").filter(has_text="DESKR")
    expect(position_row).to_contain_text("33.333.50+0.50")
    expect(positions).to_contain_text(f"{portfolio} · unrealized +0.50 USD")
    portfolios = slack.page.get_by_test_id("desk-portfolios")
    cash = portfolios.get_by_role("row").filter(has_text=portfolio)
    expect(cash).to_contain_text(f"{portfolio}999,990.0010.50+0.50+0.501,000,000.50")
    expect(slack.page.get_by_test_id("desk-age")).to_have_text(AGE)
    assert slack.page.evaluate("document.documentElement.scrollWidth") <= 390
    slack.page.keyboard.press("Escape")
    expect(slack.page.get_by_test_id("desk")).to_be_hidden()
    expect(slack.page.get_by_test_id("desk-button")).to_be_focused()


def test_oms_panel_shows_an_outage_and_recovers(slack, deployment, portfolio):
    place_order(deployment, portfolio, "DESKB", type="LIMIT", limit_price="0.01", time_in_force="GTC")
    slack.page.get_by_test_id("desk-button").click()
    orders = slack.page.get_by_test_id("desk-orders")
    expect(orders).to_contain_text("DESKB")
    deployment.kill_oms()
    try:
        expect(slack.page.get_by_test_id("desk")).to_contain_text("The OMS does not respond.")
        expect(orders).to_contain_text("Not known.")
    finally:
        deployment.start_oms()
    expect(orders).to_contain_text("DESKB")


def test_person_with_granted_portfolios_sees_only_those(slack, deployment, portfolio):
    place_order(deployment, portfolio, "DESKC", type="LIMIT", limit_price="0.01", time_in_force="GTC")
    deployment.request_as_admin("POST", "/portfolios", name=f"{portfolio} two")
    place_order(
        deployment, f"{portfolio} two", "DESKD", type="LIMIT", limit_price="0.01", time_in_force="GTC"
    )
    slack.act_as("Ben Okafor")
    slack.page.get_by_test_id("desk-button").click()
    orders = slack.page.get_by_test_id("desk-orders")
    expect(orders).to_contain_text("DESKC")
    deployment.change_person(BEN, portfolios=[f"{portfolio} two"])
    try:
        expect(orders).not_to_contain_text("DESKC")
        expect(orders).to_contain_text("DESKD")
        slack.act_as("Ava Chen")
        expect(orders).to_contain_text("DESKC")
    finally:
        deployment.change_person(BEN, portfolios=None)
