"""IDs of another tenant: the answer and the work are the same as for IDs that do not exist."""

import json
import re

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import set_tenant_scope, unit_of_work
from app.identity.rules.access import Role
from app.reconciliation.queries import Issue, insert_issue
from tests.access.api_operations import Members, Work, list_guarded_operations, send_call

NEVER = {
    "session_id": "0" * 32,
    "trade_id": "T17000000000000000ffffffff",
    "name": "Never Heard Of",
    "user_id": "999999999",
    "key_id": "zzzzzzzzzzzz",
    "slug": "never-heard-of",
    "order_id": "O17000000000000000ffffffff",
    "latch_id": "L17000000000000000ffffffff",
    "action_id": "C17000000000000000ffffffff",
    "backtest_id": "B17000000000000000ffffffff",
    "alert_id": "A17000000000000000ffffffff",
    "portfolio": "Never Heard Of",
    "symbol": "AAPL",
    "date": "2026-01-05",
    "webhook_id": "wh_000000000000000000000000",
    "hook_id": "sh_0000000000000000",
    "signal_id": "never-heard-of",
    "delivery_id": "AAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "connection_name": "never-heard-of",
    "issue_id": "ri_000000000000000000000000",
}
# Background work reads the database in between, and what is remembered expires. The fewest statements of
# several tries are those of the request itself.
TRIES = 12
BODIES = {
    "POST /trades/{trade_id}:reverse": {"reason": "Not mine"},
    "PATCH /users/{user_id}": {"name": "Another"},
    "PATCH /roles/{user_id}": {"role": "viewer"},
    "PATCH /api-keys/{key_id}": {"revoked": True},
    "POST /api-keys/{key_id}:rotate": {"overlap_seconds": 0},
    "PATCH /portfolios/{name}": {"name": "Renamed"},
    "POST /portfolios/{name}/cash": {"kind": "deposit", "amount": "1", "currency": "USD", "reason": "Mine"},
    "PATCH /tenants/{slug}": {"name": "Another"},
    "POST /tenants/{slug}/workspaces": {"team_id": "T0NOBODY"},
    "POST /tenants/{slug}/workspaces:release": {"team_id": "T0NOBODY"},
    "PATCH /orders/{order_id}": {"quantity": "1"},
    "POST /orders/{order_id}/cancel": {},
    "POST /orders/{order_id}/approve": {},
    "POST /orders/{order_id}/bust": {"execution_id": "X1", "reason": "Not mine"},
    "POST /orders/{order_id}/correct": {"execution_id": "X1", "price": "1", "reason": "Not mine"},
    "POST /orders/{order_id}/reject": {"reason": "Not mine"},
    "POST /orders/{order_id}/override": {"reason": "Not mine"},
    "POST /latches/{latch_id}/release": {"reason": "Not mine"},
    "POST /corporate-actions/{action_id}:reverse": {"reason": "Not mine"},
    "PUT /positions/{portfolio}/{symbol}/exits": {},
    "PATCH /webhooks/{webhook_id}": {"description": "Another"},
    "POST /reconciliation/issues/{issue_id}/resolve": {"action": "ignore", "reason": "Not mine"},
    "PATCH /broker-connections/{connection_name}": {"account": "PA1"},
    "POST /brokers/{connection_name}/session": {"request_token": "token"},
    "POST /webhooks/{webhook_id}:rotate": {},
}
CONNECTION = {
    "name": "secret-account",
    "broker": "alpaca",
    "credentials": {"key_id": "K", "secret_key": "S"},
}
SIGNAL = {"symbol": "AAPL", "side": "BUY", "qty": "1", "portfolio": "Secret Book", "id": "secret-1"}
BACKTEST = {"strategy": "breakout", "symbols": ["AAPL"], "from": "2026-11-02", "to": "2026-11-03"}
HOOK = {"url": "https://hooks.example.com/secret-book", "event_types": ["*"]}


DIVIDEND = {
    "kind": "dividend",
    "symbol": "MSFT",
    "ex_date": "2026-11-20",
    "amount": "1",
    "currency": "USD",
    "reason": "Theirs",
}
# Not of a price, which would be watched in the background.
SECRET_ALERT = {"kind": "drawdown", "portfolio_name": "Secret Book", "above": "9"}


