"""A person logs in every day, over REST. The token is encrypted, and shown nowhere."""

import pytest

from app.brokers.queries import find_connection
from app.brokers.service.credentials import get_terms
from app.database import set_tenant_scope, unit_of_work
from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET

pytestmark = pytest.mark.any_database
BODY = {"name": "kite", "broker": "zerodha", "credentials": {"api_key": API_KEY, "api_secret": API_SECRET}}


@pytest.fixture
def loopback(service, monkeypatch):
    """Permit connections to this machine, as outside production."""
    state = service.app.state
    monkeypatch.setattr(
        state.broker_connections, "policy", state.broker_connections.policy._replace(allows_loopback=True)
    )
    monkeypatch.setattr(state.broker_log_ins, "_policy", state.broker_connections.policy)


@pytest.fixture
def connected(api, kite, loopback):
    """Create a connection to the stand-in, which nobody has logged in yet."""
    created = api.post("/broker-connections", {**BODY, "base_url": kite.url})
    assert created.status_code == 201, created.text
    return api


def test_log_in_lets_the_connection_reach_the_account(connected, kite):
    refused = connected.post("/broker-connections/kite:test").json()
    assert refused["ok"] is False
    assert "needs today's log-in" in refused["error"]
    page = connected.get("/brokers/kite/session").json()
    assert page == {"login_url": f"{kite.url}/connect/login?v=3&api_key={API_KEY}", "expires_at": None}
    token = kite.sessions.create_request_token()
    created = connected.post("/brokers/kite/session", {"request_token": token})
    assert created.status_code == 200, created.text
    expires_at = created.json()["expires_at"]
    assert expires_at[11:16] == "00:30"  # 06:00 in India
    assert connected.get("/broker-connections/kite").json()["session_expires_at"] == expires_at
    body = connected.post("/broker-connections/kite:test").json()
    assert (body["ok"], body["account"], body["paper"]) == (True, "PAPER1", True), body


def test_token_is_encrypted_and_shown_nowhere(connected, kite, service):
    token = kite.sessions.create_request_token()
    created = connected.post("/brokers/kite/session", {"request_token": token})
    access_token = kite.sessions.access_token
    assert access_token != ACCESS_TOKEN
    with unit_of_work(service.engine) as connection:
        set_tenant_scope(connection, [connected.tenant_id])
        stored = find_connection(connection, connected.tenant_id, "kite")
    assert stored is not None
    assert access_token not in stored.credentials
    keys = service.app.state.broker_connections.keys
    assert get_terms(keys, stored).credentials["access_token"] == access_token
    texts = [created.text, connected.get("/broker-connections/kite").text, connected.get("/audit").text]
    for secret in (access_token, token, API_SECRET):
        assert not any(secret in text for text in texts)
    assert "broker_connection.logged_in" in texts[2]


def test_token_that_kite_does_not_take_is_refused(connected):
    refused = connected.post("/brokers/kite/session", {"request_token": "old"})
    assert refused.status_code == 422
    assert "Token is invalid or has expired" in refused.text
    assert connected.get("/broker-connections/kite").json()["session_expires_at"] is None


def test_kite_that_does_not_answer_is_told(connected, kite):
    kite.faults.add("status", path="/session/token", status=500)
    token = kite.sessions.create_request_token()
    assert connected.post("/brokers/kite/session", {"request_token": token}).status_code == 503


def test_other_brokers_have_no_log_in(api, loopback):
    credentials = {"key_id": "PK1", "secret_key": "secret"}
    api.post("/broker-connections", {"name": "alpaca", "broker": "alpaca", "credentials": credentials})
    refused = api.get("/brokers/alpaca/session")
    assert (refused.status_code, "keeps its sessions" in refused.text) == (409, True)
    assert api.post("/brokers/none/session", {"request_token": "t"}).status_code == 404


def test_live_connection_takes_no_log_in_before_a_second_person_enables_it(api, loopback):
    assert api.post("/broker-connections", {**BODY, "live": True}).status_code == 201
    assert api.get("/brokers/kite/session").json()["login_url"].startswith("https://kite.zerodha.com/")
    refused = api.post("/brokers/kite/session", {"request_token": "t"})
    assert (refused.status_code, "a second person must enable it" in refused.text) == (409, True)
