"""A Slack workspace is a tenant's because the operator says so, not because a request names it first."""

import pytest

from tests.factories import BOOTSTRAP_KEY

WORKSPACE_ELSEWHERE = "urn:slackoms:problem/workspace-elsewhere"


@pytest.fixture
def team(desk):
    return f"TEAM{desk.tenant_id}"


def slug_of(desk):
    return f"desk-{desk.tenant_id}"


def act_for(desk, team, path="/trades"):
    bot = desk.with_key(desk.service.mint("act_as trade read", desk.tenant_id))
    return bot.get(path, {"X-On-Behalf-Of": f"slack:{team}:U1"})


def post_as_operator(desk, path, team):
    operator = desk.with_key(BOOTSTRAP_KEY)
    return operator.post(f"/tenants/{slug_of(desk)}{path}", {"team_id": team})


def test_no_request_of_a_tenant_claims_a_workspace(desk, team):
    refused = act_for(desk, team)
    assert (refused.status_code, refused.json()["type"]) == (403, WORKSPACE_ELSEWHERE)
    assert post_as_operator(desk, "/workspaces", team).status_code == 201


def test_a_refusal_does_not_tell_whether_somebody_has_the_workspace(desk, team, service):
    other = service.desk()
    other.claim_workspace(f"{team}X")
    unclaimed, elsewhere = act_for(desk, team).json(), act_for(desk, f"{team}X").json()
    unclaimed.pop("request_id", None)
    elsewhere.pop("request_id", None)
    assert unclaimed == elsewhere


def test_a_claimed_workspace_lets_its_people_in_and_stands_in_both_audit_logs(desk, team):
    assert post_as_operator(desk, "/workspaces", team).json() == {"team_id": team, "tenant": slug_of(desk)}
    assert post_as_operator(desk, "/workspaces", team).status_code == 200
    assert act_for(desk, team).status_code == 200
    for one in (desk, desk.with_key(BOOTSTRAP_KEY)):
        entries = one.get("/audit", action="workspace.bound").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1


def test_a_workspace_of_another_tenant_is_released_before_it_is_claimed_again(desk, team, service):
    other = service.desk()
    other.claim_workspace(team)
    assert post_as_operator(desk, "/workspaces", team).status_code == 409
    path = f"/tenants/{slug_of(other)}/workspaces:release"
    assert desk.post(path, {"team_id": team}).status_code == 404
    assert other.post(path, {"team_id": team}).status_code == 200
    assert other.post(path, {"team_id": team}).status_code == 404
    assert [one["target"] for one in other.get("/audit", action="workspace.released").json()] == [
        f"workspace:{team}"
    ]
    assert act_for(other, team).status_code == 403
    assert post_as_operator(desk, "/workspaces", team).status_code == 201


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces:release"])
def test_a_workspace_is_named_as_slack_names_it(desk, path):
    assert post_as_operator(desk, path, "not a team").status_code == 422


def test_an_admin_of_a_tenant_does_not_claim(desk, team):
    assert desk.post(f"/tenants/{slug_of(desk)}/workspaces", {"team_id": team}).status_code == 403


def test_a_release_by_the_tenants_own_admin_stands_in_both_audit_logs(desk, team):
    desk.claim_workspace(team)
    assert desk.post(f"/tenants/{slug_of(desk)}/workspaces:release", {"team_id": team}).status_code == 200
    for one in (desk, desk.with_key(BOOTSTRAP_KEY)):
        entries = one.get("/audit", action="workspace.released").json()
        assert [entry["target"] for entry in entries].count(f"workspace:{team}") == 1
