"""Alerts follow what their owners may do now, not what they might do when they created them."""

import asyncio

import pytest

from app.alerts.service.alerts import MAX_OWN_ALERTS
from tests.alerts.requests import (
    check_portfolios,
    create_alert,
    list_alerts,
    run_second_watcher,
    set_last_price,
    watch_portfolio,
)
from tests.support.conditions import wait_until

pytestmark = pytest.mark.any_database


@pytest.fixture
def alice(api):
    """Provide a client that acts for a person of the tenant."""
    api.claim_workspace(f"T{api.tenant_id}")
    name = f"slack:T{api.tenant_id}:U1"
    body = {"name": "Alice", "role": "trader", "person": name, "portfolios": None}
    response = api.post("/users", body)
    assert response.status_code == 201, response.text
    client = Person(api, api.service.create_key("act_as", api.tenant_id), name, response.json()["id"])
    assert client.get("/positions").status_code == 200
    return client


class Person:
    """Sends requests for a person."""

    def __init__(self, api, key, name, user_id):
        self._api, self.name, self.user_id = api.with_key(key), name, user_id

    def get(self, path):
        return self._api.get(path, {"X-On-Behalf-Of": self.name})

    def post(self, path, body):
        return self._api.post(path, body, {"X-On-Behalf-Of": self.name})


def change_rights(api, alice, **changes):
    response = api.patch(f"/users/{alice.user_id}", changes)
    assert response.status_code == 200, response.text


def test_portfolio_alert_neither_fires_nor_is_listed_once_its_owner_may_not_see_the_portfolio(api, alice):
    api.buy("1000", "100", portfolio_name="Growth")
    api.buy("1", "100", portfolio_name="Income")
    set_last_price(api, "100")
    watch_portfolio(alice, kind="day_pnl", below="-10000")
    assert len(alice.get("/alerts").json()) == 1
    change_rights(api, alice, portfolios=["Income"])
    set_last_price(api, "80")
    check_portfolios(api)
    assert list_alerts(api) == []
    change_rights(api, alice, portfolios=["Growth"])
    check_portfolios(api)
    assert [event["owner"] for event in list_alerts(api)] == [alice.name]


def test_list_of_alerts_shows_only_portfolios_that_the_caller_may_see_now(api, alice):
    api.buy("1", "100", portfolio_name="Growth")
    api.buy("1", "100", portfolio_name="Income")
    watch_portfolio(alice, kind="drawdown", above="5")
    create_alert(alice)
    assert {item["kind"] for item in alice.get("/alerts").json()} == {"price", "drawdown"}
    change_rights(api, alice, portfolios=["Income"])
    assert {item["kind"] for item in _read_until(alice, {"price"})} == {"price"}


@pytest.mark.parametrize("changes", [{"status": "disabled"}, {"slack_status": "deactivated"}])
def test_alerts_of_an_inactive_person_do_not_fire(api, alice, changes):
    set_last_price(api, "90")
    api.buy("1000", "100", portfolio_name="Growth")
    create_alert(alice)
    watch_portfolio(alice, kind="day_pnl", above="1")
    if "status" in changes:
        change_rights(api, alice, **changes)
    else:
        bot = api.with_key(api.service.create_key("bot", api.tenant_id))
        body = {"person": alice.name, "status": "deactivated"}
        assert bot.put("/slack-status", body).status_code == 200
    alert = create_alert(api, above="105")
    set_last_price(api, "110")
    check_portfolios(api)
    assert [event["alert_id"] for event in list_alerts(api, 1)] == [alert["id"]]


def test_alerts_of_an_ended_key_do_not_fire_also_in_a_process_that_watches_already(api):
    set_last_price(api, "90")
    body = api.post("/api-keys", {"name": "robot", "scopes": ["read"]}).json()
    create_alert(api.with_key(body["key"]))
    other, close = run_second_watcher(api.service)
    try:
        asyncio.run(other.check())
        assert api.patch(f"/api-keys/{body['key_id']}", {"revoked": True}).status_code == 200
        set_last_price(api, "110")
        for _ in range(3):
            asyncio.run(other.check())
        assert list_alerts(api) == []
    finally:
        close()


def test_person_has_a_limited_number_of_alerts_and_takes_none_from_others(api, alice, monkeypatch):
    monkeypatch.setattr("app.alerts.service.alerts.MAX_OWN_ALERTS", 2)
    for _ in range(2):
        create_alert(alice)
    response = alice.post("/alerts", {"kind": "price", "symbol": "AAPL", "above": "100"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "too-many-alerts")
    assert "You have 2 alerts" in response.json()["detail"]
    create_alert(api)
    assert MAX_OWN_ALERTS == 500


def _read_until(api, kinds):
    """Read the alerts until the grants in the cache have expired."""
    wait_until(lambda: {item["kind"] for item in api.get("/alerts").json()} == kinds)
    return api.get("/alerts").json()
