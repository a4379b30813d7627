"""Channels for trading, and roles from user groups: administrators set them, the bot follows them."""

import pytest

from tests.identity.administration import assert_error, assert_ok, list_audit_entries

pytestmark = pytest.mark.any_database

CHANNELS = {"C0DESK00001": {"portfolio": "Growth"}, "G0QUIET0001": {"portfolio": None}}
ROLES = {"S0TRADERS01": "trader", "S0VIEWERS01": "viewer"}


@pytest.fixture
def slug(api):
    return assert_ok(api.get("/tenants"))[0]["slug"]


@pytest.fixture
def bot(api):
    """Provide the bot's key of a tenant with its workspace."""
    api.claim_workspace(f"T{api.tenant_id}")
    return api.with_key(api.service.create_key("act_as bot", api.tenant_id))


def create_person(api, user):
    return f"slack:T{api.tenant_id}:{user}"


def read_slack_report(bot, **groups):
    return bot.put("/slack-groups", {"team_id": f"T{bot.tenant_id}", "groups": groups})


def list_roles(api):
    return {user["person"]: user["role"] for user in assert_ok(api.get("/users")) if user["person"]}


def test_settings_are_empty_until_an_administrator_sets_them(api, bot, slug):
    assert assert_ok(bot.get("/slack-settings")) == {"slack_channels": {}, "slack_group_roles": {}}
    changed = assert_ok(
        api.patch(f"/tenants/{slug}", {"slack_channels": CHANNELS, "slack_group_roles": ROLES})
    )
    assert (changed["slack_channels"], changed["slack_group_roles"]) == (CHANNELS, ROLES)
    assert assert_ok(bot.get("/slack-settings")) == {"slack_channels": CHANNELS, "slack_group_roles": ROLES}
    [entry] = [item for item in list_audit_entries(api) if item["action"] == "tenant.changed"]
    assert set(entry["after"]) == {"slack_channels", "slack_group_roles"}
    assert assert_ok(api.patch(f"/tenants/{slug}", {"slack_channels": {}}))["slack_channels"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slack_group_roles": {"S1": "approver"}}, "slack_group_roles.S1"),
        ({"slack_group_roles": {"C1": "trader"}}, "slack_group_roles"),
        ({"slack_group_roles": {f"S{number}": "trader" for number in range(51)}}, "slack_group_roles"),
        ({"slack_channels": {"D1": {"portfolio": None}}}, "slack_channels"),
        ({"slack_channels": {"C1": {"portfolio": "", "x": 1}}}, "slack_channels.C1"),
        ({"slack_channels": {f"C{number}": {} for number in range(51)}}, "slack_channels"),
        ({"slack_channels": None}, "slack_channels"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(api, slug, body, field):
    response = api.patch(f"/tenants/{slug}", body)
    assert response.status_code == 422
    assert any(error["field"].startswith(field) for error in response.json()["errors"]), response.text


def test_members_of_groups_get_their_roles_and_lose_them(api, bot, slug):
    settings = {"slack_group_roles": ROLES, "slack_default_role": "viewer"}
    assert_ok(api.patch(f"/tenants/{slug}", settings))
    assert_ok(bot.get("/positions", {"X-On-Behalf-Of": create_person(api, "U3")}))
    report = assert_ok(read_slack_report(bot, S0TRADERS01=["U1", "U3"], S0VIEWERS01=["U1", "U2"]))
    assert report == {"created": 2, "changed": 1}
    expected = {
        create_person(api, "U1"): "trader",
        create_person(api, "U2"): "viewer",
        create_person(api, "U3"): "trader",
    }
    assert list_roles(api) == expected
    assert assert_ok(read_slack_report(bot, S0TRADERS01=["U1", "U3"], S0VIEWERS01=["U2"])) == {
        "created": 0,
        "changed": 0,
    }
    assert assert_ok(read_slack_report(bot, S0TRADERS01=["U3"])) == {"created": 0, "changed": 1}
    assert list_roles(api)[create_person(api, "U1")] == "viewer"
    actions = [item["action"] for item in list_audit_entries(api)]
    assert (actions.count("user.first_seen"), actions.count("user.changed")) == (3, 2)


def test_groups_make_no_approver_and_take_no_role_that_an_administrator_gave(api, bot, slug):
    assert_ok(api.patch(f"/tenants/{slug}", {"slack_group_roles": ROLES}))
    assert_ok(api.post("/users", {"name": "Rita", "person": create_person(api, "U9"), "role": "risk"}), 201)
    assert assert_ok(read_slack_report(bot, S0TRADERS01=["U9"], S0UNKNOWN01=["U8"])) == {
        "created": 0,
        "changed": 0,
    }
    assert list_roles(api) == {create_person(api, "U9"): "risk"}


def test_bot_reports_only_groups_of_its_workspace(api, bot):
    response = bot.put("/slack-groups", {"team_id": "T0ELSEWHERE", "groups": {}})
    assert assert_error(response, 403) == "workspace-elsewhere"


def test_people_of_other_workspaces_keep_their_roles(api, bot, slug):
    assert_ok(api.patch(f"/tenants/{slug}", {"slack_group_roles": ROLES, "slack_default_role": "viewer"}))
    other = f"slack:T{api.tenant_id}X:U1"
    assert_ok(api.post("/users", {"name": "Otto", "person": other, "role": "trader"}), 201)
    assert assert_ok(read_slack_report(bot)) == {"created": 0, "changed": 0}
    assert list_roles(api)[other] == "trader"
