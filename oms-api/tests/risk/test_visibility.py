"""Users with access to some portfolios see nothing of the others; changes are audited."""

import pytest

from tests.risk.risk_requests import post_order, put_limit, set_quote, set_switch
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database


@pytest.fixture
def restricted_api(service, api):
    """Provide a key of the same tenant that is narrowed to the portfolio Growth."""
    api.record_trade(portfolio_name="Growth")
    api.record_trade(portfolio_name="Secret")
    response = api.post("/api-keys", {"name": "narrow", "scopes": ["trade"], "portfolios": ["Growth"]})
    assert response.status_code == 201, response.text
    return ApiClient(service, api.tenant_id, response.json()["key"])


def test_positions_of_other_portfolios_are_hidden(restricted_api):
    assert [item["portfolio_name"] for item in restricted_api.get("/positions").json()] == ["Growth"]
    assert restricted_api.get("/positions", portfolio="Secret").json() == []
    assert restricted_api.get("/positions/Growth/AAPL").status_code == 200
    hidden, never = restricted_api.get("/positions/Secret/AAPL"), restricted_api.get("/positions/Never/AAPL")
    assert hidden.status_code == never.status_code == 404
    assert hidden.json()["detail"].replace("Secret", "Never") == never.json()["detail"]


def test_limits_and_switches_of_other_portfolios_are_hidden(api, restricted_api):
    for name in ("Growth", "Secret"):
        put_limit(api, "MAX_ORDER_VALUE", "5000", "portfolio", name)
        set_switch(api, "REDUCING", "portfolio", name)
    put_limit(api, "MAX_ORDER_VALUE", "6000")
    assert {row["name"] for row in restricted_api.get("/limits").json()} == {"Growth", None}
    assert {row["name"] for row in restricted_api.get("/kill-switch").json()} == {"Growth", None}


def test_limits_of_other_users_are_hidden(api, restricted_api):
    for name in ("slack:T1:U1", "key:narrow"):
        put_limit(api, "MAX_ORDER_VALUE", "5000", "user", name)
    assert [row["name"] for row in restricted_api.get("/limits").json()] == ["key:narrow"]
    assert len(api.get("/limits").json()) == 2


@pytest.mark.parametrize("path", ["/events", "/events/stream"])
def test_event_feed_is_forbidden_to_restricted_users(restricted_api, path):
    assert restricted_api.get(path).status_code == 403


def test_limit_and_switch_changes_are_audited(api):
    put_limit(api, "MAX_ORDER_VALUE", "5000", "portfolio", "Growth")
    put_limit(api, "MAX_ORDER_VALUE", "7000", "portfolio", "Growth")
    put_limit(api, "MAX_ORDER_VALUE", None, "portfolio", "Growth")
    set_switch(api, "HALTED", reason="Bad prices", key="K1")
    set_switch(api, "HALTED", reason="Bad prices", key="K1")
    entries = [item for item in api.get("/audit").json() if item["action"].startswith(("limit", "kill"))]
    assert [(item["action"], item["target"]) for item in entries] == [
        ("kill_switch.turned", "tenant:"),
        ("limit.removed", "MAX_ORDER_VALUE:portfolio:Growth"),
        ("limit.set", "MAX_ORDER_VALUE:portfolio:Growth"),
        ("limit.set", "MAX_ORDER_VALUE:portfolio:Growth"),
    ]
    assert entries[0]["after"] == {"state": "HALTED", "reason": "Bad prices"}
    changed = entries[2]
    assert (changed["before"]["value"], changed["after"]["value"]) == ("5000.00000000", "7000.00000000")
    assert changed["actor"].startswith("key:")


def test_risk_role_may_set_the_switch_but_not_trade(service, api):
    officer = ApiClient(service, api.tenant_id, service.create_key("risk", api.tenant_id))
    set_quote(api)
    assert set_switch(officer, "HALTED").status_code == 200
    assert put_limit(officer, "MAX_ORDER_VALUE", "5000").status_code == 200
    assert post_order(officer).status_code == 403
