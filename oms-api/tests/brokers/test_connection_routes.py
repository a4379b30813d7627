"""Creating, testing, enabling, assigning and deleting broker connections over REST."""

import base64
import logging
import secrets

import pytest
from sqlalchemy import text
from typing_extensions import override

from app.assembly.security import create_broker_key_ring
from app.brokers.errors import BrokerUnavailable
from app.brokers.paper.broker import PaperBroker
from app.brokers.rules.values import Account
from app.brokers.service.credentials import rotate_credentials
from app.database import METADATA, set_all_tenants_scope, unit_of_work
from app.identity.rules.access import Role
from app.money import ZERO
from tests.access.api_operations import Members
from tests.support.service import build_settings

pytestmark = pytest.mark.any_database

TABLES = METADATA.tables
CANARY = "canary-9f2c4e7a"
CREDENTIALS = {"key_id": "PK01", "secret_key": CANARY}
BODY = {"name": "paper", "broker": "alpaca", "credentials": CREDENTIALS}
LIVE = BODY | {"name": "live", "live": True}
LIMIT = {"scope": "tenant", "code": "MAX_ORDER_VALUE", "value": "1000"}


def assert_ok(response, status=200):
    assert response.status_code == status, response.text
    return response.json() if response.content else None


class AccountBroker(PaperBroker):
    """A broker of which only the account matters."""

    def __init__(self, number="PA1", is_paper=True):
        super().__init__()
        self.account = Account("USD", ZERO, ZERO, number, is_paper)

    @override
    def get_account(self):
        if self.account.number is None:
            raise BrokerUnavailable
        return self.account


@pytest.fixture
def use_broker(service):
    """Let a test decide what the broker answers, and see what adapters are given."""
    used_terms, state = [], service.app.state
    original_factory = state.create_broker

    def use(broker):
        def create(terms):
            used_terms.append(terms)
            return broker

        state.create_broker = create
        return used_terms

    yield use
    state.create_broker = original_factory


def test_credentials_are_encrypted_and_never_shown(api, service, caplog):
    caplog.set_level(logging.DEBUG)
    body = assert_ok(api.post("/broker-connections", BODY), 201)
    assert body["name"] == "paper"
    assert body["broker"] == "alpaca"
    assert body["live"] is False
    assert body["status"] == "new"
    assert body["base_url"] == "https://paper-api.alpaca.markets"
    listed = assert_ok(api.get("/broker-connections"))
    assert [item["name"] for item in listed] == ["paper"]
    assert_ok(api.get("/broker-connections/paper"))
    changed = api.patch(
        "/broker-connections/paper", {"credentials": {"key_id": "PK02", "secret_key": CANARY}}
    )
    assert_ok(changed)
    for broken in (
        {"key_id": CANARY},
        {"key_id": CANARY, "secret_key": 5},
        CANARY,
        {"key_id": CANARY + "\x00"},
    ):
        response = api.patch("/broker-connections/paper", {"credentials": broken})
        assert response.status_code == 422
        assert CANARY not in response.text
    texts = [
        str(body),
        str(listed),
        changed.text,
        caplog.text,
        api.get("/audit").text,
        api.get("/events").text,
    ]
    with service.open_connection() as connection:
        tables = ("broker_connections", "audit_log", "events", "admin_requests")
        texts += [str(connection.execute(TABLES[table].select()).all()) for table in tables]
    assert not [content for content in texts if CANARY in content]


def test_encrypted_credentials_belong_to_their_row_and_follow_the_keys(api, service, use_broker):
    assert_ok(api.post("/broker-connections", BODY), 201)
    assert_ok(api.post("/broker-connections", BODY | {"name": "second"}), 201)
    use_broker(AccountBroker())
    new_key = base64.b64encode(secrets.token_bytes(32)).decode()
    rotated = create_broker_key_ring(build_settings(service.database_url, broker_keys=f"n1:{new_key}"))
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        result = rotate_credentials(connection, rotated)
        assert result.updated >= 2
        assert result.unreadable == []
        assert rotate_credentials(connection, rotated).updated == 0
    test = assert_ok(api.post("/broker-connections/paper:test"))
    assert (test["ok"], "BROKER_KEYS" in test["error"]) == (False, True)  # this process lacks the new key
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        old_first = f"{create_broker_key_ring(build_settings(service.database_url)).current_id}"
        assert old_first
        connection.execute(
            text(
                "UPDATE broker_connections SET credentials = (SELECT credentials FROM broker_connections "
                "WHERE name = 'second' AND tenant_id = :tenant) WHERE name = 'paper' AND tenant_id = :tenant"
            ),
            {"tenant": api.tenant_id},
        )
        stored = rotate_credentials(connection, create_broker_key_ring(build_settings(service.database_url)))
    assert "paper" in stored.unreadable


