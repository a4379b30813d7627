"""Roles over REST: listed, granted and changed."""

import pytest

from app.identity.rules.access import PERMISSION_RULES, SCOPES_OF_ROLE, Operation, Role
from tests.identity.administration import assert_error, assert_ok, create_user, list_audit_entries

pytestmark = pytest.mark.any_database


def test_five_roles_are_listed_from_the_table(api):
    roles = {item["role"]: item for item in assert_ok(api.get("/roles"))}
    assert list(roles) == ["viewer", "trader", "approver", "risk", "admin"]
    for role in Role:
        assert set(roles[role]["scopes"]) == SCOPES_OF_ROLE[role]
        may = {
            operation
            for operation in Operation
            if SCOPES_OF_ROLE[role] & PERMISSION_RULES[operation].required_scopes
        }
        of_all_tenants = {operation for operation in may if PERMISSION_RULES[operation].operator_only}
        assert set(roles[role]["operations"]) == may - of_all_tenants
    assert "make_tenant" not in str(roles)


def test_roles_are_readable_by_all_but_assignments_are_not(api):
    viewer = api.with_key(api.service.create_key("read", api.tenant_id))
    assert viewer.get("/roles").status_code == 200
    assert viewer.get("/users").status_code == 403


def test_role_can_be_granted_for_some_or_all_portfolios(api):
    api.record_trade(portfolio_name="Growth")
    user = create_user(api)
    body = {"user_id": user["id"], "role": "approver", "portfolios": ["growth"]}
    role = assert_ok(api.post("/roles", body), 201)
    assert (role["role"], role["portfolios"]) == ("approver", ["Growth"])
    entry = list_audit_entries(api)[0]
    assert (entry["action"], entry["before"], entry["after"]) == (
        "user.changed",
        {"role": "trader", "portfolios": None},
        {"role": "approver", "portfolios": ["Growth"]},
    )
    whole = assert_ok(api.post("/roles", {"user_id": user["id"], "role": "trader"}), 201)
    assert (whole["role"], whole["portfolios"]) == ("trader", None)


def test_changed_role_keeps_its_portfolios(api):
    api.record_trade(portfolio_name="Growth")
    body = create_user(api, portfolios=["Growth"])
    changed = assert_ok(api.patch(f"/roles/{body['id']}", {"role": "risk"}))
    assert (changed["role"], changed["portfolios"]) == ("risk", ["Growth"])
    changed = assert_ok(api.patch(f"/roles/{body['id']}", {"portfolios": []}))
    assert (changed["role"], changed["portfolios"]) == ("risk", [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "trader"}, "user_id"),
        ({"user_id": 1}, "role"),
        ({"user_id": "1", "role": "trader"}, "user_id"),
        ({"user_id": True, "role": "trader"}, "user_id"),
        ({"user_id": 1.0, "role": "trader"}, "user_id"),
        ({"user_id": 0, "role": "trader"}, "user_id"),
        ({"user_id": 1, "role": "king"}, "role"),
        ({"user_id": 1, "role": "trader", "tenant_id": 1}, "tenant_id"),
        ({"user_id": 1, "role": "trader", "status": "active"}, "status"),
    ],
)
def test_invalid_grant_is_rejected_by_field(api, body, field):
    assert_error(api.post("/roles", body), 422, field)


@pytest.mark.parametrize(
    "body", [{}, {"role": None}, {"status": "disabled"}, {"name": "x"}, {"password": "x" * 20}]
)
def test_invalid_role_change_is_rejected(api, body):
    user = create_user(api)
    assert api.patch(f"/roles/{user['id']}", body).status_code == 422


def test_role_of_an_unknown_user_is_not_found(api):
    assert api.post("/roles", {"user_id": 999_999_999_999_999_999, "role": "trader"}).status_code == 404
