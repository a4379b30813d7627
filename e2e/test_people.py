"""Every action in Slack names the person, from the signed request to the row in the ledger."""

import re

import pytest
from playwright.sync_api import expect

from deployment import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]

AVA = "slack:T0DESK00001:U0AVACHEN01"
BEN = "slack:T0DESK00001:U0BENOKAF02"
KIM = "slack:T0PARTNER02:U0KIMPARK05"
FROM_BOT = re.compile(r"\breq-[0-9a-f]{16}\b")  # the format of the bot's request ids
NOBODYS = ("/health", "/health/ready")


@pytest.fixture
def set_role_of_ben(deployment, slack):
    """Set Ben's role. He is a trader again afterwards."""
    slack.act_as("Ben Okafor")
    slack.type("/trade")
    expect(slack.form).to_be_visible()
    wait_until(
        lambda: BEN in deployment.people(), seconds=10
    )  # the OMS registers the person at the first request
    slack.form.get_by_role("button", name="Cancel").click()
    slack.wait_for_no_form()
    yield lambda role: set_role(deployment, role)
    set_role(deployment, "trader")


def set_role(deployment, role):
    deployment.change_person(BEN, role=role)
    wait_until(lambda: deployment.get_as_user(BEN, "/auth/me").json()["role"] == role)


def restrict_portfolios(deployment, portfolios):
    deployment.change_person(BEN, portfolios=portfolios)
    narrowed = portfolios is not None
    wait_until(
        lambda: (deployment.get_as_user(BEN, "/auth/me").json()["portfolios"] is not None) == narrowed,
        seconds=5,
    )


def place_trade(slack, deployment, line, portfolio):
    slack.type(f"/trade {line}")
    is_new = deployment.get_as_user(AVA, f"/portfolio/{portfolio}").status_code != 200
    slack.choose_portfolio(portfolio)
    (slack.place_and_confirm if is_new else slack.place)()
    slack.wait_for_no_form()


def read_log_lines(deployment, service, since):
    return [line for line in deployment.log[since:] if line.startswith(service)]


# Ledger


def test_two_people_trade_and_each_row_names_who_did_it(slack, deployment):
    place_trade(slack, deployment, "buy 10 QQZZ @ 175", "Two people")
    expect(slack.message("BUY 10 QQZZ").filter(has_text="Ava Chen")).to_have_count(1)
    slack.act_as("Ben Okafor")
    place_trade(slack, deployment, "sell 4 QQZZ @ 176", "Two people")
    expect(slack.message("SELL 4 QQZZ").filter(has_text="Ben Okafor")).to_have_count(1)
    rows = {row["side"]: row for row in deployment.trades(portfolio="Two people")}
    assert {side: row["actor"] for side, row in rows.items()} == {"BUY": AVA, "SELL": BEN}
    assert {side: row["user_id"] for side, row in rows.items()} == {
        "BUY": "U0AVACHEN01",
        "SELL": "U0BENOKAF02",
    }
    assert {row["source"] for row in rows.values()} == {"slack-bot"}


def test_request_id_of_a_trade_is_in_the_logs_of_both_services(slack, deployment):
    since = len(deployment.log)
    place_trade(slack, deployment, "buy 3 IBM @ 200", "Followed")
    (row,) = deployment.trades(portfolio="Followed")
    wait_until(
        lambda: any(row["request_id"] in line for line in read_log_lines(deployment, "oms-api", since)),
        seconds=10,
    )
    for service in ("slack-bot", "oms-api"):
        lines = [line for line in read_log_lines(deployment, service, since) if row["request_id"] in line]
        assert any(AVA in line for line in lines), f"{service} does not say who it was"


def test_entries_of_a_form_never_identify_the_person(slack, deployment):
    slack.type("/trade buy 2 IBM @ 200")
    slack.choose_portfolio("Written names")
    slack.fill_entry("Note (optional)", BEN)
    slack.place_and_confirm()
    slack.wait_for_no_form()
    (row,) = deployment.trades(portfolio="Written names")
    assert row["actor"] == AVA
    assert row["note"] == BEN


# Calls