@pytest.fixture(scope="module")
def two_tenants(service):
    """Two desks that name everything alike; the second has something of every kind."""
    own, other = Members(service, service.create_client()), Members(service, service.create_client())
    for members in (own, other):
        members.api.record_trade(portfolio_name="Growth")
    foreign = {
        "trade_id": other.api.record_trade(portfolio_name="Secret Book")["trade_id"],
        "name": "Secret Book",
        "user_id": str(other.api.get("/users").json()[0]["id"]),
        "key_id": other.api.get("/api-keys").json()[0]["key_id"],
        "slug": f"desk-{other.api.tenant_id}",
        "order_id": other.api.place_order(portfolio_name="Secret Book", type="LIMIT", limit_price="1")["id"],
        "latch_id": create_latch(other.api),
        "action_id": other.api.post("/corporate-actions", DIVIDEND).json()["id"],
        "alert_id": other.api.post("/alerts", SECRET_ALERT).json()["id"],
        "session_id": "1" * 32,  # keys have none, and are refused either way
        "portfolio": "Secret Book",
        "symbol": "AAPL",
        "date": "2026-01-05",
        "webhook_id": (webhook := other.api.post("/webhooks", HOOK).json()["id"]),
        "hook_id": other.api.post("/signals/hooks", {"name": "Secret Hook"}).json()["id"],
        "signal_id": other.api.post("/signals", SIGNAL).json()["id"],
        "backtest_id": other.api.post("/backtests", BACKTEST).json()["id"],
        "delivery_id": other.api.post(f"/webhooks/{webhook}:test").json()["id"],
        "issue_id": store_issue(other.api),
        "connection_name": other.api.post("/broker-connections", CONNECTION).json()["name"],
    }
    return own, other, foreign


def store_issue(api):
    """Return the id of a reconciliation issue of a portfolio."""
    issue_id, now = f"ri_{api.tenant_id:024}", utc_now()
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        portfolio = "SELECT id FROM portfolios WHERE name = 'Secret Book' AND tenant_id = :tenant"
        portfolio_id = connection.execute(text(portfolio), {"tenant": api.tenant_id}).scalar_one()
        nothing = (None,) * 3
        values = (api.tenant_id, issue_id, "secret-account", portfolio_id, "cash_mismatch", "info")
        insert_issue(connection, Issue(*values, *nothing, "1.00", "open", *nothing, now, now, *nothing[:2]))
    return issue_id


def create_latch(api):
    """Return the id of a latch that a strategy ran into."""
    limit = {"scope": "strategy", "name": "Secret Plan", "code": "REPEATED_EXECUTIONS", "value": "1"}
    assert api.put("/limits", limit).status_code == 200
    api.place_order(portfolio_name="Secret Book", strategy="Secret Plan")
    return api.get("/latches").json()[0]["id"]


def list_operations_with_ids(service):
    """Return the operations that name an object of a tenant; symbols and markets are shared by all."""
    shared = {"symbol", "market", "date", "webhook_name", "strategy_name", "job_name", "table"}
    return [call for call in list_guarded_operations(service.app.openapi()) if set(call.parameters) - shared]


def strip_ids(response, values: list[str]) -> tuple[int, dict[str, str], str]:
    """Return the status, headers and body without the given ids and the request id."""
    headers = {
        name: text for name, text in response.headers.items() if name not in {"x-request-id", "ratelimit"}
    }
    body = re.sub(r'"request_id":"[^"]*"', "", response.text)
    for value in values:
        body = body.replace(value, "ID").replace(value.replace(" ", "%20"), "ID")
    headers.pop("content-length", None)
    return response.status_code, headers, body


def test_every_kind_of_path_id_has_a_test_case(service):
    parameters = {parameter for call in list_operations_with_ids(service) for parameter in call.parameters}
    assert parameters == set(NEVER)
    assert {
        call.name for call in list_operations_with_ids(service) if "requestBody" in call.definition
    } == set(BODIES)


@pytest.mark.parametrize("role", list(Role))
def test_foreign_id_gets_the_answer_and_queries_of_an_unknown_id(service, two_tenants, role, monkeypatch):
    own, _, foreign = two_tenants
    monkeypatch.setattr("app.identity.service.authenticator.CACHE_SECONDS", 600)  # who asks is known by now
    own.api.service.client.get("/api/v1/trades", headers=own.headers(role))
    monkeypatch.setattr("app.risk.service.controls.MAX_AGE_SECONDS", 600)
    for call in list_operations_with_ids(service):
        responses, fewest = call_with_unknown_and_foreign_id(service, call, foreign, own.headers(role))
        for _ in range(TRIES):
            if fewest[0] == fewest[1]:
                break
            responses, works = call_with_unknown_and_foreign_id(service, call, foreign, own.headers(role))
            fewest = [min(statement_lists, key=len) for statement_lists in zip(fewest, works, strict=True)]
        assert responses[0] == responses[1], call.name
        assert responses[0][0] in {403, 404}, call.name
        assert fewest[0] == fewest[1], call.name


