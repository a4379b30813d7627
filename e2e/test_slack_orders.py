"""Orders in Slack without fakes: a browser, the simulator, the bot, and the OMS."""

import secrets
from typing import Any

import pytest
from playwright.sync_api import expect

from deployment import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]
BEN = "slack:T0DESK00001:U0BENOKAF02"


@pytest.fixture
def portfolio(deployment):
    """Provide a new portfolio. Its open orders are canceled at the end."""
    name = f"Orders {secrets.token_hex(3)}"
    deployment.request_as_admin("POST", "/portfolios", name=name)
    yield name
    deployment.request_as_admin("POST", "/orders:cancel-all", reason="The test is over")


def set_quote(deployment: Deployment, symbol: str, bid: str, ask: str) -> None:
    deployment.request_as_admin("PUT", f"/quotes/{symbol}", bid=bid, ask=ask, last=bid)


def list_orders(deployment: Deployment, portfolio: str) -> list[dict[str, Any]]:
    """Return the orders of a portfolio without their exits."""
    response: list[dict[str, Any]] = deployment.get("/orders", portfolio=portfolio)
    return [order for order in response if order["parent_id"] is None]


def test_order_is_previewed_placed_filled_and_another_is_canceled(slack, deployment, portfolio):
    set_quote(deployment, "SLORD", "409", "410")
    slack.type(f"/order buy 50 SLORD limit 405 gtc in {portfolio} sl 395 tp 440")
    expect(slack.form).to_contain_text("50 SLORD at about 405.00 = 20,250.00")
    expect(slack.form).to_contain_text("buying power")
    slack.save_screenshots("order-preview")
    slack.form.get_by_role("button", name="Place order").click()
    slack.wait_for_no_form()
    message = slack.message("BUY 50 SLORD limit 405.00 GTC")
    expect(message).to_contain_text("Status: Working")
    (order,) = list_orders(deployment, portfolio)
    assert order["status"] == "ACCEPTED"
    assert order["limit_price"] == "405.00"
    assert len(order["legs"]) == 2

    set_quote(deployment, "SLORD", "404", "404.5")  # the order fills at the ask
    expect(message).to_contain_text("filled 50 of 50 at 404.50")
    expect(message.get_by_role("button", name="Close position")).to_be_visible()
    expect(slack.message("Filled 50 at 404.50")).to_have_count(1)
    slack.save_screenshots("order-filled")

    slack.type(f"/order buy 5 SLORD limit 390 gtc in {portfolio}")
    slack.form.get_by_role("button", name="Place order").click()
    slack.wait_for_no_form()
    second = slack.message("BUY 5 SLORD limit 390.00 GTC")
    second.get_by_role("button", name="Cancel").click()
    expect(second).to_contain_text("Status: Canceled")
    expect(second.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    expect(slack.message("Canceled by")).to_have_count(1)
    assert {each["status"] for each in list_orders(deployment, portfolio)} == {"FILLED", "CANCELED"}


def test_denied_order_offers_a_passing_quantity(slack, deployment, portfolio):
    set_quote(deployment, "SLDEN", "99", "100")
    slack.type(f"/order buy 20000 SLDEN limit 100 gtc in {portfolio}")  # the portfolio has 1,000,000 in cash
    expect(slack.form).to_contain_text("Denied by buying power")  # in the preview
    slack.form.get_by_role("button", name="Place order").click()
    expect(slack.form).to_contain_text("Nothing was ordered.")
    slack.save_screenshots("order-denied")
    slack.form.get_by_role("button", name="Use quantity 10,000 instead").click()
    expect(slack.form).to_contain_text("Quantity 10,000 is filled in")
    slack.form.get_by_role("button", name="Place order").click()
    slack.wait_for_no_form()
    expect(slack.message("BUY 10,000 SLDEN limit 100.00 GTC")).to_have_count(1)


def test_order_waits_until_another_person_approves_it(slack, deployment, portfolio):
    deployment.register_user("ben", BEN)
    policy = {"mode": "always", "expires_minutes": 30, "approvers": [BEN]}
    deployment.request_as_admin("PATCH", f"/portfolios/{portfolio}", approval=policy)
    set_quote(deployment, "SLAPP", "99", "100")
    slack.type(f"/order buy 5 SLAPP limit 90 gtc in {portfolio}")
    expect(slack.form).to_contain_text("Needs the approval of another person.")
    slack.form.get_by_role("button", name="Place order").click()
    slack.wait_for_no_form()
    message = slack.message("BUY 5 SLAPP limit 90.00 GTC").filter(has_text="Status:")
    expect(message).to_contain_text("Status: Awaiting approval")
    request = slack.message("Approval needed")
    request.get_by_role("button", name="Approve").click()
    slack.form.get_by_role("button", name="Approve").click()
    expect(slack.form).to_contain_text("another person must decide on it")
    slack.form.get_by_role("button", name="Back").click()

    slack.act_as("Ben Okafor")
    request.get_by_role("button", name="Approve").click()
    expect(slack.form).to_contain_text("Unchanged since it was placed:")
    expect(slack.form).to_contain_text("Equity: 1,000,000.00")
    slack.save_screenshots("approval-form")
    slack.fill_entry("Reason (optional)", "Within the mandate")
    slack.form.get_by_role("button", name="Approve").click()
    slack.wait_for_no_form()
    expect(message).to_contain_text("Status: Working")
    expect(slack.message("Approved by").filter(has_text="Requested by")).to_contain_text("Within the mandate")
    assert list_orders(deployment, portfolio)[0]["status"] == "ACCEPTED"
    slack.save_screenshots("approval-decided")