def test_every_call_of_the_bot_except_health_names_its_user(slack, deployment):
    since = len(deployment.log)
    place_trade(slack, deployment, "buy 1 ORCL @ 100", "Every call")
    paths = {"/api/v1/auth/me", "/api/v1/portfolios", "/api/v1/trades", "/api/v1/trade"}

    def calls():
        return [line for line in read_log_lines(deployment, "oms-api", since) if FROM_BOT.search(line)]

    wait_until(lambda: all(any(f"{path} " in line for line in calls()) for path in paths))
    for line in calls():
        assert AVA in line, "this call was made for nobody"
    probes = [
        line
        for line in read_log_lines(deployment, "oms-api", since)
        if any(f"{each} " in line for each in NOBODYS)
    ]
    assert not any("slack:" in line for line in probes)


# Permissions


def test_viewer_gets_a_refusal_when_the_form_opens(slack, deployment, set_role_of_ben):
    set_role_of_ben("viewer")
    slack.type("/trade buy 5 QQZZ @ 175")
    expect(slack.form).to_contain_text("You cannot trade here.")
    expect(slack.form).to_contain_text("Your role at this desk does not include trading")
    expect(slack.form.get_by_role("button", name="Place trade")).to_have_count(0)


def test_role_change_while_the_form_is_open_refuses_and_keeps_the_entries(slack, deployment, set_role_of_ben):
    slack.type("/trade buy 5 QQZZ @ 175")
    slack.choose_portfolio("Refused")
    set_role_of_ben("viewer")
    refused = slack.form.get_by_text("Your role at this desk does not include trading")
    slack.place_and_confirm()
    expect(refused).to_be_visible()
    expect(slack.form.get_by_role("textbox", name="Quantity")).to_have_value("5")
    assert deployment.trades(portfolio="Refused") == []
    set_role_of_ben("trader")
    slack.place()
    slack.wait_for_no_form()
    assert [row["actor"] for row in deployment.trades(portfolio="Refused")] == [BEN]


def test_restricted_user_is_offered_and_trades_only_granted_portfolios(slack, deployment, set_role_of_ben):
    slack.act_as("Ava Chen")
    place_trade(slack, deployment, "buy 1 ORCL @ 100", "Open to Ben")
    place_trade(slack, deployment, "buy 1 ORCL @ 100", "Open to Ava")
    slack.act_as("Ben Okafor")
    restrict_portfolios(deployment, ["Open to Ben"])
    try:
        slack.type("/trade buy 2 ORCL @ 100")
        field = slack.form.get_by_role("combobox", name="Portfolio")
        field.fill("Open to")
        offered = slack.form.get_by_role("option")
        expect(offered.filter(has_text="Open to Ben")).to_have_count(1)
        expect(offered.filter(has_text="Open to Ava")).to_have_count(0)
        slack.choose_portfolio("Open to Ava")
        slack.place_and_confirm()
        expect(slack.field_errors).to_have_count(1)
        expect(slack.field_errors).to_contain_text("You have no access to this portfolio")
        assert len(deployment.trades(portfolio="Open to Ava")) == 1
        slack.choose_portfolio("Open to Ben")
        slack.place()
        slack.wait_for_no_form()
        assert [row["actor"] for row in deployment.trades(portfolio="Open to Ben")] == [BEN, AVA]
    finally:
        restrict_portfolios(deployment, None)


def test_disabled_person_is_not_a_member(slack, deployment, set_role_of_ben):
    deployment.change_person(BEN, status="disabled")
    wait_until(lambda: deployment.get_as_user(BEN, "/auth/me").status_code == 403)
    try:
        slack.type("/trade buy 5 QQZZ @ 175")
        expect(slack.form).to_contain_text("You are not a member of this desk")
    finally:
        deployment.change_person(BEN, status="active")
        wait_until(lambda: deployment.get_as_user(BEN, "/auth/me").status_code == 200)


def test_external_person_cannot_trade_and_is_not_registered(slack, deployment):
    slack.open_channel("partners")
    slack.act_as("Kim Park")
    slack.type("/trade buy 5 QQZZ @ 175 in Strangers")
    expect(slack.find_private_message("Only members of the workspace")).to_be_visible()
    slack.wait_for_no_form()
    assert deployment.trades(portfolio="Strangers") == []
    assert KIM not in deployment.people()
