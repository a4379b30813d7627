"""Creating, listing, changing, rotating and deleting webhooks over REST."""

from time import sleep

import pytest
from sqlalchemy import text

from app.database import connect_engine
from app.encryption import EncryptionKeys, derive_key_ring, parse_key_ring
from app.identity.service.authenticator import CACHE_SECONDS
from app.webhooks.service.maintenance import WebhookMaintenance
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.jobs import EndlessLease

pytestmark = pytest.mark.any_database

URL = "https://hooks.example.com/oms"
BODY = {"url": URL, "event_types": ["order.filled", "trade.*"], "description": "Risk"}
BY_NAME = "/webhooks/by-name/slack-bot"


def assert_ok(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def test_secret_is_shown_once_and_stored_encrypted(tenant, hooks):
    created = assert_ok(tenant.post("/webhooks", BODY), 201)
    assert created["secret"].startswith("whsec_")
    assert {name: created[name] for name in BODY} == BODY
    webhook = assert_ok(tenant.get(f"/webhooks/{created['id']}"))
    assert webhook == {name: value for name, value in created.items() if name != "secret"}
    assert assert_ok(tenant.get("/webhooks")) == [webhook]
    with hooks.open_connection() as connection:
        rows = str(connection.execute(text("SELECT * FROM webhooks")).all())
        audit = str(connection.execute(text("SELECT * FROM audit_log")).all())
    assert created["id"] in rows
    assert created["secret"] not in rows
    assert created["secret"].removeprefix("whsec_") not in rows + audit
    [entry] = assert_ok(tenant.get("/audit", action="webhook.created"))
    assert entry["target"] == f"webhook:{created['id']}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("url", url)
            for url in ("http://hooks.example.com/", "https://10.0.0.1/", "https://169.254.169.254/")
        ),
        *(("url", url) for url in ("ftp://x/", "https://user:pw@x.example/", "", 5, None)),
        *(
            ("event_types", types)
            for types in ([], ["order"], ["*.filled"], ["Order.filled"], "order.*", [1])
        ),
        ("event_types", ["order.*"] * 51),
        ("description", "x" * 301),
        ("name", "mine"),
        ("secret", "whsec_x"),
    ],
)
def test_invalid_field_is_named(tenant, field, value):
    response = tenant.post("/webhooks", BODY | {field: value})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].partition(".")[0] == field


def test_change_keeps_fields_that_it_does_not_name(tenant):
    created = assert_ok(tenant.post("/webhooks", BODY), 201)
    path = f"/webhooks/{created['id']}"
    changed = assert_ok(tenant.patch(path, {"event_types": ["order.*", "order.*"]}))
    assert (changed["event_types"], changed["url"], changed["description"]) == (["order.*"], URL, "Risk")
    assert assert_ok(tenant.patch(path, {"description": None}))["description"] is None
    assert tenant.patch(path, {"url": "http://hooks.example.com/"}).status_code == 422
    assert tenant.patch(path, {}).status_code == 422
    assert len(assert_ok(tenant.get("/audit", action="webhook.changed"))) == 2


def test_bot_registers_by_name_and_manages_only_its_own(tenant, hooks):
    bot = tenant.with_key(hooks.create_key("act_as bot", tenant.tenant_id))
    other = assert_ok(tenant.post("/webhooks", BODY), 201)
    created = assert_ok(bot.put(BY_NAME, BODY), 201)
    again = assert_ok(bot.put(BY_NAME, BODY | {"event_types": ["*"]}))
    assert (again["id"], again["event_types"], again["description"]) == (created["id"], ["*"], "Risk")
    assert "secret" not in again
    assert [item["id"] for item in assert_ok(bot.get("/webhooks"))] == [created["id"]]
    assert bot.get(f"/webhooks/{other['id']}").status_code == 404
    assert bot.post(f"/webhooks/{other['id']}:rotate", {}).status_code == 404
    assert assert_ok(bot.post(f"/webhooks/{created['id']}:rotate", {}), 201)["secret"] != created["secret"]
    assert len(assert_ok(tenant.get("/webhooks"))) == 2
    stranger = tenant.with_key(hooks.create_key("bot", tenant.tenant_id))
    assert stranger.put(BY_NAME, BODY).status_code == 409
    assert bot.get("/events").status_code == 200
    assert bot.get("/trades").status_code == 403


def test_key_of_the_bot_survives_a_rotation_with_its_webhooks(tenant):
    body = assert_ok(tenant.post("/api-keys", {"name": "slack-bot", "scopes": ["act_as", "bot"]}), 201)
    created = assert_ok(tenant.with_key(body["key"]).put(BY_NAME, BODY), 201)
    rotated = assert_ok(tenant.post(f"/api-keys/{body['key_id']}:rotate", {"overlap_seconds": 0}), 201)
    assert assert_ok(tenant.with_key(rotated["key"]).put(BY_NAME, BODY))["id"] == created["id"]


