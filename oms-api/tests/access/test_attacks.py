"""Attacks by another tenant, and by a user who may see only some portfolios."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database import connect_engine, unit_of_work
from app.http.direct_routes import RequestInfo
from tests.factories import BOOTSTRAP_KEY
from tests.support.service import ApiClient

CANARY = "canary-7c1f-never-to-be-repeated"


@pytest.fixture
def restricted_api(api):
    """Provide the desk through a key that is narrowed to Growth; Private exists too."""
    for name in ("Growth", "Private"):
        api.record_trade(portfolio_name=name)
    response = api.post("/api-keys", {"name": "narrow", "scopes": ["trade"], "portfolios": ["Growth"]})
    return api.with_key(response.json()["key"])


def test_hidden_and_unknown_portfolios_have_the_same_response(restricted_api):
    for as_of in ("0", "1", "99", "2020-01-01T00:00:00Z"):
        there, nowhere = (
            restricted_api.get(f"/portfolio/{name}", as_of=as_of) for name in ("Private", "Nowhere")
        )
        assert (there.status_code, nowhere.status_code) == (404, 404), as_of
        assert there.json()["detail"].replace("Private", "Nowhere") == nowhere.json()["detail"]


def test_idempotency_key_reveals_no_portfolio_that_had_the_name_before(api, restricted_api):
    first = api.record_trade(key="same")
    api.patch("/portfolios/Growth", {"name": "Renamed"})
    api.record_trade()
    key = {"name": "new", "scopes": ["trade"], "portfolios": ["Growth"]}
    newer = api.with_key(api.post("/api-keys", key).json()["key"])
    fresh = newer.post_trade("same")
    assert (fresh.status_code, fresh.headers.get("idempotent-replayed")) == (201, None)
    assert newer.post_trade("same").json() == fresh.json()
    assert api.post_trade("same").json()["trade_id"] == first["trade_id"] != fresh.json()["trade_id"]


def test_idempotency_key_reveals_no_order_of_a_hidden_portfolio(api, restricted_api):
    placed = api.place_order(key="order-1")["id"]
    api.patch("/portfolios/Growth", {"name": "Renamed"})
    api.record_trade()
    response = api.post("/api-keys", {"name": "newer", "scopes": ["trade"], "portfolios": ["Growth"]})
    fresh = api.with_key(response.json()["key"]).post_order("order-1")
    assert (fresh.status_code, fresh.headers.get("idempotent-replayed")) == (201, None)
    assert placed not in fresh.text


def test_metrics_require_a_key_of_the_first_tenant(service, api):
    def status(key: str, **headers: str) -> int:
        return int(service.client.get("/metrics", headers={"X-API-Key": key, **headers}).status_code)

    assert status(api.key) == 403
    assert status(BOOTSTRAP_KEY) == status(service.create_key("read")) == 200
    ApiClient(service, 1, "").claim_workspace(f"TFIRST{api.tenant_id}")
    person = {"X-On-Behalf-Of": f"slack:TFIRST{api.tenant_id}:U1"}
    assert status(service.create_key("act_as"), **person) == 403


def test_permission_error_formats_roles_and_scopes_for_readers(service, api):
    reader = api.with_key(service.create_key("act_as", api.tenant_id))
    assert (
        reader.get("/trades").json()["detail"] == "This key does not allow this: it needs the scope 'read'."
    )
    api.claim_workspace(f"TNAMED{api.tenant_id}")
    person = {"X-On-Behalf-Of": f"slack:TNAMED{api.tenant_id}:U1"}
    detail = reader.get("/api-keys", headers=person).json()["detail"]
    assert detail == "The role 'trader' does not allow this: it needs the scope 'admin'."


def test_user_with_the_longest_email_can_create_keys(service, api):
    email = f"{'a' * 64}@{'b' * 189}"
    password = "violet kettle marches north"
    api.post("/users", {"name": "Long", "email": email, "password": password, "role": "admin"})
    with service.open_connection() as connection:
        slug = connection.execute(
            text("SELECT slug FROM tenants WHERE id = :id"), {"id": api.tenant_id}
        ).scalar_one()
    credentials = {"tenant": slug, "email": email, "password": password}
    token = service.client.post("/api/v1/auth/login", json=credentials).json()["access_token"]
    response = service.client.post(
        "/api/v1/api-keys",
        json={"name": "of-the-long-one", "scopes": ["read"]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert response.status_code == 201, response.text
    assert response.json()["created_by"] == email


def test_concurrent_first_requests_of_a_slack_user_create_one_user(service, api):
    bot = api.with_key(service.create_key("act_as", api.tenant_id))
    api.claim_workspace(f"TATONCE{api.tenant_id}")
    person = {"X-On-Behalf-Of": f"slack:TATONCE{api.tenant_id}:U1"}
    with ThreadPoolExecutor(12) as crowd:
        responses = list(crowd.map(lambda _: bot.get("/auth/me", headers=person), range(12)))
    assert {response.status_code for response in responses} == {200}
    assert len(api.get("/audit", action="user.first_seen").json()) == 1


def test_every_denied_request_is_audited(serve):
    with serve() as service:
        api = service.create_client()
        api.record_trade()
        narrow = {"name": "narrow", "scopes": ["trade"], "portfolios": ["Growth"]}
        api.with_key(api.post("/api-keys", narrow).json()["key"]).post_trade(portfolio_name="Private")
        api.get("/trades", headers={"X-On-Behalf-Of": "nobody at all"})
        api.patch("/tenants/" + api.get("/auth/me").json()["tenant"], {"status": "suspended"})
        api.with_key(service.create_key("read", api.tenant_id)).get("/audit")
        service.app.state.authentication.audit_writer.flush()
        denied = {(entry["actor"], entry["target"]) for entry in api.get("/audit", action="denied").json()}
    assert {target for _, target in denied} == {"report_trade", "read_books", "manage_tenant", "read_audit"}
    assert ("key:narrow", "report_trade") in denied


@contextmanager
def lock_users(engine):
    """Lock the table `users` in another session, so that no new person can be written."""
    with unit_of_work(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE users IN EXCLUSIVE MODE"))
        yield


def test_new_slack_user_gets_a_retry_error_when_the_database_is_locked(serve):
    with serve(database_timeout_seconds=2.0) as service:
        api = service.create_client("act_as")
        api.claim_workspace("TBUSY")
        person = {"X-On-Behalf-Of": "slack:TBUSY:U1"}
        with lock_users(service.engine):
            response = api.get("/auth/me", headers=person)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert api.get("/auth/me", headers=person).status_code == 200


def test_database_errors_do_not_contain_statement_parameters(database_url):
    engine = connect_engine(database_url, readers=1)
    with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT * FROM no_such_table WHERE secret = :secret"), {"secret": CANARY})
    assert CANARY not in str(caught.value)
    engine.dispose()


def test_request_repr_contains_no_headers_or_body():
    sent = RequestInfo({b"x-api-key": CANARY.encode()}, CANARY.encode(), "/api/v1/trade", "r1")
    assert CANARY not in repr(sent)