def test_connection_test_returns_the_account(api, use_broker):
    assert_ok(api.post("/broker-connections", BODY), 201)
    used_terms = use_broker(AccountBroker())
    body = assert_ok(api.post("/broker-connections/paper:test"))
    assert body["ok"] is True
    assert body["account"] == "PA1"
    assert body["paper"] is True
    assert body["error"] is None
    assert used_terms[0].credentials == CREDENTIALS
    use_broker(AccountBroker(number=None))
    body = assert_ok(api.post("/broker-connections/paper:test"))
    assert (body["ok"], body["error"]) == (False, "The broker did not answer.")


def test_connection_test_names_the_connection_that_has_the_account(api, use_broker):
    assert_ok(api.post("/broker-connections", BODY | {"account": "PA1"}), 201)
    assert_ok(api.post("/broker-connections", BODY | {"name": "other"}), 201)
    use_broker(AccountBroker())
    assert assert_ok(api.post("/broker-connections/paper:test"))["ok"]
    body = assert_ok(api.post("/broker-connections/other:test"))
    assert (body["ok"], body["error"]) == (False, "The connection 'paper' already has the account PA1.")


@pytest.mark.parametrize("is_paper", [False, None])
def test_paper_connection_refuses_an_account_that_is_not_paper(api, use_broker, is_paper):
    assert_ok(api.post("/broker-connections", BODY), 201)
    use_broker(AccountBroker(is_paper=is_paper))
    body = assert_ok(api.post("/broker-connections/paper:test"))
    assert (body["ok"], body["error"]) == (False, "The account is a live account, and `live` is false.")


def test_address_that_was_forged_in_the_database_is_never_called(api, service, use_broker):
    assert_ok(api.post("/broker-connections", BODY), 201)
    used_terms = use_broker(AccountBroker())
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        forged = "UPDATE broker_connections SET base_url = 'https://api.alpaca.markets' WHERE tenant_id = :id"
        connection.execute(text(forged), {"id": api.tenant_id})
    body = assert_ok(api.post("/broker-connections/paper:test"))
    assert not body["ok"]
    assert "live address" in body["error"]
    assert used_terms == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"base_url": "https://api.alpaca.markets"}, "base_url"),
        ({"base_url": "http://127.0.0.1:9"}, "base_url"),
        ({"base_url": "https://169.254.169.254"}, "base_url"),
        ({"broker": "zerodha", "credentials": {"api_key": "a", "api_secret": "b"}}, "base_url"),
        ({"credentials": {}}, "credentials"),
        ({"name": "a/b"}, "name"),
        ({"name": "a:test"}, "name"),
        ({"broker": "paper"}, "broker"),
    ],
)
def test_response_names_the_invalid_field(api, change, field):
    response = api.post("/broker-connections", BODY | change)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert assert_ok(api.get("/broker-connections")) == []


def test_gateway_of_the_operator_is_not_for_other_tenants(api, service, use_broker):
    gateway = {"name": "gateway", "broker": "ibkr", "credentials": {}}
    response = api.post("/broker-connections", gateway)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "base_url")
    assert f"{api.tenant_id}=host:port" in response.text
    assert_ok(api.post("/broker-connections", BODY), 201)
    used_terms = use_broker(AccountBroker("DU1"))
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        forged = (
            "UPDATE broker_connections SET broker = 'ibkr', base_url = '127.0.0.1:4002' WHERE tenant_id = :id"
        )
        connection.execute(text(forged), {"id": api.tenant_id})
    body = assert_ok(api.post("/broker-connections/paper:test"))
    assert (body["ok"], used_terms) == (False, [])
    assert "The operator must list it for this tenant" in body["error"]


def test_name_and_account_are_unique_in_the_tenant(api, service):
    assert_ok(api.post("/broker-connections", BODY | {"account": "PA7"}), 201)
    assert api.post("/broker-connections", BODY).status_code == 409
    assert api.post("/broker-connections", BODY | {"name": "other", "account": "PA7"}).status_code == 409
    assert_ok(service.create_client().post("/broker-connections", BODY | {"account": "PA7"}), 201)


