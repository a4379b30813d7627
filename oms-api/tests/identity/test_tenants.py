"""Tenants: created by the operator, administered by their own users, invisible to others."""

import pytest
from sqlalchemy import text

from tests.identity.administration import (
    assert_error,
    assert_ok,
    build_bearer_header,
    connect_operator,
    create_key,
    create_tenant,
    create_user,
    list_audit_entries,
    log_in,
    request_with_session,
)

LISTED = {"slug", "name", "status"}
SHOWN = LISTED | {"id", "slack_default_role", "base_currency", "default_opening_cash", "created_at"}
SHOWN |= {"slack_channels", "slack_group_roles"}


def test_operator_creates_a_tenant_whose_first_key_is_shown_once(fresh_service):
    body = assert_ok(
        connect_operator(fresh_service).post("/tenants", {"name": " Alpha Capital ", "slug": "Alpha"}), 201
    )
    assert set(body) == SHOWN | {"api_key"}
    assert (body["slug"], body["name"], body["status"]) == ("alpha", "Alpha Capital", "active")
    assert body["slack_default_role"] == "trader"
    alpha = connect_operator(fresh_service).with_key(body["api_key"])
    assert assert_ok(alpha.get("/api-keys"))[0]["name"] == "admin"
    assert assert_ok(alpha.get("/tenants/alpha")) == {name: body[name] for name in SHOWN}
    with fresh_service.open_connection() as connection:
        stored = str(connection.execute(text("SELECT * FROM audit_log")).all())
    assert body["api_key"][17:] not in stored


def test_tenant_creation_is_in_both_audit_logs(fresh_service):
    alpha = create_tenant(fresh_service, "alpha")
    [body], [operators] = list_audit_entries(alpha), list_audit_entries(connect_operator(fresh_service))
    assert (body["action"], body["actor"], body["target"]) == (
        *("tenant.created", "key:bootstrap", "tenant:alpha"),
    )
    assert operators["after"] == body["after"] == {"slug": "alpha", "name": "A team", "status": "active"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slug": "alpha"}, "name"),
        ({"name": "Alpha"}, "slug"),
        ({"name": "Alpha", "slug": "-a"}, "slug"),
        ({"name": "Alpha", "slug": "a--b"}, "slug"),
        ({"name": "Alpha", "slug": "a b"}, "slug"),
        ({"name": "Alpha", "slug": "é"}, "slug"),
        ({"name": "Alpha", "slug": "a" * 61}, "slug"),
        ({"name": "", "slug": "alpha"}, "name"),
        ({"name": "a\u0000b", "slug": "alpha"}, "name"),
        ({"name": "Alpha", "slug": "alpha", "id": 7}, "id"),
        ({"name": "Alpha", "slug": "alpha", "status": "suspended"}, "status"),
        ({"name": "Alpha", "slug": "alpha", "api_key": "x"}, "api_key"),
    ],
)
def test_invalid_tenant_is_rejected_by_field(service, body, field):
    assert_error(connect_operator(service).post("/tenants", body), 422, field)


def test_tenant_slug_is_unique_case_insensitively(fresh_service):
    create_tenant(fresh_service, "alpha")
    assert (
        assert_error(connect_operator(fresh_service).post("/tenants", {"name": "B", "slug": "ALPHA"}), 409)
        == "conflict"
    )


def test_only_the_operator_creates_tenants(service, api):
    assert api.post("/tenants", {"name": "B", "slug": "beta"}).status_code == 403
    create_user(api, role="admin")
    session = build_bearer_header(log_in(api))
    assert (
        request_with_session(api, "POST", "/tenants", session, {"name": "B", "slug": "beta"}).status_code
        == 403
    )
    assert (
        assert_error(api.post("/api-keys", {"name": "k", "scopes": ["tenants"]}), 422, "scopes") == "invalid"
    )


def test_user_through_the_operator_key_is_not_an_operator(fresh_service):
    first = connect_operator(fresh_service)
    create_user(first, email=None, password=None, person="slack:T1:U1", role="admin")
    assert_ok(first.get("/tenants"))
    person = {"X-On-Behalf-Of": "slack:T1:U1"}
    assert first.post("/tenants", {"name": "B", "slug": "beta"}, person).status_code == 403


def test_tenant_list_is_for_the_operator_and_contains_no_tenant_data(fresh_service):
    for slug in ("alpha", "beta", "gamma"):
        create_tenant(fresh_service, slug)
    first = connect_operator(fresh_service).get("/tenants", limit=3)
    assert [item["slug"] for item in assert_ok(first)] == ["alpha", "beta", "default"]
    assert all(set(row) == LISTED for row in first.json())
    next_page = fresh_service.client.get(
        first.links["next"]["url"], headers={"X-API-Key": connect_operator(fresh_service).key}
    )
    assert [item["slug"] for item in assert_ok(next_page)] == ["gamma"]
    assert set(assert_ok(connect_operator(fresh_service).get("/tenants/alpha"))) == LISTED
    assert set(assert_ok(connect_operator(fresh_service).get("/tenants/default"))) == SHOWN


def test_admin_sees_only_their_own_tenant(fresh_service):
    alpha, _ = create_tenant(fresh_service, "alpha"), create_tenant(fresh_service, "beta")
    assert assert_ok(alpha.get("/tenants")) == [{"slug": "alpha", "name": "A team", "status": "active"}]
    for ask in (
        lambda slug: alpha.get(f"/tenants/{slug}"),
        lambda slug: alpha.patch(f"/tenants/{slug}", {"name": "X"}),
    ):
        foreign, absent = ask("beta"), ask("nope")
        assert (foreign.status_code, absent.status_code) == (404, 404)
        assert foreign.json()["detail"].replace("beta", "nope") == absent.json()["detail"]


