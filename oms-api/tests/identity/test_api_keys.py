"""API keys over REST: shown once, within the rights of their creator, rotated with an overlap."""

from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from tests.identity.administration import (
    SOON,
    assert_error,
    assert_ok,
    build_bearer_header,
    connect_operator,
    create_key,
    create_user,
    list_audit_entries,
    log_in,
    request_with_session,
)

SHOWN = {
    *("key_id", "name", "scopes", "state", "created_at", "expires_at", "revoked_at", "last_used_at"),
    *("portfolios", "rotated_from", "created_by"),
}


def test_created_key_is_shown_once_and_works(api):
    body = create_key(api)
    assert set(body) == SHOWN | {"key"}
    assert (body["name"], body["scopes"], body["state"]) == ("bot", ["read", "trade"], "live")
    assert api.with_key(body["key"]).record_trade()["source"] == "bot"
    listed = assert_ok(api.get("/api-keys"))
    assert [item["name"] for item in listed][:1] == ["bot"]
    assert set(listed[0]) == SHOWN == set(assert_ok(api.get(f"/api-keys/{body['key_id']}")))
    assert body["key"][17:] not in api.get("/api-keys").text


def test_key_creation_is_audited_without_the_secret(api):
    body = create_key(api, expires_at=SOON)
    [entry] = list_audit_entries(api)
    assert (entry["action"], entry["target"]) == ("key.created", "key:bot")
    assert entry["after"] == {
        "key_id": body["key_id"],
        "name": "bot",
        "scopes": ["read", "trade"],
        "expires_at": "2036-01-01T00:00:00.000000Z",
        "portfolios": None,
    }
    assert body["created_by"] == entry["actor"]
    assert body["key"][17:] not in str(list_audit_entries(api))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "é"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "Bootstrap"}, "name"),
        ({"name": "session"}, "name"),
        ({"name": "a~b"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["write"]}, "scopes"),
        ({"scopes": ["tenants"]}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2036-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"portfolios": ["Nowhere"]}, "portfolios.0"),
        ({"portfolios": ["A", "a"]}, "portfolios"),
        ({"portfolios": ["x"] * 91}, "portfolios"),
        ({"key_id": "a" * 12}, "key_id"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"created_by": "me"}, "created_by"),
        ({"is_narrowed": False}, "is_narrowed"),
        ({"rotated_from": "a" * 12}, "rotated_from"),
        ({"secret_hash": "x"}, "secret_hash"),
    ],
)
def test_invalid_key_request_is_rejected_by_field(api, changes, field):
    body = {"name": "bot", "scopes": ["read"]} | changes
    assert_error(
        api.post("/api-keys", {name: value for name, value in body.items() if value is not None}), 422, field
    )
    assert len(assert_ok(api.get("/api-keys"))) == 1


def test_key_names_are_never_reused(api):
    body = create_key(api)
    assert_ok(api.patch(f"/api-keys/{body['key_id']}", {"revoked": True}))
    assert assert_error(api.post("/api-keys", {"name": "bot", "scopes": ["read"]}), 409) == "conflict"


def test_key_name_ignores_variants_of_spaces_and_quotes(api):
    body = assert_ok(api.post("/api-keys", {"name": "Bob's  bot", "scopes": ["read"]}), 201)
    assert body["name"] == "Bob's bot"
    assert assert_error(api.post("/api-keys", {"name": "Bob`s bot", "scopes": ["read"]}), 409) == "conflict"
    other = create_key(api, "other")
    assert assert_error(api.patch(f"/api-keys/{other['key_id']}", {"name": "Bob's   bot"}), 409) == "conflict"


def test_restricted_key_sees_only_its_portfolios(api):
    for name in ("Growth", "Macro"):
        api.record_trade(portfolio_name=name)
    body = create_key(api, "bot", ("trade",), portfolios=["growth"])
    assert body["portfolios"] == ["Growth"]
    restricted_client = api.with_key(body["key"])
    assert assert_ok(restricted_client.get("/portfolios")) == ["Growth"]
    assert restricted_client.post_trade(portfolio_name="Macro").status_code == 403
    assert restricted_client.post_trade(portfolio_name="Growth").status_code == 201
    assert assert_ok(api.get("/api-keys"))[0]["portfolios"] == ["Growth"]


def test_only_admins_manage_keys(api):
    for scopes in ("read", "trade", "approve", "risk", "act_as"):
        other = api.with_key(api.service.create_key(scopes, api.tenant_id))
        assert other.get("/api-keys").status_code == 403
        assert other.post("/api-keys", {"name": "k", "scopes": ["read"]}).status_code == 403


def test_expiring_key_cannot_create_a_longer_lived_key(api):
    limited = api.with_key(create_key(api, "limited", ("admin",), expires_at=SOON)["key"])
    assert create_key(limited, "one")["expires_at"] == "2036-01-01T00:00:00.000000Z"
    assert (
        create_key(limited, "two", expires_at="2035-06-01T00:00:00Z")["expires_at"]
        == "2035-06-01T00:00:00.000000Z"
    )
    for expires_at in (None, "2036-01-01T00:00:01Z"):
        body = {"name": "three", "scopes": ["read"], "expires_at": expires_at}
        assert assert_error(limited.post("/api-keys", body), 403) == "too-broad"