def test_live_needs_a_second_person_who_is_an_admin_and_a_limit(service, use_broker):
    members = Members(service, service.create_client())
    api, used_terms = members.api, use_broker(AccountBroker(number="7", is_paper=False))
    first, second = members.headers(Role.ADMIN), {"X-API-Key": api.key}
    created = assert_ok(api.post("/broker-connections", LIVE, first), 201)
    assert (created["live"], created["status"]) == (True, "awaiting_live")
    test = assert_ok(api.post("/broker-connections/live:test"))
    assert (test["ok"], used_terms) == (False, [])  # nothing is sent before it is enabled
    path = "/broker-connections/live:enable-live"
    assert api.post(path, None, second).status_code == 403  # a key acts for nobody
    assert api.post(path, None, first).status_code == 403  # the same person
    for role in (Role.RISK, Role.TRADER):
        assert api.post(path, None, members.headers(role)).status_code == 403
    person = f"slack:{members.team}:U2"
    assert_ok(api.post("/users", {"person": person, "name": "Second", "role": "admin"}), 201)
    other = {"X-API-Key": members.key, "X-On-Behalf-Of": person}
    assert api.post(path, None, other).status_code == 409  # no limit yet
    assert_ok(api.put("/limits", LIMIT))
    enabled = assert_ok(api.post(path, None, other))
    assert enabled["live_enabled_by"] is not None
    assert assert_ok(api.post("/broker-connections/live:test"))["ok"]
    changed = assert_ok(api.patch("/broker-connections/live", {"account": "7"}, other))
    assert (changed["live_enabled_by"], changed["status"]) == (None, "awaiting_live")
    assert assert_ok(api.get("/audit", action="broker_connection.live_enabled"))


def test_paper_connection_cannot_be_enabled_for_live(service):
    members = Members(service, service.create_client())
    assert_ok(members.api.post("/broker-connections", BODY), 201)
    response = members.api.post("/broker-connections/paper:enable-live", None, members.headers(Role.ADMIN))
    assert response.status_code == 409


def test_connection_serves_one_flat_portfolio(api):
    assert_ok(api.post("/broker-connections", BODY), 201)
    for name in ("Growth", "Value"):
        assert_ok(api.post("/portfolios", {"name": name}), 201)
    assigned = assert_ok(api.patch("/portfolios/Growth", {"broker": "alpaca", "connection": "paper"}))
    assert (assigned["broker"], assigned["connection"]) == ("alpaca", "paper")
    assert assert_ok(api.get("/broker-connections/paper"))["portfolio_name"] == "Growth"
    response = api.patch("/portfolios/Value", {"broker": "alpaca", "connection": "paper"})
    assert (response.status_code, "one portfolio" in response.text) == (409, True)
    assert api.delete("/broker-connections/paper").status_code == 409
    assert_ok(api.patch("/portfolios/Growth", {"broker": "paper"}))
    assert api.delete("/broker-connections/paper").status_code == 204
    assert api.get("/broker-connections/paper").status_code == 404


def test_portfolio_with_orders_or_positions_keeps_its_broker(api):
    assert_ok(api.post("/broker-connections", BODY), 201)
    api.set_quote("AAPL", "99", "101", "100")
    resting = api.place_order(type="LIMIT", limit_price="50")
    to_alpaca = {"broker": "alpaca", "connection": "paper"}
    assert api.patch("/portfolios/Growth", to_alpaca).status_code == 409
    assert_ok(api.post(f"/orders/{resting['id']}/cancel", {}))
    api.place_order()
    assert api.patch("/portfolios/Growth", to_alpaca).status_code == 409
    assert_ok(api.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"}), 201)
    assert_ok(api.patch("/portfolios/Growth", to_alpaca))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"broker": "alpaca"}, 422),
        ({"connection": "paper"}, 422),
        ({"broker": "paper", "connection": "paper"}, 422),
        ({"broker": "ibkr", "connection": "paper"}, 422),
        ({"broker": "alpaca", "connection": "none"}, 404),
    ],
)
def test_portfolio_cannot_be_assigned_to_a_connection_that_does_not_fit(api, body, status):
    assert_ok(api.post("/broker-connections", BODY), 201)
    api.open_portfolio()
    assert api.patch("/portfolios/Growth", body).status_code == status


def test_setting_the_people_of_a_connection_changes_nothing_else(api, service):
    assert_ok(api.post("/broker-connections", BODY), 201)
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        connection.execute(text("UPDATE broker_connections SET status = 'connected'"))
    assert assert_ok(api.get("/broker-connections/paper"))["people"] is None
    people = ["slack:T1:U2", "alice@example.com", "alice@example.com"]
    body = assert_ok(api.patch("/broker-connections/paper", {"people": people}))
    assert (body["people"], body["status"]) == (["alice@example.com", "slack:T1:U2"], "connected")
    assert assert_ok(api.get("/broker-connections"))[0]["people"] == ["alice@example.com", "slack:T1:U2"]
    assert assert_ok(api.patch("/broker-connections/paper", {"people": None}))["people"] is None
    assert api.patch("/broker-connections/paper", {"people": [""]}).status_code == 422
    [entry, *_] = assert_ok(api.get("/audit", action="broker_connection.updated"))
    assert entry["before"]["people"] == '["alice@example.com", "slack:T1:U2"]'
