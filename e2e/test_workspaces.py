"""Several workspaces, people and user groups, changed on the simulator's page as an administrator does."""

import secrets

import httpx
import pytest
from playwright.sync_api import expect

from deployment import LOOPBACK, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]

PARTNER = "T0PARTNER02"
BEN = "slack:T0DESK00001:U0BENOKAF02"
DEV = "slack:T0DESK00001:U0DEVPATE04"
KIM = "slack:T0PARTNER02:U0KIMPARK05"


@pytest.fixture
def administration(slack):
    """Provide the controls with the administration."""
    slack.page.get_by_test_id("controls").click()
    panel = slack.page.locator("#panel")
    expect(panel.get_by_role("heading", name="Administration")).to_be_visible()
    return panel


def create_key(deployment, key, name, *scopes):
    return send_request(deployment, key, "POST", "/api-keys", name=name, scopes=list(scopes))["key"]


def send_request(deployment, key, method, path, **body):
    """Send a request with the key of another tenant."""
    url = f"{deployment.url('oms-api')}/api/v1{path}"
    headers = {"X-API-Key": key, "Idempotency-Key": secrets.token_hex(8)}
    response = httpx.request(method, url, json=body or None, headers=headers, **LOOPBACK)
    return response.raise_for_status().json()


def place_trade_and_order(slack, deployment, key):
    """Report a trade and place an order in the workspace of another tenant."""
    book, symbol = f"Partner {secrets.token_hex(3)}", "SLPART"
    send_request(deployment, key, "POST", "/portfolios", name=book)
    slack.type(f"/trade buy 5 {symbol} @ 100 in {book}")
    slack.place_and_confirm()
    slack.wait_for_no_form()
    expect(slack.message(f"BUY 5 {symbol}")).to_have_count(1)
    slack.type(f"/order buy 5 {symbol} limit 90 gtc in {book}")
    slack.form.get_by_role("button", name="Place order").click()
    slack.wait_for_no_form()
    expect(slack.message(f"BUY 5 {symbol} limit 90.00 GTC")).to_contain_text("Status: Working")
    (trade,), (order,) = (send_request(deployment, key, "GET", f"/{table}") for table in ("trades", "orders"))
    assert {trade["actor"], order["actor"]} == {KIM}
    assert deployment.trades(symbol=symbol) == [], "the books of the other tenant"


def test_second_workspace_installs_the_app_and_belongs_to_a_separate_tenant(
    slack, deployment, administration
):
    workspaces = administration.get_by_test_id("admin-workspaces")
    with slack.page.expect_popup() as opened:
        workspaces.get_by_role("link", name="Install…").click()
    consent = opened.value
    consent.get_by_role("link", name="Partner Fund").click()
    expect(consent.get_by_role("heading", name="wants access to Partner Fund")).to_be_visible()
    consent.get_by_role("link", name="Allow").click()
    expect(consent.get_by_text("is installed in Partner Fund")).to_be_visible()
    consent.close()
    expect(workspaces).to_contain_text("Partner Fund · installed")
    administration.get_by_role("button", name="Close controls").click()

    slack.open_channel("partners")
    slack.act_as("Kim Park")
    slack.open_channel("partner-desk")
    expect(slack.page.get_by_text("1 person and SlackOMS")).to_be_visible()
    slack.type("/desk positions")
    expect(slack.find_private_message("not connected to a trading system yet")).to_be_visible()

    slug = f"partner-{secrets.token_hex(3)}"
    tenant = deployment.request_as_admin("POST", "/tenants", name="Partner Fund", slug=slug)
    deployment.request_as_admin("POST", f"/tenants/{slug}/workspaces", team_id=PARTNER)
    try:
        key = create_key(deployment, tenant["api_key"], "slack-bot", "act_as", "bot")
        deployment.run_bot_command("app.workspaces", "bind", PARTNER, "--oms-key-stdin", standard_input=key)
        wait_until(lambda: any("Workspace claimed" in line and PARTNER in line for line in deployment.log))
        slack.type("/desk help")
        expect(slack.find_private_message("Your role is").first).to_be_visible(timeout=30_000)
        assert KIM not in deployment.people(), "she is a user of the other tenant"
        place_trade_and_order(slack, deployment, tenant["api_key"])
    finally:
        slack.page.get_by_test_id("controls").click()
        administration.get_by_role("button", name="Uninstall from Partner Fund").click()
        expect(workspaces).to_contain_text("Partner Fund · not installed")
        wait_until(lambda: "uninstalled" in deployment.run_bot_command("app.workspaces", "list"))
        deployment.request_as_admin("POST", f"/tenants/{slug}/workspaces:release", team_id=PARTNER)


def test_deactivated_person_loses_access_at_once(slack, deployment, administration):
    deployment.register_user("ben", BEN)
    people = administration.get_by_test_id("admin-people")
    people.get_by_role("button", name="Deactivate Ben Okafor").click()
    wait_until(lambda: deployment.get_as_user(BEN, "/auth/me").status_code == 403)
    people.get_by_role("button", name="Activate Ben Okafor").click()
    wait_until(lambda: deployment.get_as_user(BEN, "/auth/me").status_code == 200)


def test_user_group_grants_and_revokes_a_role(slack, deployment, administration):
    deployment.register_user("dev", DEV)

    def has_role(role):
        return lambda: deployment.get_as_user(DEV, "/auth/me").json().get("role") == role

    deployment.request_as_admin("PATCH", "/tenants/default", slack_group_roles={"S0WATCHER01": "viewer"})
    try:
        wait_until(has_role("viewer"))
        administration.get_by_text("@watchers").first.click()
        administration.get_by_label("Dev Patel in @watchers").uncheck()
        wait_until(has_role("trader"))
    finally:
        deployment.request_as_admin("PATCH", "/tenants/default", slack_group_roles={})
