"""Strategies in Slack without fakes: list, change, start, pause and stop one, and backtest it."""

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]


@pytest.fixture
def strategy(deployment):
    """Provide a strategy of a new portfolio. It does not run."""
    name = f"cross-{secrets.token_hex(3)}"
    deployment.request_as_admin("POST", "/portfolios", name=f"Book of {name}")
    registration = {
        "entry_point": "moving_average_cross",
        "portfolio": f"Book of {name}",
        "symbols": ["STRA"],
    }
    parameters = {"fast": "10", "slow": "30"}
    deployment.request_as_admin(
        "POST", "/strategies", name=name, interval="1m", parameters=parameters, **registration
    )
    yield name
    deployment.request_as_admin("POST", f"/strategies/{name}:stop")


def get_status(deployment, name):
    return deployment.get(f"/strategies/{name}")["status"]


def click_button(slack, name, label, *, is_confirmed=False):
    """List the strategies, and click a button of the last one."""
    slack.type("/desk strategies")
    reply = slack.find_private_message(f"{name}").last
    reply.get_by_role("button", name=label, exact=True).last.click()
    if is_confirmed:
        slack.page.get_by_role("alertdialog").get_by_role("button", name=label, exact=True).click()


def test_strategy_is_changed_started_paused_and_stopped(slack, deployment, strategy):
    click_button(slack, strategy, "Parameters…")
    fast = slack.form.get_by_role("textbox", name="fast")
    expect(fast).to_have_value("10")
    fast.fill("12")
    slack.save_screenshots("strategy-parameters")
    slack.form.get_by_role("button", name="Change").click()
    expect(slack.form).to_contain_text("12")
    slack.close_form()
    assert str(deployment.get(f"/strategies/{strategy}")["parameters"]["fast"]) == "12"

    steps = (
        ("Start", True, "ACTIVE"),
        ("Pause", False, "PAUSED"),
        ("Start", True, "ACTIVE"),
        ("Stop", True, "INACTIVE"),
    )
    for number, (label, is_confirmed, status) in enumerate(steps):
        click_button(slack, strategy, label, is_confirmed=is_confirmed)
        message = slack.find_private_message(f"{strategy} is {status} now.")
        expect(message).to_have_count(2 if number == 2 else 1)
        assert get_status(deployment, strategy) == status
    slack.type("/desk strategies")
    expect(slack.find_private_message(strategy).last).to_contain_text("INACTIVE")
    slack.save_screenshots("strategies")


def test_result_of_a_backtest_comes_as_a_direct_message(slack, strategy):
    slack.type(f"/desk backtest {strategy}")
    expect(slack.form).to_contain_text(f"Backtest of {strategy}.")
    last_day = slack.form.get_by_label("Last day").input_value()
    slack.form.get_by_label("First day").fill(last_day)
    slack.save_screenshots("backtest")
    slack.form.get_by_role("button", name="Run backtest").click()
    expect(slack.form).to_contain_text("direct message")
    slack.close_form()
    slack.open_channel("SlackOMS")
    result = slack.message(f"Backtest of {strategy} is done")
    expect(result).to_contain_text(f"STRA · {last_day}", timeout=60_000)
    expect(result).to_contain_text("round trips")
    expect(result.get_by_role("img", name="Equity of the backtest")).to_be_visible()
    slack.save_screenshots("backtest-result")
