"""What the bot is at the OMS: its key, its desk, and limits that are narrower than the form's."""

import json
import secrets

import httpx
import pytest

from desk import running_desk, sqlite_in, until

pytestmark = pytest.mark.e2e

AVA = "U0AVACHEN01"


@pytest.fixture
def desk(tmp_path):
    with running_desk(sqlite_in(tmp_path)) as desk:
        yield desk


@pytest.fixture
def narrow_desk(tmp_path):
    limits = {"MAX_QUANTITY": "50", "MAX_GMV": "1000", "MAX_PRICE": "100"}
    with running_desk(sqlite_in(tmp_path), **limits) as desk:
        yield desk


def type_in(desk, line):
    desk.act(AVA, "say", channel="trading", text=f"/trade {line} in Bot and OMS")
    until(lambda: desk.form_of(AVA) is not None, seconds=10)


def ticks(desk):
    """What answers all questions of the open form with yes."""
    form = desk.form_of(AVA) or {"blocks": []}
    asked = [each for each in form["blocks"] if each.get("element", {}).get("type") == "checkboxes"]
    return {each["block_id"]: {"entry": ["yes"]} for each in asked}


def sees(desk, sentence):
    until(lambda: sentence in json.dumps(desk.form_of(AVA)), seconds=10)


def key_with(desk, *scopes):
    name = f"slack-bot-{secrets.token_hex(3)}"
    return name, desk.administer("POST", "/api-keys", name=name, scopes=list(scopes))["key"]


def amounts(quantity, gmv):
    return {
        "quantity": {"quantity_entry": quantity},
        "gmv": {"gmv_entry": gmv},
        "price": {"price_entry": None},
    }


def test_a_key_that_may_only_act_for_people_trades_for_them_and_opens_nothing_by_itself(desk):
    name, key = key_with(desk, "act_as")
    (tenant,) = desk.administer("GET", "/tenants")
    desk.administer("POST", f"/tenants/{tenant['slug']}/workspaces", team_id="T0DESK00001")
    desk.give_bot(key)
    type_in(desk, "buy 5 AAPL @ 100")
    assert desk.act(AVA, "submit")["outcome"] == "updated", "asked about the new portfolio"
    assert desk.act(AVA, "submit", values=ticks(desk))["outcome"] == "cleared"
    (row,) = desk.trades()
    assert (row["source"], row["actor"]) == (name, f"slack:T0DESK00001:{AVA}")
    url = f"{desk.url('oms-api')}/api/v1/trades"
    assert httpx.get(url, headers={"X-API-Key": key}, trust_env=False).status_code == 403


def test_a_key_that_may_not_act_for_people_is_the_operators_mistake(desk):
    desk.give_bot(key_with(desk, "trade")[1])
    type_in(desk, "buy 5 AAPL @ 100")
    sees(desk, "This app's key may not act for people. Please tell whoever runs it.")
    assert desk.trades() == []


def test_a_workspace_stays_with_the_desk_that_it_came_with_first(desk):
    type_in(desk, "buy 5 AAPL @ 100")
    until(lambda: len(desk.people()) == 1, seconds=10)
    other = desk.administer("POST", "/tenants", name="Other desk", slug="other-desk")
    desk.give_bot(other["api_key"])
    type_in(desk, "buy 5 AAPL @ 100")
    sees(desk, "This Slack workspace is not connected to this desk.")


def test_limits_of_the_oms_are_said_at_the_fields_and_the_form_can_be_corrected(narrow_desk):
    def placed(quantity, gmv):
        return narrow_desk.act(AVA, "submit", values=amounts(quantity, gmv) | ticks(narrow_desk))

    type_in(narrow_desk, "buy 100 AAPL @ 175")
    assert narrow_desk.act(AVA, "submit")["outcome"] == "updated", "asked about the new portfolio"
    assert placed("100", "17500")["errors"] == {
        "quantity": "Quantity must be at most 50.",
        "gmv": "The gross market value must be at most 1,000.",
    }
    price = placed("5", "875")["errors"]
    assert price.keys() == {"gmv"}
    assert "The price per unit must be between" in price["gmv"]
    assert narrow_desk.trades() == []
    assert placed("5", "500")["outcome"] == "cleared"
    (row,) = narrow_desk.trades()
    assert (row["quantity"], row["gmv"]) == ("5", "500.00")