def test_admin_can_rename_the_tenant_and_set_the_role_of_new_users(fresh_service):
    alpha = create_tenant(fresh_service, "alpha")
    alpha.claim_workspace("T9")
    changed = assert_ok(alpha.patch("/tenants/alpha", {"name": "Alpha II", "slack_default_role": None}))
    assert (changed["name"], changed["slack_default_role"]) == ("Alpha II", None)
    assert alpha.get("/portfolios", {"X-On-Behalf-Of": "slack:T9:U9"}).status_code == 403
    assert_ok(alpha.patch("/tenants/alpha", {"slack_default_role": "viewer"}))
    assert assert_ok(alpha.get("/portfolios", {"X-On-Behalf-Of": "slack:T9:U9"})) == []
    entry = next(item for item in list_audit_entries(alpha) if item["before"] and "name" in item["before"])
    assert (entry["before"], entry["after"]) == (
        {"name": "A team", "slack_default_role": "trader"},
        {"name": "Alpha II", "slack_default_role": None},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"slug": "b"}, "slug"),
        ({"name": None}, "name"),
        ({"slack_default_role": "admin"}, "slack_default_role"),
        ({"status": "gone"}, "status"),
        ({"id": 1}, "id"),
    ],
)
def test_invalid_tenant_change_is_rejected(service, body, field):
    assert_error(connect_operator(service).patch("/tenants/default", body), 422, field)


def test_existing_user_is_accepted_when_new_users_are_not(fresh_service):
    alpha = create_tenant(fresh_service, "alpha")
    alpha.claim_workspace("T7")
    assert_ok(alpha.patch("/tenants/alpha", {"slack_default_role": None}))
    create_user(alpha, email=None, password=None, person="slack:T7:U1")
    assert assert_ok(alpha.get("/portfolios", {"X-On-Behalf-Of": "slack:T7:U1"})) == []
    assert alpha.get("/portfolios", {"X-On-Behalf-Of": "slack:T7:U2"}).status_code == 403


def test_suspended_tenant_is_rejected_within_a_second_until_resumed(fresh_service, clock):
    alpha, beta = create_tenant(fresh_service, "alpha"), create_tenant(fresh_service, "beta")
    create_user(alpha)
    session = build_bearer_header(log_in(alpha))
    assert_ok(connect_operator(fresh_service).patch("/tenants/alpha", {"status": "suspended"}))
    clock.pass_by(seconds=0.99)
    assert assert_error(alpha.get("/portfolios"), 403) == "tenant-suspended"
    assert assert_error(request_with_session(alpha, "GET", "/portfolios", session), 403) == "tenant-suspended"
    assert log_in(alpha).status_code == 403
    assert beta.get("/portfolios").status_code == 200
    assert_ok(connect_operator(fresh_service).patch("/tenants/alpha", {"status": "active"}))
    clock.pass_by(seconds=0.99)
    assert alpha.get("/portfolios").status_code == 200
    assert [item["after"] for item in list_audit_entries(alpha) if item["action"] == "tenant.changed"] == [
        {"status": "active"},
        {"status": "suspended"},
    ]


def test_first_tenant_cannot_be_suspended(service):
    assert (
        assert_error(connect_operator(service).patch("/tenants/default", {"status": "suspended"}), 409)
        == "conflict"
    )


def test_only_the_operator_suspends_and_may_change_nothing_else(fresh_service):
    alpha = create_tenant(fresh_service, "alpha")
    assert assert_error(alpha.patch("/tenants/alpha", {"status": "active"}), 403) == "forbidden"
    assert (
        assert_error(connect_operator(fresh_service).patch("/tenants/alpha", {"name": "Mine"}), 403)
        == "forbidden"
    )
    assert (
        assert_error(connect_operator(fresh_service).patch("/tenants/nope", {"status": "suspended"}), 404)
        == "not-found"
    )


def test_tenants_with_identical_names_are_separate(fresh_service):
    teams = [create_tenant(fresh_service, slug, "Same name") for slug in ("alpha", "beta")]
    statements = []
    for api in teams:
        assert_ok(api.post("/portfolios", {"name": "Growth", "opening_cash": "500"}), 201)
        person = create_user(api, person="slack:T1:U1", portfolios=["Growth"])
        body = create_key(api, "bot", ("trade",), portfolios=["Growth"])
        traded = api.with_key(body["key"]).record_trade("same-idempotency-key", portfolio_name="growth")
        statements.append((person["id"], body["key_id"], traded["trade_id"]))
    for first, second in ((0, 1), (1, 0)):
        user_id, key_id, trade_id = statements[second]
        api_client = teams[first]
        for path in (f"/users/{user_id}", f"/api-keys/{key_id}", f"/trades/{trade_id}"):
            assert api_client.get(path).status_code == 404
        assert [item["id"] for item in assert_ok(api_client.get("/users"))] == [statements[first][0]]
        assert statements[first][1] in {item["key_id"] for item in assert_ok(api_client.get("/api-keys"))}
        assert key_id not in api_client.get("/api-keys").text
        assert len(api_client.list_trades()) == 1
        assert {entry["tenant_id"] for entry in list_audit_entries(api_client)} == {api_client.tenant_id}


def test_unchanged_tenant_is_not_audited(fresh_service):
    alpha = create_tenant(fresh_service, "alpha")
    assert assert_ok(alpha.patch("/tenants/alpha", {"name": "A team"}))["name"] == "A team"
    assert [item["action"] for item in list_audit_entries(alpha)] == ["tenant.created"]
