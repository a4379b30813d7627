"""New users from Slack: created once, named in the ledger, and limited in number."""

import pytest

from app.assembly import authentication
from tests.support.service import run_service


class Bot:
    """A tenant, and the requests of its bot for people."""

    def __init__(self, service) -> None:
        self.service, self.api = service, service.create_client()
        self.key = service.create_key("act_as", self.api.tenant_id)
        self.api.claim_workspace(f"T{self.api.tenant_id}")

    def __call__(self, person: str, **more: str):
        headers = {"X-API-Key": self.key, "X-On-Behalf-Of": person, **more}
        return self.service.client.get("/api/v1/auth/me", headers=headers)


@pytest.fixture
def bot(service):
    return Bot(service)


def test_new_slack_user_becomes_a_trader_and_is_audited(bot):
    team = f"T{bot.api.tenant_id}"
    me = bot(f"slack:{team}:U1", **{"X-Request-ID": "first-sight"}).json()
    assert (me["actor"], me["role"]) == (f"slack:{team}:U1", "trader")
    audit = bot.api.get("/audit", action="user.first_seen").json()
    assert [(item["actor"], item["request_id"]) for item in audit] == [(f"slack:{team}:U1", "first-sight")]
    bot(f"slack:{team}:U1")
    assert len(bot.api.get("/audit", action="user.first_seen").json()) == 1


@pytest.mark.parametrize(
    "person", ["slack:T1", "T1:U1", "slack:t1:u1", "slack:T1:U1 ", "slack::U1", "slack:T1:U1:x"]
)
def test_malformed_slack_identity_is_rejected(bot, person):
    refused = bot(person)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:slackoms:problem/not-a-person")


def test_tenant_without_new_users_rejects_them_and_accepts_existing_users(bot):
    team = f"T{bot.api.tenant_id}"
    bot(f"slack:{team}:U1")
    bot.api.patch(f"/tenants/desk-{bot.api.tenant_id}", {"slack_default_role": None})
    assert bot(f"slack:{team}:U1").status_code == 200
    refused = bot(f"slack:{team}:U2")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:slackoms:problem/person-refused")


def test_session_cannot_act_for_another_user(bot, service):
    response = service.client.get(
        "/api/v1/auth/me", headers={"Authorization": "Bearer x.y.z", "X-On-Behalf-Of": "slack:T1:U1"}
    )
    assert response.status_code == 401


def test_number_of_new_slack_users_is_limited(new_database, monkeypatch):
    monkeypatch.setattr(authentication, "NEWCOMERS_PER_MINUTE", 3)
    with run_service(new_database("sqlite")) as service:
        api = service.create_client()
        key = service.create_key("act_as", api.tenant_id)
        api.claim_workspace("T1")
        responses = [
            service.client.get(
                "/api/v1/trades", headers={"X-API-Key": key, "X-On-Behalf-Of": f"slack:T1:U{number}"}
            )
            for number in range(5)
        ]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    assert "new users of this tenant" in responses[3].json()["detail"]