def call_with_unknown_and_foreign_id(service, call, foreign, headers):
    """Return answers and statements for an id that never was, and for one of another tenant."""
    responses, works = [], []
    for ids in (NEVER, foreign):
        values = [ids[parameter] for parameter in call.parameters]
        with Work() as work:
            response = send_call(service, call, call.build_path(*values), headers, BODIES.get(call.name))
        responses.append(strip_ids(response, values))
        works.append(work.statements)
    return responses, works


def test_quotes_and_instruments_are_separate_for_each_tenant(two_tenants):
    own, other, _ = two_tenants
    quote = {"bid": "3.14", "ask": "3.15", "last": "3.14"}
    assert other.api.put("/quotes/SECRET", quote).status_code == 200
    assert other.api.put("/instruments/SECRET", {"tick_size": "0.05", "lot_size": "7"}).status_code == 200
    assert own.api.get("/quotes/SECRET").json()["bid"] != "3.14"
    assert own.api.get("/instruments/SECRET").json()["lot_size"] != "7"


def test_requests_with_foreign_ids_change_nothing_of_the_other_tenant(service, two_tenants):
    _, other, foreign = two_tenants
    assert other.api.get(f"/trades/{foreign['trade_id']}").json()["reversed_by"] is None
    assert other.api.get_portfolio("Secret Book")["portfolio_name"] == "Secret Book"
    assert other.api.get(f"/orders/{foreign['order_id']}").json()["status"] == "ACCEPTED"
    assert other.api.get("/latches").json()[0]["released_at"] is None
    assert other.api.get(f"/webhooks/{foreign['webhook_id']}").json()["description"] is None


@pytest.mark.parametrize("role", list(Role))
def test_lists_contain_nothing_of_the_other_tenant(service, two_tenants, role):
    own, other, foreign = two_tenants
    secrets = {
        foreign["trade_id"],
        foreign["latch_id"],
        foreign["webhook_id"],
        foreign["connection_name"],
        "Secret Book",
        "Secret Plan",
        foreign["key_id"],
        other.team,
        foreign["slug"],
    }
    for call in list_guarded_operations(service.app.openapi()):
        if call.method == "get" and not call.parameters:
            text = send_call(service, call, call.path, own.headers(role)).text
            assert not [secret for secret in secrets if secret in text], call.name


@pytest.mark.parametrize("query", ["portfolio=Secret Book", "user=U999", "symbol=ZZZ"])
def test_search_finds_nothing_of_the_other_tenant(service, two_tenants, query):
    own, _, _ = two_tenants
    assert own.api.get(f"/trades?{query}").json() == []


def test_idempotency_keys_are_separate_for_each_tenant(two_tenants):
    own, other, _ = two_tenants
    body = other.api.record_trade(key="one-and-the-same", quantity="1")
    own_trade = own.api.record_trade(key="one-and-the-same", quantity="2")
    assert own_trade["trade_id"] != body["trade_id"]
    assert own.api.get("/trades", idempotency_key="one-and-the-same").json()[0]["quantity"] == "2"


def test_cursor_of_another_tenant_is_rejected(two_tenants):
    own, other, _ = two_tenants
    other.api.record_trade()
    link = other.api.get("/trades", limit=1).headers["link"]
    cursor = re.search(r"cursor=([^&>]+)", link)
    assert cursor
    response = own.api.get("/trades", cursor=cursor[1])
    assert response.status_code == 422
    assert other.team not in json.dumps(response.json())


def test_user_of_another_tenant_is_unknown(service, two_tenants):
    own, other, _ = two_tenants
    sent = {"X-API-Key": own.key, "X-On-Behalf-Of": other.person(Role.ADMIN)}
    response = service.client.get("/api/v1/trades", headers=sent)
    assert (response.status_code, response.json()["type"]) == (
        403,
        "urn:slackoms:problem/workspace-elsewhere",
    )
