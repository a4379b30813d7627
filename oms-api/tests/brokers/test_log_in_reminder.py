"""People are reminded before the open to log in, once a day, if a portfolio trades over the connection."""

from datetime import UTC, datetime, timedelta

import pytest

from app.brokers.queries import find_connection, update_connection
from app.brokers.service.log_in_reminder import LogInReminder
from app.database import connect_engine, set_tenant_scope, unit_of_work
from app.webhooks.rules.addresses import AddressPolicy
from tests.support.event_schemas import VALIDATORS
from tests.support.jobs import EndlessLease

pytestmark = pytest.mark.any_database
OPENS_AT = datetime(2026, 11, 30, 3, 45, tzinfo=UTC)  # a Monday, 09:15 in India
BODY = {
    "name": "kite", "broker": "zerodha", "base_url": "http://127.0.0.1:9",
    "credentials": {"api_key": "key", "api_secret": "secret"},
}  # fmt: skip


@pytest.fixture
def engine(service):
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    yield engine
    engine.dispose()


@pytest.fixture
def connected_api(api, service, monkeypatch):
    policy = AddressPolicy(allows_loopback=True)
    monkeypatch.setattr(service.app.state.broker_connections, "policy", policy)
    assert api.post("/broker-connections", BODY).status_code == 201
    assert api.post("/portfolios", {"name": "India", "base_currency": "INR"}).status_code == 201
    return api


def list_events(api):
    events = api.get("/events", type="broker_connection.*").json()
    for event in events:
        VALIDATORS[event["type"]].validate(event["data"])
    return [event["data"] for event in reversed(events)]


def run_reminder(service, engine, now):
    LogInReminder(engine, service.app.state.calendars, {"zerodha"}, lambda: now).check(EndlessLease())


def set_session(engine, tenant_id, expires_at):
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [tenant_id])
        stored = find_connection(connection, tenant_id, "kite")
        assert stored is not None
        update_connection(connection, stored, {"session_expires_at": expires_at})


def test_login_is_requested_once_a_day_before_the_open(connected_api, service, engine):
    before = OPENS_AT - timedelta(minutes=30)
    run_reminder(service, engine, before)
    assert list_events(connected_api) == []  # no portfolio trades over it
    assignment = {"broker": "zerodha", "connection": "kite"}
    assert connected_api.patch("/portfolios/India", assignment).status_code == 200
    run_reminder(service, engine, OPENS_AT - timedelta(hours=3))
    assert list_events(connected_api) == []
    for _ in range(2):
        run_reminder(service, engine, before)
    (event,) = list_events(connected_api)
    assert (event["connection"], event["portfolio_name"]) == ("kite", "India")
    assert event["opens_at"] == "2026-11-30T03:45:00.000000Z"
    set_session(engine, connected_api.tenant_id, OPENS_AT + timedelta(hours=20))
    run_reminder(service, engine, before)
    run_reminder(service, engine, before + timedelta(days=1))
    assert len(list_events(connected_api)) == 2
