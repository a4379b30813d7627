"""The rights of users, how soon a change applies, and that a tenant keeps an administrator."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from tests.identity.administration import (
    PASSWORD,
    assert_error,
    assert_ok,
    build_bearer_header,
    connect_operator,
    create_user,
    list_audit_entries,
    log_in,
    request_with_session,
)
from tests.support.service import run_service


def test_disabled_user_loses_sessions_within_a_second_and_cannot_log_in(api, clock):
    body = create_user(api)
    session = build_bearer_header(log_in(api))
    assert request_with_session(api, "GET", "/portfolios", session).status_code == 200
    assert_ok(api.patch(f"/users/{body['id']}", {"status": "disabled"}))
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "GET", "/portfolios", session).status_code == 401
    assert log_in(api).status_code == 401
    assert_ok(api.patch(f"/users/{body['id']}", {"status": "active"}))
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "GET", "/portfolios", session).status_code == 401
    assert log_in(api).status_code == 200


def test_new_password_ends_sessions_and_invalidates_the_old_password(api, clock):
    body = create_user(api)
    session = build_bearer_header(log_in(api))
    assert_ok(api.patch(f"/users/{body['id']}", {"password": "another lantern orbit"}))
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "GET", "/portfolios", session).status_code == 401
    assert log_in(api).status_code == 401
    assert log_in(api, password="another lantern orbit").status_code == 200
    entry = next(item for item in list_audit_entries(api) if item["action"] == "user.password_changed")
    assert (entry["before"], entry["after"]) == (None, None)
    assert "lantern" not in str(list_audit_entries(api))


def test_changed_role_applies_within_a_second(api, clock):
    user = create_user(api)
    session = build_bearer_header(log_in(api))
    body = {"symbol": "AAPL", "quantity": "1", "gmv": "1", "side": "BUY", "portfolio_name": "Growth"}
    assert request_with_session(api, "POST", "/trade", session, body).status_code == 201
    assert_ok(api.patch(f"/users/{user['id']}", {"role": "viewer"}))
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "POST", "/trade", session, body).status_code == 403
    assert request_with_session(api, "GET", "/portfolios", session).status_code == 200


def test_restricted_user_sees_only_their_portfolios(api, clock):
    for name in ("Growth", "Macro"):
        api.record_trade(portfolio_name=name)
    body = create_user(api, portfolios=["gROWTH"])
    assert body["portfolios"] == ["Growth"]
    session = build_bearer_header(log_in(api))
    assert request_with_session(api, "GET", "/portfolios", session).json() == ["Growth"]
    assert request_with_session(api, "GET", "/portfolio/Macro", session).status_code == 404
    changed = assert_ok(api.patch(f"/users/{body['id']}", {"portfolios": ["Macro"]}))
    assert changed["portfolios"] == ["Macro"]
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "GET", "/portfolios", session).json() == ["Macro"]
    assert assert_ok(api.patch(f"/users/{body['id']}", {"portfolios": None}))["portfolios"] is None
    clock.pass_by(seconds=0.99)
    assert request_with_session(api, "GET", "/portfolios", session).json() == ["Growth", "Macro"]
    assert list_audit_entries(api)[0]["before"] == {"portfolios": ["Macro"]}


def test_restricted_admin_has_no_administration_rights(api):
    api.record_trade(portfolio_name="Growth")
    create_user(api, role="admin", portfolios=["Growth"])
    session = build_bearer_header(log_in(api))
    for path in ("/users", "/api-keys", "/tenants"):
        assert request_with_session(api, "GET", path, session).status_code == 403
    assert request_with_session(api, "POST", "/portfolios", session, {"name": "Mine"}).status_code == 403


def test_last_admin_cannot_be_removed(api):
    body = create_user(api, role="admin")
    session = build_bearer_header(log_in(api))
    keys = assert_ok(api.get("/api-keys"))
    assert_ok(
        request_with_session(api, "PATCH", f"/api-keys/{keys[0]['key_id']}", session, {"revoked": True})
    )
    changes: list[dict[str, object]] = [{"role": "viewer"}, {"status": "disabled"}, {"portfolios": []}]
    for change in changes:
        response = request_with_session(api, "PATCH", f"/users/{body['id']}", session, change)
        assert assert_error(response, 409) == "last-admin"
    assert assert_ok(request_with_session(api, "GET", f"/users/{body['id']}", session))["status"] == "active"
    other = {"email": "bob@example.com", "name": "Bob", "password": PASSWORD, "role": "admin"}
    assert_ok(request_with_session(api, "POST", "/users", session, other), 201)
    assert_ok(request_with_session(api, "PATCH", f"/users/{body['id']}", session, {"status": "disabled"}))


def test_last_admin_of_the_first_tenant_can_be_removed(service):
    first = connect_operator(service)
    body = create_user(first, email="only.admin@example.com", role="admin")
    assert assert_ok(first.patch(f"/users/{body['id']}", {"status": "disabled"}))["status"] == "disabled"


def test_two_admins_cannot_remove_each_other_concurrently(database_url):
    with run_service(database_url) as service:
        api = service.create_client()
        ids = [create_user(api, email=f"{name}@example.com", role="admin")["id"] for name in "ab"]
        sessions = [build_bearer_header(log_in(api, f"{name}@example.com")) for name in "ab"]
        [own] = assert_ok(api.get("/api-keys"))
        assert_ok(api.patch(f"/api-keys/{own['key_id']}", {"revoked": True}))

        def disable_the_other(number):
            path = f"/users/{ids[1 - number]}"
            return request_with_session(
                api, "PATCH", path, sessions[number], {"status": "disabled"}
            ).status_code

        with ThreadPoolExecutor(2) as pool:
            responses = sorted(pool.map(disable_the_other, range(2)))
        with service.open_connection() as connection:
            active_count = connection.execute(
                text("SELECT count(*) FROM users WHERE status = 'active'")
            ).scalar_one()
    assert (responses, active_count) in (([200, 409], 1), ([200, 401], 1))
