"""A day without another tool: read, close, stop and resume trading in Slack, by two people."""

import re
import secrets
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect

from deployment import Deployment, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]

AVA = "slack:T0DESK00001:U0AVACHEN01"
BEN = "slack:T0DESK00001:U0BENOKAF02"


@pytest.fixture
def portfolio(deployment, slack):
    """Provide a portfolio with a position, an order, and two risk managers who also trade."""
    name = f"Book {secrets.token_hex(3)}"
    deployment.request_as_admin("POST", "/portfolios", name=name)
    for symbol in ("GLNC", "GLND"):
        deployment.request_as_admin("PUT", f"/quotes/{symbol}", bid="99", ask="101", last="100")
    ticket = {"portfolio_name": name, "symbol": "GLNC", "side": "BUY", "quantity": "10"}
    deployment.request_as_admin("POST", "/trade", gmv="900", **ticket)
    deployment.request_as_admin("POST", "/trade", gmv="500", **ticket | {"symbol": "GLND", "quantity": "5"})
    limit = {"type": "LIMIT", "limit_price": "50", "time_in_force": "GTC"}
    deployment.request_as_admin("POST", "/orders", **ticket | limit)
    for person in (AVA, BEN):
        assert deployment.get_as_user(person, "/auth/me").status_code == 200
        deployment.change_person(person, role="admin")
        wait_until(partial(_is_admin, deployment, person))
    yield name
    for person in (AVA, BEN):
        deployment.change_person(person, role="trader")
    deployment.request_as_admin("POST", "/kill-switch", scope="portfolio", name=name, state="ACTIVE")
    deployment.request_as_admin("POST", "/orders:cancel-all", reason="The test is over")


def _is_admin(deployment: Deployment, person: str) -> bool:
    is_admin: bool = deployment.get_as_user(person, "/auth/me").json()["role"] == "admin"
    return is_admin


def test_two_people_close_positions_halt_and_resume_trading(slack, deployment, portfolio):
    slack.type(f"/portfolio {portfolio}")
    reply = slack.find_private_message(f"{portfolio} · equity")
    expect(reply).to_contain_text("P&L today")
    chart = reply.get_by_test_id("chart").filter(has_text="GLNC 66.7%")
    image = reply.get_by_role("img", name=re.compile(r"GLNC 66\.7%"))  # with the extra `charts`
    expect(chart.or_(image)).to_be_visible()
    expect(reply.get_by_role("row").filter(has_text="GLNC")).to_contain_text("1090.00100.001,000.00+100.00")
    slack.save_screenshots("portfolio")

    slack.type("/desk postions")
    expect(slack.find_private_message("Did you mean positions?")).to_be_visible()
    slack.type(f"/desk orders in {portfolio}")
    expect(
        slack.find_private_message("Working orders").get_by_role("row").filter(has_text="GLNC")
    ).to_be_visible()

    # the position, its exits and its close
    reply.get_by_role("combobox", name="Select a position").select_option(label="GLNC")
    expect(slack.form).to_contain_text("Stop-loss none · take-profit none")
    slack.save_screenshots("position")
    slack.form.get_by_role("button", name="Set exits…").click()
    slack.form.get_by_role("textbox", name="Take-profit (optional)").fill("120")
    slack.form.get_by_role("textbox", name="Stop-loss (optional)").fill("80")
    slack.form.get_by_role("button", name="Set exits", exact=True).click()
    expect(slack.form).to_contain_text("SELL 10 stop 80.00")
    slack.close_form()
    slack.type(f"/desk close 4 GLNC in {portfolio}")
    slack.save_screenshots("close")
    slack.form.get_by_role("button", name="Close at market").click()
    expect(slack.form).to_contain_text("SELL 4 GLNC")
    slack.close_form()
    wait_until(lambda: deployment.position(portfolio, "GLNC") == 6)

    # Ava stops trading; only Ben resumes it
    slack.type(f"/desk halt in {portfolio}")
    expect(slack.form).to_contain_text("Open now:")
    slack.save_screenshots("halt")
    slack.form.get_by_role("textbox", name="Reason").fill("Bad prices")
    slack.form.get_by_role("button", name="Stop trading").click()
    expect(slack.form).to_contain_text(f"{portfolio} is HALTED.")
    slack.close_form()
    banner = slack.message(f"Trading of {portfolio} is HALTED")
    expect(banner).to_contain_text("Bad prices")
    banner.get_by_role("button", name="Resume trading…").click()
    expect(slack.form).to_contain_text("Another person")
    slack.close_form()
    slack.act_as("Ben Okafor")
    banner.get_by_role("button", name="Resume trading…").click()
    slack.form.get_by_role("textbox", name="Reason").fill("Prices are good")
    slack.form.get_by_role("button", name="Resume trading").click()
    expect(slack.form).to_contain_text(f"{portfolio} is ACTIVE.")
    slack.close_form()
    expect(slack.message(f"Trading of {portfolio} was resumed").first).to_contain_text("Prices are good")
    slack.save_screenshots("resumed")


