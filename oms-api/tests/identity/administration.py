"""Shared parts of tests of administration: the operator, tenants, users and the audit log."""

import json
from typing import Any

from sqlalchemy import text

from tests.factories import BOOTSTRAP_KEY
from tests.support.service import ApiClient, Service

PASSWORD = "walrus lantern orbit"
SOON = "2036-01-01T00:00:00Z"


def connect_operator(service: Service) -> ApiClient:
    """Return the first tenant, as the installation's own key sees it."""
    return ApiClient(service, 1, BOOTSTRAP_KEY)


def create_tenant(service: Service, slug: str, name: str = "A team") -> ApiClient:
    """Make a tenant over REST and return it as its first key sees it."""
    body = assert_ok(connect_operator(service).post("/tenants", {"name": name, "slug": slug}), 201)
    return ApiClient(service, body["id"], body["api_key"])


def assert_ok(response: Any, status: int = 200) -> Any:
    """Return the body of an answer that is as wanted."""
    assert response.status_code == status, response.text
    return response.json()


def assert_error(response: Any, status: int, *fields: str) -> str:
    """Return the kind of a refusal; `fields` are those that it blames."""
    assert response.status_code == status, response.text
    problem = response.json()
    if fields:
        assert {error["field"] for error in problem["errors"]} == set(fields), response.text
    return str(problem["type"].rpartition("/")[2])


def create_user(api: ApiClient, **changes: Any) -> dict[str, Any]:
    """Make a user of the desk."""
    body = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD, "role": "trader"} | changes
    user: dict[str, Any] = assert_ok(
        api.post("/users", {k: v for k, v in body.items() if v is not None}), 201
    )
    return user


def create_key(
    api: ApiClient, name: str = "bot", scopes: tuple[str, ...] = ("trade",), **fields: Any
) -> dict[str, Any]:
    """Make a key of the desk."""
    api_key: dict[str, Any] = assert_ok(
        api.post("/api-keys", {"name": name, "scopes": scopes, **fields}), 201
    )
    return api_key


def log_in(api: ApiClient, email: str = "alice@example.com", password: str = PASSWORD) -> Any:
    """Log into the desk."""
    with api.service.open_connection() as connection:
        slug = connection.execute(
            text("SELECT slug FROM tenants WHERE id = :id"), {"id": api.tenant_id}
        ).scalar_one()
    body = json.dumps({"tenant": slug, "email": email, "password": password}).encode()
    headers = {"Content-Type": "application/json"}
    return api.service.client.post("/api/v1/auth/login", content=body, headers=headers)


def build_bearer_header(response: Any) -> dict[str, str]:
    """Return the header that goes on with a session."""
    return {"Authorization": f"Bearer {assert_ok(response)['access_token']}"}


def request_with_session(
    api: ApiClient, method: str, path: str, headers: dict[str, str], body: Any = None
) -> Any:
    """Ask by an access token instead of the desk's key."""
    content = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    return api.service.client.request(method, f"/api/v1{path}", content=content, headers=sent)


def list_audit_entries(api: ApiClient) -> list[dict[str, Any]]:
    """Return the tenant's audit log, newest first, by its rows alone."""
    with api.service.open_connection() as connection:
        rows = connection.execute(
            text("SELECT * FROM audit_log WHERE tenant_id = :id ORDER BY sequence DESC"),
            {"id": api.tenant_id},
        )
        return [
            {
                **row,
                "before": json.loads(row["before"] or "null"),
                "after": json.loads(row["after"] or "null"),
            }
            for row in map(dict, rows.mappings())
        ]
