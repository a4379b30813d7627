"""A person logs in every day, over REST. The token is encrypted, and shown nowhere."""

import pytest

from app.brokers.queries import find_connection
from app.brokers.service.credentials import build_connection_terms
from app.database import set_tenant_scope, unit_of_work
from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET

pytestmark = pytest.mark.any_database
BODY = {"name": "kite", "broker": "zerodha", "credentials": {"api_key": API_KEY, "api_secret": API_SECRET}}


@pytest.fixture
def allow_loopback(service, monkeypatch):
    """Permit connections to this machine, as outside production."""
    state = service.app.state
    monkeypatch.setattr(
        state.broker_connections, "policy", state.broker_connections.policy._replace(allows_loopback=True)
    )
    monkeypatch.setattr(state.broker_log_ins, "_policy", state.broker_connections.policy)


@pytest.fixture
def kite_connection(api, kite, allow_loopback):
    """Create a connection to the stand-in, without a login yet."""
    created = api.post("/broker-connections", {**BODY, "base_url": kite.url})
    assert created.status_code == 201, created.text
    return api


def test_log_in_lets_the_connection_reach_the_account(kite_connection, kite):
    refused = kite_connection.post("/broker-connections/kite:test").json()
    assert refused["ok"] is False
    assert "needs today's login" in refused["error"]
    page = kite_connection.get("/brokers/kite/session").json()
    assert page == {"login_url": f"{kite.url}/connect/login?v=3&api_key={API_KEY}", "expires_at": None}
    token = kite.sessions.create_request_token()
    created = kite_connection.post("/brokers/kite/session", {"request_token": token})
    assert created.status_code == 200, created.text
    expires_at = created.json()["expires_at"]
    assert expires_at[11:16] == "00:30"  # 06:00 in India
    assert kite_connection.get("/broker-connections/kite").json()["session_expires_at"] == expires_at
    body = kite_connection.post("/broker-connections/kite:test").json()
    assert (body["ok"], body["account"], body["paper"]) == (True, "PAPER1", True), body


def test_token_is_encrypted_and_shown_nowhere(kite_connection, kite, service):
    token = kite.sessions.create_request_token()
    created = kite_connection.post("/brokers/kite/session", {"request_token": token})
    access_token = kite.sessions.access_token
    assert access_token != ACCESS_TOKEN
    with unit_of_work(service.engine) as connection:
        set_tenant_scope(connection, [kite_connection.tenant_id])
        stored = find_connection(connection, kite_connection.tenant_id, "kite")
    assert stored is not None
    assert access_token not in stored.credentials
    keys = service.app.state.broker_connections.keys
    assert build_connection_terms(keys, stored).credentials["access_token"] == access_token
    texts = [
        created.text,
        kite_connection.get("/broker-connections/kite").text,
        kite_connection.get("/audit").text,
    ]
    for secret in (access_token, token, API_SECRET):
        assert not any(secret in text for text in texts)
    assert "broker_connection.logged_in" in texts[2]


def test_token_that_kite_does_not_take_is_refused(kite_connection):
    response = kite_connection.post("/brokers/kite/session", {"request_token": "old"})
    assert response.status_code == 422
    assert "Token is invalid or has expired" in response.text
    assert kite_connection.get("/broker-connections/kite").json()["session_expires_at"] is None


def test_unanswered_request_to_kite_is_reported(kite_connection, kite):
    kite.faults.add("status", path="/session/token", status=500)
    token = kite.sessions.create_request_token()
    assert kite_connection.post("/brokers/kite/session", {"request_token": token}).status_code == 503


def test_other_brokers_have_no_log_in(api, allow_loopback):
    credentials = {"key_id": "PK1", "secret_key": "secret"}
    api.post("/broker-connections", {"name": "alpaca", "broker": "alpaca", "credentials": credentials})
    response = api.get("/brokers/alpaca/session")
    assert (response.status_code, "keeps its sessions" in response.text) == (409, True)
    assert api.post("/brokers/none/session", {"request_token": "t"}).status_code == 404


def test_live_connection_refuses_logins_before_a_second_person_enables_it(api, allow_loopback):
    assert api.post("/broker-connections", {**BODY, "live": True}).status_code == 201
    assert api.get("/brokers/kite/session").json()["login_url"].startswith("https://kite.zerodha.com/")
    response = api.post("/brokers/kite/session", {"request_token": "t"})
    assert (response.status_code, "a second person must enable it" in response.text) == (409, True)