def test_renamed_key_keeps_its_webhooks_alerts_and_preferences(tenant):
    body = assert_ok(tenant.post("/api-keys", {"name": "old bot", "scopes": ["read", "bot"]}), 201)
    bot = tenant.with_key(body["key"])
    created = assert_ok(bot.put(BY_NAME, BODY), 201)
    alert = assert_ok(bot.post("/alerts", {"kind": "price", "symbol": "AAPL", "above": "100"}), 201)
    assert_ok(bot.put("/preferences", {"time_zone": "Europe/Berlin"}))
    assert_ok(tenant.patch(f"/api-keys/{body['key_id']}", {"name": "new bot"}))
    sleep(2 * CACHE_SECONDS)  # then the process reads the key again
    assert [item["id"] for item in assert_ok(bot.get("/webhooks"))] == [created["id"]]
    assert assert_ok(bot.put(BY_NAME, BODY))["id"] == created["id"]
    assert [item["id"] for item in assert_ok(bot.get("/alerts"))] == [alert["id"]]
    assert assert_ok(bot.get("/preferences"))["time_zone"] == "Europe/Berlin"


def test_key_that_limits_name_is_not_renamed(tenant):
    body = assert_ok(tenant.post("/api-keys", {"name": "algo", "scopes": ["trade"]}), 201)
    limit = {"scope": "user", "name": "key:algo", "code": "MAX_ORDER_VALUE", "value": "5"}
    assert_ok(tenant.put("/limits", limit))
    response = tenant.patch(f"/api-keys/{body['key_id']}", {"name": "free"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "key-has-limits")
    assert_ok(tenant.put("/limits", limit | {"value": None}))
    assert assert_ok(tenant.patch(f"/api-keys/{body['key_id']}", {"name": "free"}))["name"] == "free"


def test_rotation_takes_no_body_and_repeats_only_with_a_key(tenant):
    created = assert_ok(tenant.post("/webhooks", BODY), 201)
    path = f"/api/v1/webhooks/{created['id']}:rotate"
    headers = {"X-API-Key": tenant.key, "Idempotency-Key": "rotate-1"}
    rotated = assert_ok(tenant.service.client.post(path, headers=headers), 201)
    assert rotated["previous_secret_expires_at"] is not None
    assert tenant.service.client.post(path, headers=headers).status_code == 409
    at_once = assert_ok(tenant.post(f"/webhooks/{created['id']}:rotate", {"overlap_seconds": 0}), 201)
    assert at_once["previous_secret_expires_at"] is None


def test_number_of_webhooks_is_limited(tenant, monkeypatch):
    monkeypatch.setattr("app.webhooks.service.webhooks.MAX_WEBHOOKS", 1)
    assert_ok(tenant.post("/webhooks", BODY), 201)
    assert tenant.post("/webhooks", BODY).status_code == 409


def test_deliveries_are_paged_and_unknown_ids_are_404(tenant):
    created = assert_ok(tenant.post("/webhooks", BODY), 201)
    path = f"/webhooks/{created['id']}"
    sent = [assert_ok(tenant.post(f"{path}:test"), 202)["id"] for _ in range(3)]
    first = tenant.get(f"{path}/deliveries", limit=2)
    assert [item["id"] for item in assert_ok(first)["items"]] == sent[:0:-1]
    link = first.headers["link"].partition("cursor=")[2].partition(">")[0]
    assert [item["id"] for item in assert_ok(tenant.get(f"{path}/deliveries", cursor=link))["items"]] == sent[
        :1
    ]
    assert tenant.get(f"{path}/deliveries", cursor="none-of-that").status_code == 404
    assert tenant.post(f"{path}/deliveries/none-of-that:resend").status_code == 404


def test_secrets_are_encrypted_again_with_the_current_key_and_old_deliveries_are_pruned(tenant, hooks):
    created = assert_ok(tenant.post("/webhooks", BODY), 201)
    assert_ok(tenant.post(f"/webhooks/{created['id']}:rotate", {}), 201)
    assert_ok(tenant.post(f"/webhooks/{created['id']}:test"), 202)
    old = derive_key_ring([BOOTSTRAP_KEY], "webhooks")
    new = parse_key_ring("new:" + "A" * 43 + "=")
    engine = connect_engine(hooks.database_url, readers=1, tenant_scoped=True)
    complete = (
        "UPDATE webhook_deliveries SET status = 'delivered', next_attempt_at = NULL, completed_at = :at "
        "WHERE webhook_id = :id"
    )
    with hooks.engine.begin() as connection:
        connection.execute(text(complete), {"at": "2026-01-01T00:00:00.000000Z", "id": created["id"]})
    for keys, expected in ((new, 0), (new | old, 2)):
        maintenance = WebhookMaintenance(engine, EncryptionKeys(keys), lambda: NOON)
        maintenance.encrypt_again(EndlessLease())
        maintenance.prune(EndlessLease())
        with hooks.open_connection() as connection:
            statement = text("SELECT secret, previous_secret FROM webhooks WHERE id = :id")
            [row] = connection.execute(statement, {"id": created["id"]})
        assert sum(value.startswith("v1:new:") for value in row) == expected
    assert assert_ok(tenant.get(f"/webhooks/{created['id']}/deliveries")) == {"items": []}
    engine.dispose()
