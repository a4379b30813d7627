"""Users: created, listed, changed and disabled; each change is audited and invisible to other tenants."""

import pytest

from app.database import unit_of_work
from app.identity.queries.tenants import lock_tenant
from tests.identity.administration import (
    PASSWORD,
    assert_error,
    assert_ok,
    create_key,
    create_user,
    list_audit_entries,
    log_in,
)

FIELDS = {
    *(
        "id",
        "email",
        "person",
        "name",
        "role",
        "status",
        "slack_status",
        "portfolios",
        "can_log_in",
        "created_at",
        "updated_at",
    ),
}


def test_created_user_can_log_in(api):
    body = create_user(api, email=" Alice@Example.COM ")
    assert set(body) == FIELDS
    assert body["email"] == "alice@example.com"
    assert body["name"] == "Alice"
    assert body["role"] == "trader"
    assert body["status"] == "active"
    assert (body["portfolios"], body["can_log_in"], body["person"]) == (None, True, None)
    assert assert_ok(api.get(f"/users/{body['id']}")) == body
    assert log_in(api).status_code == 200


def test_slack_user_needs_no_password(api):
    body = create_user(api, email=None, password=None, person="slack:T1:U1")
    assert (body["person"], body["email"], body["can_log_in"]) == ("slack:T1:U1", None, False)


def test_user_creation_is_audited_without_the_password(api):
    create_user(api)
    [entry] = list_audit_entries(api)
    assert (entry["action"], entry["target"], entry["before"]) == (
        "user.created",
        "user:alice@example.com",
        None,
    )
    assert entry["actor"].startswith("key:key-")
    assert entry["actor"] == f"key:{entry['via']}"
    assert (entry["address"], bool(entry["request_id"])) == ("testclient", True)
    assert entry["after"] == {
        "email": "alice@example.com",
        "person": None,
        "name": "Alice",
        "role": "trader",
        "portfolios": None,
    }
    assert PASSWORD not in str(list_audit_entries(api))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"role": "owner"}, "role"),
        ({"role": None}, "role"),
        ({"password": None}, "password"),
        ({"email": None}, "email"),
        ({"email": None, "person": "slack:T1:U1"}, "email"),
        ({"person": "slack:t1:U1"}, "person"),
        ({"password": "short"}, "password"),
        ({"password": "password1"}, "password"),
        ({"portfolios": ["Nowhere"]}, "portfolios.0"),
        ({"portfolios": "Growth"}, "portfolios"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"id": 1}, "id"),
        ({"is_narrowed": False}, "is_narrowed"),
        ({"status": "active"}, "status"),
        ({"created_by": "me"}, "created_by"),
    ],
)
def test_invalid_user_is_rejected_by_field(api, changes, field):
    body = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD, "role": "trader"} | changes
    response = api.post("/users", {name: value for name, value in body.items() if value is not None})
    assert_error(response, 422, field)
    assert assert_ok(api.get("/users")) == []


@pytest.mark.parametrize("name", ["oms_" + "a" * 30, "$argon2id$", "eyJh.eyJh"])
def test_user_name_that_looks_like_a_secret_is_rejected(api, name):
    body = {"email": "alice@example.com", "name": name, "password": PASSWORD, "role": "trader"}
    assert assert_error(api.post("/users", body), 422) == "invalid"
    assert assert_ok(api.get("/users")) == []


def test_email_or_slack_identity_belongs_to_one_user(api):
    create_user(api, person="slack:T1:U1")
    duplicate = {"name": "B", "role": "viewer", "password": PASSWORD}
    assert assert_error(api.post("/users", duplicate | {"email": "ALICE@example.com"}), 409) == "conflict"
    assert assert_error(api.post("/users", {"name": "B", "role": "viewer", "person": "slack:T1:U1"}), 409)


def test_users_are_listed_newest_first_in_pages(api):
    ids = [create_user(api, email=f"{name}@example.com", name=name)["id"] for name in ("ann", "bob", "cid")]
    first = api.get("/users", limit=2)
    assert [item["id"] for item in assert_ok(first)] == ids[:0:-1]
    following = api.service.client.get(first.links["next"]["url"], headers={"X-API-Key": api.key})
    assert [item["id"] for item in assert_ok(following)] == ids[:1]
    assert "next" not in following.links


@pytest.mark.parametrize(
    ("filters", "expected_names"),
    [
        ({"q": "ANN"}, {"ann"}),
        ({"q": "example.com"}, {"ann", "bob"}),
        ({"q": "%"}, set()),
        ({"q": "slack:t1"}, {"cid"}),
        ({"role": "risk"}, {"bob"}),
        ({"status": "disabled"}, {"cid"}),
        ({"status": "active", "role": "trader"}, {"ann"}),
    ],
)
def test_users_are_filtered_by_name_role_and_status(api, filters, expected_names):
    create_user(api, email="ann@example.com", name="ann")
    create_user(api, email="bob@example.com", name="bob", role="risk")
    cid = create_user(api, email=None, password=None, person="slack:T1:U9", name="cid")
    api.patch(f"/users/{cid['id']}", {"status": "disabled"})
    assert {item["name"] for item in assert_ok(api.get("/users", **filters))} == expected_names


