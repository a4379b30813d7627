"""The bot's key, its tenant, and limits that are narrower than the form's."""

import json
import secrets

import httpx
import pytest

from deployment import LOOPBACK, build_sqlite_url, run_deployment, wait_until

pytestmark = pytest.mark.e2e

AVA = "U0AVACHEN01"


@pytest.fixture
def deployment(tmp_path):
    with run_deployment(build_sqlite_url(tmp_path)) as deployment:
        yield deployment


@pytest.fixture
def narrow_deployment(tmp_path):
    limits = {"MAX_QUANTITY": "50", "MAX_GMV": "1000", "MAX_PRICE": "100"}
    with run_deployment(build_sqlite_url(tmp_path), **limits) as deployment:
        yield deployment


def type_line(deployment, line):
    deployment.act(AVA, "say", channel="trading", text=f"/trade {line} in Bot and OMS")
    wait_until(lambda: deployment.find_form(AVA) is not None)


def list_ticks(deployment):
    """Return the values that confirm all questions of the open form."""
    form = deployment.find_form(AVA) or {"blocks": []}
    blocks = [block for block in form["blocks"] if block.get("element", {}).get("type") == "checkboxes"]
    return {block["block_id"]: {"entry": ["yes"]} for block in blocks}


def is_shown(deployment, sentence):
    wait_until(lambda: sentence in json.dumps(deployment.find_form(AVA)))


def create_key(deployment, *scopes):
    name = f"slack-bot-{secrets.token_hex(3)}"
    return name, deployment.request_as_admin("POST", "/api-keys", name=name, scopes=list(scopes))["key"]


def build_amounts(quantity, gmv):
    return {
        "quantity": {"quantity_entry": quantity},
        "gmv": {"gmv_entry": gmv},
        "price": {"price_entry": None},
    }


def test_key_that_may_only_act_for_people_trades_for_them_and_opens_nothing_by_itself(deployment):
    name, key = create_key(deployment, "act_as")
    (tenant,) = deployment.request_as_admin("GET", "/tenants")
    deployment.request_as_admin("POST", f"/tenants/{tenant['slug']}/workspaces", team_id="T0DESK00001")
    deployment.restart_bot_with(key)
    type_line(deployment, "buy 5 AAPL @ 100")
    assert deployment.act(AVA, "submit")["outcome"] == "updated", "asked about the new portfolio"
    assert deployment.act(AVA, "submit", values=list_ticks(deployment))["outcome"] == "cleared"
    (row,) = deployment.trades()
    assert (row["source"], row["actor"]) == (name, f"slack:T0DESK00001:{AVA}")
    url = f"{deployment.url('oms-api')}/api/v1/trades"
    assert httpx.get(url, headers={"X-API-Key": key}, **LOOPBACK).status_code == 403


@pytest.mark.any_database
def test_key_without_the_right_to_act_for_users_is_reported_as_an_operator_error(deployment):
    deployment.restart_bot_with(create_key(deployment, "trade")[1])
    type_line(deployment, "buy 5 AAPL @ 100")
    is_shown(deployment, "This app's key may not act for people. Please tell its operator.")
    assert deployment.trades() == []


def test_workspace_stays_with_its_first_tenant(deployment):
    type_line(deployment, "buy 5 AAPL @ 100")
    wait_until(lambda: len(deployment.people()) == 1)
    other = deployment.request_as_admin("POST", "/tenants", name="Other desk", slug="other-desk")
    deployment.restart_bot_with(other["api_key"])
    type_line(deployment, "buy 5 AAPL @ 100")
    is_shown(deployment, "This Slack workspace is not connected.")


def test_limits_of_the_oms_are_shown_at_the_fields_and_the_form_can_be_corrected(narrow_deployment):
    def placed(quantity, gmv):
        return narrow_deployment.act(
            AVA, "submit", values=build_amounts(quantity, gmv) | list_ticks(narrow_deployment)
        )

    type_line(narrow_deployment, "buy 100 AAPL @ 175")
    assert narrow_deployment.act(AVA, "submit")["outcome"] == "updated", "asked about the new portfolio"
    assert placed("100", "17500")["errors"] == {
        "quantity": "Quantity must be at most 50.",
        "gmv": "The gross market value must be at most 1,000.",
    }
    price = placed("5", "875")["errors"]
    assert price.keys() == {"gmv"}
    assert "The price per unit must be between" in price["gmv"]
    assert narrow_deployment.trades() == []
    assert placed("5", "500")["outcome"] == "cleared"
    (row,) = narrow_deployment.trades()
    assert row["quantity"] == "5"
    assert row["gmv"] == "500.00"