def test_threads_direct_messages_and_the_home_tab_show_the_same(slack, deployment, portfolio):
    slack.type("Prices?")
    slack.message("Prices?").hover()
    slack.message("Prices?").get_by_role("button", name="Reply in thread").click()
    slack.type("/desk positions")
    expect(slack.find_private_message("is not supported in threads")).to_be_visible()
    slack.type("@SlackOMS quote GLNC share")
    reply = slack.message("bid 99.00 · ask 101.00")
    expect(reply).to_have_class(re.compile(r"\breply\b"))
    slack.save_screenshots("thread")

    slack.page.get_by_test_id("channel-SlackOMS").click()
    slack.type("positions")
    position_row = slack.message("Positions").get_by_role("row").filter(has_text=portfolio)
    expect(position_row.filter(has_text="GLNC")).to_be_visible()
    slack.type("alert GLNC above 90")  # it is true already, so that the OMS sends the event at once
    expect(slack.message("GLNC above 90.00: now 100.00")).to_be_visible()
    slack.type("watch GLNC")
    expect(slack.message("GLNC bid 99.00 · ask 101.00")).to_be_visible()
    slack.type("settings")
    expect(slack.message("Your settings")).to_contain_text("Watchlist: GLNC")
    slack.type(f"export trades in {portfolio}")
    file = slack.message(f"in {portfolio}: 2 rows").get_by_test_id("file")
    with slack.page.expect_download() as download:
        file.get_by_role("link", name="trades.csv").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert rows[0].partition(",")[0] == "trade_id"
    assert len(rows) == 3
    slack.save_screenshots("direct-message")
    slack.page.get_by_role("tab", name="Home").click()
    home = slack.page.locator("#home")
    expect(home.get_by_role("button", name="Report a trade")).to_be_visible()
    slack.save_screenshots("home")
    for tab, expected in (
        ("Positions", "GLNC"), ("Orders", "Cancel orders…"), ("Approvals", "No orders to approve"),
        ("Activity", "Newest orders"), ("Settings", "Role: admin"),
    ):  # fmt: skip
        home.get_by_role("button", name=tab, exact=True).click()
        expect(home).to_contain_text(expected)
        slack.save_screenshots(f"home-{tab.lower()}")
    slack.page.emulate_media(color_scheme="dark")
    slack.page.set_viewport_size({"width": 390, "height": 844})
    home.get_by_role("button", name="Positions", exact=True).click()
    expect(home.get_by_role("table")).to_be_visible()
    assert slack.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_settings_are_changed_in_a_form_and_the_next_forms_start_with_them(slack, portfolio):
    slack.act_as("Zoë Núñez")  # no other test uses her settings
    slack.type("/desk settings")
    expect(slack.form).to_contain_text("Quiet hours")
    slack.form.get_by_role("combobox", name="Default portfolio (optional)").fill(portfolio)
    slack.form.get_by_role("option", name=portfolio).first.click()
    slack.form.get_by_role("combobox", name="Order type").select_option(label="Limit")
    slack.form.get_by_role("combobox", name="Time zone").fill("berlin")
    slack.form.get_by_role("option", name="Europe/Berlin").click()
    slack.form.get_by_role("radio", name="1.234,5").check()
    slack.save_screenshots("settings")
    slack.form.get_by_role("button", name="Save settings").click()
    expect(slack.form).to_contain_text("time zone: Europe/Berlin")
    slack.close_form()
    slack.type(f"/portfolio {portfolio}")
    expect(slack.find_private_message(f"{portfolio} · equity")).to_contain_text("Cash 998.600,00")

    slack.type("/order")
    field = slack.form.get_by_role("combobox", name="Portfolio")
    expect(field).to_have_value(portfolio)
    expect(slack.form.get_by_role("combobox", name="Type", exact=True)).to_have_value("LIMIT")
    symbol = slack.form.get_by_role("combobox", name="Symbol")
    symbol.fill("GLNC")
    expect(slack.form.get_by_role("option", name="GLNC · 100.00")).to_be_visible()
    slack.save_screenshots("symbol-search")
    slack.form.get_by_role("option", name="GLNC · 100.00").click()
    slack.form.get_by_role("radio", name="Buy").check()
    slack.fill_entry("Quantity (optional)", "5")
    slack.fill_entry("Limit price", "90")
    expect(slack.form).to_contain_text("5 GLNC at about 90.00 = 450.00")
    slack.save_screenshots("order-form")
    slack.form.get_by_role("button", name="Close", exact=True).click()
    slack.wait_for_no_form()
