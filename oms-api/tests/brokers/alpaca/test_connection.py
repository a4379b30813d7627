"""A connection of a tenant reaches the stand-in of Alpaca, and its adapters share one rate limit."""

from contextlib import closing, suppress

import pytest

from app.brokers.adapters import create_adapter
from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.errors import BrokerUnavailable
from app.brokers.rules.connections import AddressPolicy, ConnectionTerms
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY


@pytest.fixture
def allow_loopback(service, monkeypatch):
    """Permit connections to this machine, as outside production."""
    policy = AddressPolicy(frozenset(), allows_loopback=True)
    monkeypatch.setattr(service.app.state.broker_connections, "policy", policy)


def build_connection_terms(url, key_id=KEY_ID, secret_key=SECRET_KEY):
    return ConnectionTerms("alpaca", url, False, None, {"key_id": key_id, "secret_key": secret_key})


@pytest.mark.any_database
def test_test_of_a_connection_answers_the_account_of_alpaca(api, alpaca, allow_loopback):
    credentials = {"key_id": KEY_ID, "secret_key": SECRET_KEY}
    body = {"name": "demo", "broker": "alpaca", "base_url": alpaca.url, "credentials": credentials}
    created = api.post("/broker-connections", body)
    assert created.status_code == 201, created.text
    body = api.post("/broker-connections/demo:test").json()
    assert (body["ok"], body["account"], body["paper"]) == (True, "PA0STANDIN00", True), body


@pytest.mark.any_database
def test_test_of_a_connection_with_wrong_credentials_fails(api, alpaca, allow_loopback):
    credentials = {"key_id": KEY_ID, "secret_key": "wrong"}
    body = {"name": "wrong", "broker": "alpaca", "base_url": alpaca.url, "credentials": credentials}
    created = api.post("/broker-connections", body)
    assert created.status_code == 201, created.text
    body = api.post("/broker-connections/wrong:test").json()
    assert (body["ok"], body["account"]) == (False, None)


def test_adapters_of_an_account_share_the_rate_limit(alpaca):
    first, second = (create_adapter(build_connection_terms(alpaca.url)) for _ in range(2))
    other = create_adapter(build_connection_terms(alpaca.url, "another key"))
    assert isinstance(first, AlpacaBroker)
    assert isinstance(second, AlpacaBroker)
    assert isinstance(other, AlpacaBroker)
    assert first._client.rate_limiter is second._client.rate_limiter
    assert first._client.rate_limiter is not other._client.rate_limiter
    stranger = create_adapter(build_connection_terms(alpaca.url, secret_key="guessed"))
    assert isinstance(stranger, AlpacaBroker)
    assert stranger._client.rate_limiter is not first._client.rate_limiter
    for broker in (first, second, other, stranger):
        broker.close()


def test_requests_to_a_broker_are_counted_by_outcome(alpaca):
    counted = []
    away = build_connection_terms("http://127.0.0.1:9")
    for terms in (
        build_connection_terms(alpaca.url),
        build_connection_terms(alpaca.url, "another key"),
        away,
    ):
        broker = create_adapter(terms, observe=lambda *term: counted.append(term))
        with suppress(BrokerUnavailable), closing(broker):
            broker.get_account()
    assert [row[:3] for row in counted] == [
        ("alpaca", "GET", outcome) for outcome in ("2xx", "4xx", "failed")
    ]
    assert all(0 < row[3] < 60 for row in counted)
