"""The operator connects a Slack workspace to a tenant; a request that names it first does not."""

import pytest

from tests.factories import BOOTSTRAP_KEY

WORKSPACE_ELSEWHERE = "urn:slackoms:problem/workspace-elsewhere"


@pytest.fixture
def team(api):
    return f"TEAM{api.tenant_id}"


def get_slug(api):
    return f"desk-{api.tenant_id}"


def get_as_workspace(api, team, path="/trades"):
    bot = api.with_key(api.service.create_key("act_as trade read", api.tenant_id))
    return bot.get(path, {"X-On-Behalf-Of": f"slack:{team}:U1"})


def post_as_operator(api, path, team):
    operator = api.with_key(BOOTSTRAP_KEY)
    return operator.post(f"/tenants/{get_slug(api)}{path}", {"team_id": team})


def test_tenant_request_does_not_claim_a_workspace(api, team):
    refused = get_as_workspace(api, team)
    assert (refused.status_code, refused.json()["type"]) == (403, WORKSPACE_ELSEWHERE)
    assert post_as_operator(api, "/workspaces", team).status_code == 201


def test_rejection_does_not_reveal_whether_the_workspace_is_claimed(api, team, service):
    other = service.create_client()
    other.claim_workspace(f"{team}X")
    unclaimed, elsewhere = get_as_workspace(api, team).json(), get_as_workspace(api, f"{team}X").json()
    unclaimed.pop("request_id", None)
    elsewhere.pop("request_id", None)
    assert unclaimed == elsewhere


def test_claimed_workspace_admits_its_users_and_is_in_both_audit_logs(api, team):
    assert post_as_operator(api, "/workspaces", team).json() == {"team_id": team, "tenant": get_slug(api)}
    assert post_as_operator(api, "/workspaces", team).status_code == 200
    assert get_as_workspace(api, team).status_code == 200
    for client in (api, api.with_key(BOOTSTRAP_KEY)):
        entries = client.get("/audit", action="workspace.bound").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1


def test_workspace_must_be_released_before_another_tenant_claims_it(api, team, service):
    other = service.create_client()
    other.claim_workspace(team)
    assert post_as_operator(api, "/workspaces", team).status_code == 409
    path = f"/tenants/{get_slug(other)}/workspaces:release"
    assert api.post(path, {"team_id": team}).status_code == 404
    assert other.post(path, {"team_id": team}).status_code == 200
    assert other.post(path, {"team_id": team}).status_code == 404
    assert [item["target"] for item in other.get("/audit", action="workspace.released").json()] == [
        f"workspace:{team}"
    ]
    assert get_as_workspace(other, team).status_code == 403
    assert post_as_operator(api, "/workspaces", team).status_code == 201


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces:release"])
def test_workspace_id_must_have_the_slack_format(api, path):
    assert post_as_operator(api, path, "not a team").status_code == 422


def test_tenant_admin_cannot_claim_a_workspace(api, team):
    assert api.post(f"/tenants/{get_slug(api)}/workspaces", {"team_id": team}).status_code == 403


def test_release_by_the_tenant_admin_is_in_both_audit_logs(api, team):
    api.claim_workspace(team)
    assert api.post(f"/tenants/{get_slug(api)}/workspaces:release", {"team_id": team}).status_code == 200
    for client in (api, api.with_key(BOOTSTRAP_KEY)):
        entries = client.get("/audit", action="workspace.released").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1
