"""The operator connects a Slack workspace to a tenant; a request that names it first does not."""

import pytest

from tests.factories import BOOTSTRAP_KEY

WORKSPACE_ELSEWHERE = "urn:slackoms:problem/workspace-elsewhere"


@pytest.fixture
def team(api):
    return f"TEAM{api.tenant_id}"


def slug_of(api):
    return f"desk-{api.tenant_id}"


def act_for(api, team, path="/trades"):
    bot = api.with_key(api.service.mint("act_as trade read", api.tenant_id))
    return bot.get(path, {"X-On-Behalf-Of": f"slack:{team}:U1"})


def post_as_operator(api, path, team):
    operator = api.with_key(BOOTSTRAP_KEY)
    return operator.post(f"/tenants/{slug_of(api)}{path}", {"team_id": team})


def test_no_request_of_a_tenant_claims_a_workspace(api, team):
    refused = act_for(api, team)
    assert (refused.status_code, refused.json()["type"]) == (403, WORKSPACE_ELSEWHERE)
    assert post_as_operator(api, "/workspaces", team).status_code == 201


def test_a_refusal_does_not_tell_whether_somebody_has_the_workspace(api, team, service):
    other = service.api()
    other.claim_workspace(f"{team}X")
    unclaimed, elsewhere = act_for(api, team).json(), act_for(api, f"{team}X").json()
    unclaimed.pop("request_id", None)
    elsewhere.pop("request_id", None)
    assert unclaimed == elsewhere


def test_a_claimed_workspace_lets_its_people_in_and_stands_in_both_audit_logs(api, team):
    assert post_as_operator(api, "/workspaces", team).json() == {"team_id": team, "tenant": slug_of(api)}
    assert post_as_operator(api, "/workspaces", team).status_code == 200
    assert act_for(api, team).status_code == 200
    for one in (api, api.with_key(BOOTSTRAP_KEY)):
        entries = one.get("/audit", action="workspace.bound").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1


def test_a_workspace_of_another_tenant_is_released_before_it_is_claimed_again(api, team, service):
    other = service.api()
    other.claim_workspace(team)
    assert post_as_operator(api, "/workspaces", team).status_code == 409
    path = f"/tenants/{slug_of(other)}/workspaces:release"
    assert api.post(path, {"team_id": team}).status_code == 404
    assert other.post(path, {"team_id": team}).status_code == 200
    assert other.post(path, {"team_id": team}).status_code == 404
    assert [one["target"] for one in other.get("/audit", action="workspace.released").json()] == [
        f"workspace:{team}"
    ]
    assert act_for(other, team).status_code == 403
    assert post_as_operator(api, "/workspaces", team).status_code == 201


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces:release"])
def test_a_workspace_is_named_as_slack_names_it(api, path):
    assert post_as_operator(api, path, "not a team").status_code == 422


def test_an_admin_of_a_tenant_does_not_claim(api, team):
    assert api.post(f"/tenants/{slug_of(api)}/workspaces", {"team_id": team}).status_code == 403


def test_a_release_by_the_tenants_own_admin_stands_in_both_audit_logs(api, team):
    api.claim_workspace(team)
    assert api.post(f"/tenants/{slug_of(api)}/workspaces:release", {"team_id": team}).status_code == 200
    for one in (api, api.with_key(BOOTSTRAP_KEY)):
        entries = one.get("/audit", action="workspace.released").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1
