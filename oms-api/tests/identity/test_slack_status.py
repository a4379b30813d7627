"""The bot reports which people Slack has deactivated; their requests are refused."""

import pytest

from tests.identity.administration import (
    PASSWORD,
    assert_error,
    assert_ok,
    create_user,
    list_audit_entries,
    log_in,
)
from tests.support.conditions import wait_until

pytestmark = pytest.mark.any_database


@pytest.fixture
def bot(api):
    """Provide the bot's key of a tenant with its workspace."""
    api.claim_workspace(f"T{api.tenant_id}")
    return api.with_key(api.service.create_key("act_as bot", api.tenant_id))


def register_alice(api):
    return f"slack:T{api.tenant_id}:U1"


def set_status(bot, status, person=None):
    return bot.put("/slack-status", {"person": person or register_alice(bot), "status": status})


def read_as_alice(bot):
    return bot.get("/positions", {"X-On-Behalf-Of": register_alice(bot)}).status_code


def test_deactivated_person_is_refused_until_active_again(api, bot):
    assert read_as_alice(bot) == 200
    assert assert_ok(set_status(bot, "deactivated")) == {
        "person": register_alice(api),
        "status": "deactivated",
    }
    wait_until(lambda: read_as_alice(bot) == 403)
    [entry] = [item for item in list_audit_entries(api) if item["action"] == "user.changed"]
    assert (entry["before"], entry["after"]) == (
        {"slack_status": "active"},
        {"slack_status": "deactivated"},
    )
    assert assert_ok(set_status(bot, "deactivated"))  # a repeat changes nothing
    assert assert_ok(set_status(bot, "active"))
    wait_until(lambda: read_as_alice(bot) == 200)
    assert len([item for item in list_audit_entries(api) if item["action"] == "user.changed"]) == 2


def test_deactivated_person_cannot_log_in_and_sessions_are_refused(api, bot):
    create_user(api, person=register_alice(api))
    token = assert_ok(log_in(api))["access_token"]

    def read():
        return api.service.client.get(
            "/api/v1/positions", headers={"Authorization": f"Bearer {token}"}
        ).status_code

    assert read() == 200
    assert_ok(set_status(bot, "deactivated"))
    wait_until(lambda: read() in {401, 403})
    assert log_in(api).status_code in {401, 403}


def test_bot_does_not_enable_a_user_whom_an_administrator_disabled(api, bot):
    body = create_user(api, email=None, password=None, person=register_alice(api))
    assert_ok(api.patch(f"/users/{body['id']}", {"status": "disabled"}))
    assert_ok(set_status(bot, "active"))
    wait_until(lambda: read_as_alice(bot) == 403)
    assert assert_ok(api.get(f"/users/{body['id']}"))["status"] == "disabled"


def test_bot_cannot_deactivate_the_last_administrator(api, bot):
    create_user(api, person=register_alice(api), role="admin", password=PASSWORD)
    for item in assert_ok(api.get("/api-keys")):
        if "admin" in item["scopes"]:
            api.patch(f"/api-keys/{item['key_id']}", {"revoked": True})
    if api.get("/users").status_code != 200:  # the key of this test was an administrator's too
        assert assert_error(set_status(bot, "deactivated"), 409) == "last-admin"


def test_unknown_person_and_one_of_another_tenant_are_not_found(api, bot):
    assert set_status(bot, "deactivated", f"slack:T{api.tenant_id}:U404").status_code == 404
    other = api.service.create_client()
    create_user(other, email=None, password=None, person="slack:T9:U9")
    assert set_status(bot, "deactivated", "slack:T9:U9").status_code == 404
    assert_error(set_status(bot, "gone"), 422, "status")
    assert_error(set_status(bot, "active", "alice"), 422, "person")
