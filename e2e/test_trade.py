"""The main use case without fakes: a browser, the simulator, the bot, the OMS and its database."""

import signal
from decimal import Decimal

import httpx
import pytest
from playwright.sync_api import expect

from deployment import LOOPBACK, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def restart_oms_afterwards(deployment):
    """Start the OMS again after tests that stop it, even if they fail."""
    yield deployment
    oms = deployment.programs["oms-api"]
    oms.signal(signal.SIGCONT)
    if oms.get_return_code() is not None:
        deployment.start_oms()


def test_corrected_trade_is_confirmed_and_recorded(slack, deployment):
    slack.type("/trade QQNEW")
    slack.fill("AA PL", quantity="0.123456789", gmv="17500.00", side="Buy", portfolio="Opening Book")
    slack.place()
    expect(slack.field_errors).to_have_count(2)
    expect(slack.field_errors.nth(1)).to_contain_text("at most 8 decimal places")
    assert deployment.trades(portfolio="Opening Book") == []

    slack.fill_entry("Symbol", "qqnew")
    slack.fill_entry("Quantity", "100")
    slack.place()
    expect(slack.form).to_contain_text("There is no portfolio named Opening Book")
    expect(slack.form).to_contain_text("QQNEW is not a listed instrument, and was never traded here")
    assert deployment.trades(portfolio="Opening Book") == []
    for label in ("Yes, create Opening Book", "Yes, QQNEW is correct"):
        slack.form.get_by_role("checkbox", name=label).check()
    slack.place()
    slack.wait_for_no_form()
    confirmation = slack.message("BUY 100 QQNEW")
    expect(confirmation).to_have_count(1)
    for amount in ("Opening Book", "175.00", "17,500.00"):
        expect(confirmation).to_contain_text(amount)

    (trade,) = deployment.trades(portfolio="Opening Book")
    expect(confirmation).to_contain_text(trade["trade_id"])
    assert trade["symbol"] == "QQNEW"
    assert trade["side"] == "BUY"
    assert trade["price"] == "175.00"
    assert trade["gmv"] == "17500.00"
    assert deployment.position("Opening Book", "QQNEW") == Decimal(100)


def test_line_fills_the_form_and_a_second_trade_adds_to_the_position(slack, deployment):
    for side, quantity in (("buy", 10), ("sell", 4)):
        slack.type(f"/trade {side} {quantity} MSFT @ 400 in Growth")
        if not deployment.get("/portfolios", q="Growth"):
            slack.place_and_confirm()
        else:
            slack.place()
        slack.wait_for_no_form()
        expect(slack.message(f"{side.upper()} {quantity} MSFT")).to_have_count(1)
    assert deployment.position("Growth", "MSFT") == Decimal(6)


@pytest.mark.any_database
def test_mistyped_portfolio_needs_a_confirmation(slack, deployment):
    slack.type("/trade buy 10 MSFT @ 400 in Growht")
    slack.place()
    expect(slack.form).to_contain_text("There is no portfolio named Growht")
    assert deployment.trades(portfolio="Growht") == []
    questions = slack.form.get_by_role("checkbox", name="Yes, ")
    expect(questions.first).to_be_visible()
    for question in questions.all():
        question.check()
    slack.place()
    slack.wait_for_no_form()
    expect(slack.message("BUY 10 MSFT").filter(has_text="Growht")).to_have_count(1)


@pytest.mark.any_database
def test_only_the_person_sees_the_help(slack):
    slack.type("/trade help")
    expect(slack.find_private_message("Trading from Slack")).to_be_visible()
    expect(slack.message("Trading from Slack")).to_have_count(0)


def test_eight_deliveries_of_one_submission_are_one_trade_and_one_confirmation(slack, deployment):
    slack.type("/trade buy 7 NVDA @ 120")
    slack.choose_portfolio("Repeats")
    slack.place_and_confirm()
    slack.wait_for_no_form()
    expect(slack.message("BUY 7 NVDA")).to_have_count(1)
    control = f"{deployment.url('simulator')}/control"
    log = httpx.get(f"{control}/log", **LOOPBACK).raise_for_status().json()
    submission = [delivery["id"] for delivery in log["deliveries"] if delivery["kind"] == "view_submission"][
        -1
    ]
    body = {"delivery": submission, "times": 7, "at_once": True}
    repeated = httpx.post(f"{control}/repeat", json=body, **LOOPBACK).raise_for_status().json()
    assert [delivery["status"] for delivery in repeated["deliveries"]] == [200] * 7
    assert len(deployment.trades(portfolio="Repeats")) == 1
    expect(slack.message("BUY 7 NVDA")).to_have_count(1)


def test_killed_oms_restarts_with_every_trade(slack, restart_oms_afterwards):
    deployment = restart_oms_afterwards
    slack.type("/trade buy 5 TSLA @ 250")
    slack.choose_portfolio("Survivors")
    slack.place_and_confirm()
    expect(slack.message("BUY 5 TSLA")).to_have_count(1)
    before = deployment.trades(portfolio="Survivors")
    deployment.kill_oms()
    deployment.start_oms()
    assert deployment.trades(portfolio="Survivors") == before
    slack.type("/trade sell 2 TSLA @ 260 in Survivors")
    slack.place()
    slack.wait_for_no_form()
    expect(slack.message("SELL 2 TSLA")).to_have_count(1)
    assert deployment.position("Survivors", "TSLA") == Decimal(3)


def test_stopped_oms_is_reported_and_records_nothing(slack, restart_oms_afterwards):
    deployment = restart_oms_afterwards
    slack.type("/trade buy 3 AMD @ 150")
    slack.choose_portfolio("Patience")
    deployment.stop_oms()
    slack.place()
    expect(slack.form).to_contain_text("Not placed.")
    expect(slack.form).to_contain_text("please try again")
    expect(slack.message("BUY 3 AMD")).to_have_count(0)
    deployment.start_oms()
    assert deployment.trades(portfolio="Patience") == []
    slack.place_and_confirm()
    slack.wait_for_no_form()
    expect(slack.message("BUY 3 AMD")).to_have_count(1)
    assert len(deployment.trades(portfolio="Patience")) == 1


@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_submission_to_a_frozen_oms_gets_a_response_in_time_and_trades_at_most_once(
    slack, restart_oms_afterwards, end
):
    deployment = restart_oms_afterwards
    portfolio = f"Frozen then {end}"
    earlier_trade = {"symbol": "META", "quantity": "1", "gmv": "500", "side": "BUY"}
    deployment.request_as_admin("POST", "/trade", **earlier_trade, portfolio_name=portfolio, user_id="e2e")
    slack.type("/trade buy 2 META @ 500")
    slack.choose_portfolio(portfolio)
    oms = deployment.programs["oms-api"]
    oms.signal(signal.SIGSTOP)
    slack.place()
    expect(slack.form).to_contain_text("has not responded yet")
    if end == "is killed":
        deployment.kill_oms()
        deployment.start_oms()
    else:
        oms.signal(signal.SIGCONT)
    expect(slack.form).to_contain_text("Resulting position" if end == "goes on" else "Not placed")
    confirmed = slack.message("BUY 2 META").filter(has_text=portfolio)
    wait_until(lambda: confirmed.count() == len(deployment.trades(portfolio=portfolio)) - 1)
    assert len(deployment.trades(portfolio=portfolio)) == (2 if end == "goes on" else 1)


@pytest.mark.any_database
def test_page_fits_a_phone(slack):
    slack.page.set_viewport_size({"width": 390, "height": 844})
    slack.type("/trade QQZZ")
    expect(slack.form).to_be_visible()
    width = slack.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