def test_key_created_by_a_user_outlives_the_session(api):
    create_user(api, role="admin")
    session = build_bearer_header(log_in(api))
    body = assert_ok(
        request_with_session(api, "POST", "/api-keys", session, {"name": "k", "scopes": ["read"]}), 201
    )
    assert body["expires_at"] is None
    assert body["created_by"] == "alice@example.com"
    assert list_audit_entries(api)[0]["via"] == "session"


def test_revoked_key_is_rejected_within_a_second(api, clock):
    body = create_key(api)
    bot = api.with_key(body["key"])
    assert bot.get("/portfolios").status_code == 200
    changed = assert_ok(api.patch(f"/api-keys/{body['key_id']}", {"revoked": True}))
    assert changed["state"] == "revoked"
    clock.pass_by(seconds=0.99)
    assert bot.get("/portfolios").status_code == 401
    repeated_body = assert_ok(api.patch(f"/api-keys/{body['key_id']}", {"revoked": True}))
    assert repeated_body["revoked_at"] == changed["revoked_at"]
    assert [item["action"] for item in list_audit_entries(api)] == ["key.revoked", "key.created"]


def test_key_can_be_renamed(api):
    body = create_key(api)
    create_key(api, "other")
    path = f"/api-keys/{body['key_id']}"
    assert assert_error(api.patch(path, {"name": "other"}), 409) == "conflict"
    assert assert_ok(api.patch(path, {"name": "desk-bot"}))["name"] == "desk-bot"
    assert (list_audit_entries(api)[0]["before"], list_audit_entries(api)[0]["after"]) == (
        {"name": "bot"},
        {"name": "desk-bot"},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"revoked": False}, "revoked"),
        ({"revoked": 1}, "revoked"),
        ({"name": None}, "name"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"expires_at": None}, "expires_at"),
        ({"portfolios": None}, "portfolios"),
    ],
)
def test_invalid_key_change_is_rejected(api, body, field):
    assert_error(api.patch(f"/api-keys/{create_key(api)['key_id']}", body), 422, field)


def test_last_admin_key_cannot_be_revoked(api):
    [own] = assert_ok(api.get("/api-keys"))
    assert assert_error(api.patch(f"/api-keys/{own['key_id']}", {"revoked": True}), 409) == "last-admin"
    create_key(api, "narrow", ("admin",), portfolios=[])
    assert assert_error(api.patch(f"/api-keys/{own['key_id']}", {"revoked": True}), 409) == "last-admin"
    create_key(api, "second", ("admin",))
    assert_ok(api.patch(f"/api-keys/{own['key_id']}", {"revoked": True}))


def test_keys_are_listed_newest_first_in_pages(api):
    names = [create_key(api, name)["name"] for name in ("a", "b", "c")]
    with create_two_keys(api, "c", "b"):
        key_ids, path = [], "/api/v1/api-keys?limit=1"
        while path:
            page = api.service.client.get(path, headers={"X-API-Key": api.key})
            key_ids += [item["name"] for item in assert_ok(page)]
            path = page.links.get("next", {}).get("url")
    assert len(key_ids) == 4
    assert set(key_ids) > set(names)
    assert (set(key_ids[:2]), key_ids[2]) == ({"b", "c"}, "a")


@contextmanager
def create_two_keys(api, name, other):
    """Let two keys be created at the same moment, for the length of a block: others verify this database."""
    find = text("SELECT created_at FROM api_keys WHERE name = :name AND tenant_id = :id")
    change = text("UPDATE api_keys SET created_at = :at WHERE name = :name AND tenant_id = :id")
    with unit_of_work(api.service.engine) as connection:
        times = {
            key: connection.execute(find, {"name": key, "id": api.tenant_id}).scalar_one()
            for key in (name, other)
        }
        connection.execute(change, {"at": times[other], "name": name, "id": api.tenant_id})
    yield
    with unit_of_work(api.service.engine) as connection:
        connection.execute(change, {"at": times[name], "name": name, "id": api.tenant_id})


def test_key_of_another_tenant_is_not_found(service):
    first, second = service.create_client(), service.create_client()
    body, other_key = create_key(first, "bot"), create_key(second, "bot")
    for ask in (
        lambda key_id: first.get(f"/api-keys/{key_id}"),
        lambda key_id: first.patch(f"/api-keys/{key_id}", {"revoked": True}),
        lambda key_id: first.post(f"/api-keys/{key_id}:rotate", {}),
    ):
        foreign, absent = ask(other_key["key_id"]), ask("0" * 12)
        assert (foreign.status_code, absent.status_code) == (404, 404)
        assert foreign.json()["detail"].replace(other_key["key_id"], "0" * 12) == absent.json()["detail"]
    assert first.get("/api-keys/x").status_code == 422
    assert body["key_id"] != other_key["key_id"]
    assert second.with_key(other_key["key"]).get("/portfolios").status_code == 200


def test_bootstrap_key_creates_keys_only_for_its_own_tenant(service, api):
    body = create_key(connect_operator(service), f"first-{api.tenant_id}", ("admin",))
    assert (
        connect_operator(service)
        .with_key(body["key"])
        .post("/tenants", {"name": "x", "slug": "x"})
        .status_code
        == 403
    )
    assert body["key_id"] not in api.get("/api-keys").text