def test_user_change_is_audited_before_and_after(api):
    body = create_user(api)
    changed = assert_ok(api.patch(f"/users/{body['id']}", {"role": "risk", "name": "Alice B."}))
    assert (changed["role"], changed["name"]) == ("risk", "Alice B.")
    entry = list_audit_entries(api)[0]
    assert (entry["action"], entry["before"]) == ("user.changed", {"name": "Alice", "role": "trader"})
    assert entry["after"] == {"name": "Alice B.", "role": "risk"}


def test_unchanged_user_is_not_audited(api):
    body = create_user(api)
    assert assert_ok(api.patch(f"/users/{body['id']}", {"role": "trader"}))["role"] == "trader"
    assert len(list_audit_entries(api)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"role": None}, "role"),
        ({"name": None}, "name"),
        ({"status": "gone"}, "status"),
        ({"email": "new@example.com"}, "email"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"id": 7}, "id"),
        ({"password": "password1"}, "password"),
    ],
)
def test_invalid_user_change_is_rejected(api, body, field):
    user = create_user(api)
    assert_error(api.patch(f"/users/{user['id']}", body), 422, field)
    assert assert_ok(api.get(f"/users/{user['id']}")) == user


@pytest.mark.parametrize("user_id", ["0", "-1", "abc", "1_0", "9" * 30, "١"])
def test_user_id_must_be_digits(api, user_id):
    assert api.get(f"/users/{user_id}").status_code == 422


def test_user_with_an_email_can_get_a_password_later(api):
    body = create_user(api, password=None, person="slack:T1:U1")
    assert body["can_log_in"] is False
    assert assert_ok(api.patch(f"/users/{body['id']}", {"password": PASSWORD}))["can_log_in"] is True
    assert log_in(api).status_code == 200


def test_user_without_an_email_cannot_have_a_password(api):
    body = create_user(api, email=None, password=None, person="slack:T1:U1")
    assert_error(api.patch(f"/users/{body['id']}", {"password": PASSWORD}), 422, "password")


@pytest.mark.parametrize("scopes", ["read", "trade", "approve", "risk"])
def test_only_admins_change_users(api, scopes):
    body = create_user(api)
    other = api.with_key(api.service.create_key(scopes, api.tenant_id))
    assert other.patch(f"/users/{body['id']}", {"role": "admin"}).status_code == 403
    assert other.post("/users", {}).status_code == 403
    assert other.get("/users").status_code == (200 if scopes == "risk" else 403)


def test_delegated_user_administers_only_through_an_admin_key(api):
    body = create_user(api, email=None, password=None, person="slack:TBOT1:U1", role="admin")
    api.claim_workspace("TBOT1")
    person = {"X-On-Behalf-Of": "slack:TBOT1:U1"}
    bot = api.with_key(create_key(api, "bot", ("act_as", "read"))["key"])
    assert bot.patch(f"/users/{body['id']}", {"role": "viewer"}, person).status_code == 403
    assert_ok(api.patch(f"/users/{body['id']}", {"name": "Boss"}, person))
    assert list_audit_entries(api)[0]["actor"] == "slack:TBOT1:U1"


def test_tenants_with_the_same_users_are_separate(service):
    first, second = service.create_client(), service.create_client()
    body, other_user = create_user(first, person="slack:T1:U1"), create_user(second, person="slack:T1:U1")
    assert body["id"] != other_user["id"]
    absent = other_user["id"] + 1_000_000
    for path in ("/users/{}", "/roles/{}"):
        foreign = first.patch(path.format(other_user["id"]), {"role": "admin"})
        missing = first.patch(path.format(absent), {"role": "admin"})
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert (
            foreign.json()["detail"].replace(str(other_user["id"]), str(absent)) == missing.json()["detail"]
        )
    assert first.get(f"/users/{other_user['id']}").status_code == 404
    assert [person["id"] for person in assert_ok(first.get("/users"))] == [body["id"]]
    assert assert_ok(second.get(f"/users/{other_user['id']}")) == other_user
    cursor = service.client.get  # a cursor of one is none of the other's
    create_user(first, email="b@example.com", name="B")
    following = first.get("/users", limit=1).links["next"]["url"]
    assert cursor(following, headers={"X-API-Key": second.key}).status_code == 422


def test_administration_and_trading_do_not_block_each_other(service, api, backend):
    if backend == "sqlite":
        return  # one writer at a time, whoever it is
    with unit_of_work(service.engine) as connection:
        lock_tenant(connection, api.tenant_id)
        assert (
            api.post_trade(portfolio_name="Fresh").status_code == 201
        )  # a new portfolio refers to its tenant
        assert api.post("/portfolios", {"name": "Other"}).status_code == 503
    assert api.post("/portfolios", {"name": "Other"}).status_code == 201
