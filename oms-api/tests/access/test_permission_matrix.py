"""Role × operation: every operation of the document, called with every role, scope and a foreign key."""

import pytest

from app.identity.rules.access import PERMISSION_RULES, Operation, Role
from tests.access.api_operations import Members, list_guarded_operations, send_call

pytestmark = pytest.mark.any_database

EVERYBODY = "viewer trader approver risk admin"
TRADERS = "trader approver admin"
WATCHERS = "risk admin"
# Written independently, so that a slip of the table in the code is seen here: who may ask for what.
EXPECTED = {
    "GET /auth/me": EVERYBODY,
    "GET /alerts": EVERYBODY,
    "POST /alerts": EVERYBODY,
    "DELETE /alerts/{alert_id}": EVERYBODY,
    "GET /preferences": EVERYBODY,
    "PUT /preferences": EVERYBODY,
    "POST /auth/logout": EVERYBODY,
    "POST /auth/password": EVERYBODY,
    "GET /auth/sessions": EVERYBODY,
    "DELETE /auth/sessions/{session_id}": EVERYBODY,
    "GET /portfolio/{name}": EVERYBODY,
    "GET /portfolio/{name}/history": EVERYBODY,
    "GET /portfolio/{name}/performance": EVERYBODY,
    "GET /portfolios": EVERYBODY,
    "GET /trades": EVERYBODY,
    "GET /trades/{trade_id}": EVERYBODY,
    "GET /health/detailed": EVERYBODY,
    "GET /metrics": "",  # keys of the first tenant alone: it counts all tenants' work
    "GET /jobs": "",  # as for metrics
    "POST /jobs/{job_name}:run": "",
    "GET /pnl": EVERYBODY,
    "GET /pnl/today": EVERYBODY,
    "GET /pnl/explain": EVERYBODY,
    "GET /daily-stats": EVERYBODY,
    "GET /exposure": EVERYBODY,
    "GET /round-trips": EVERYBODY,
    "GET /exports/{table}": EVERYBODY,
    "GET /lots": EVERYBODY,
    "GET /day-close/{date}": EVERYBODY,
    "GET /day-close/{date}/statements/{portfolio}": EVERYBODY,
    "POST /day-close/{date}": WATCHERS,
    "GET /roles": EVERYBODY,
    "GET /positions": EVERYBODY,
    "GET /positions/{portfolio}/{symbol}": EVERYBODY,
    "GET /events": EVERYBODY,
    "GET /events/stream": EVERYBODY,
    "GET /limits": EVERYBODY,
    "GET /kill-switch": EVERYBODY,
    "GET /latches": EVERYBODY,
    "GET /orders": EVERYBODY,
    "GET /approvals": EVERYBODY,
    "GET /signals": EVERYBODY,
    "GET /signals/{signal_id}": EVERYBODY,
    "GET /signals/strategies": EVERYBODY,
    "GET /trading/orders": EVERYBODY,
    "GET /trading/positions": EVERYBODY,
    "GET /trading/portfolio": EVERYBODY,
    "GET /orders/{order_id}": EVERYBODY,
    "GET /instruments": EVERYBODY,
    "GET /instruments/{symbol}": EVERYBODY,
    "GET /quotes/{symbol}": EVERYBODY,
    "GET /bars/{symbol}": EVERYBODY,
    "GET /marks": EVERYBODY,
    "GET /market-data/subscriptions": EVERYBODY,
    "GET /market-data/health": EVERYBODY,
    "POST /market-data/subscriptions": TRADERS,
    "DELETE /market-data/subscriptions/{symbol}": TRADERS,
    "POST /costs:estimate": EVERYBODY,
    "GET /calendar": EVERYBODY,
    "GET /clock": EVERYBODY,
    "PUT /calendar/{market}/{date}": "",
    "GET /corporate-actions": EVERYBODY,
    "GET /corporate-actions/{action_id}": EVERYBODY,
    "POST /corporate-actions": "admin",
    "POST /corporate-actions:preview": "admin",
    "POST /corporate-actions/{action_id}:reverse": "admin",
    "PUT /limits": WATCHERS,
    "POST /kill-switch": WATCHERS,
    "POST /latches/{latch_id}/release": WATCHERS,
    "PUT /instruments/{symbol}": "admin",
    "PUT /quotes/{symbol}": "admin",
    "PUT /marks/{symbol}": "admin",
    "DELETE /marks/{symbol}": "admin",
    "POST /orders": TRADERS,
    "POST /orders:preview": TRADERS,
    "POST /signals": TRADERS,
    "POST /trading/signal": TRADERS,
    "GET /signals/hooks": "admin",
    "POST /signals/hooks": "admin",
    "POST /signals/hooks/{hook_id}:rotate": "admin",
    "DELETE /signals/hooks/{hook_id}": "admin",
    "PUT /signals/strategies/{strategy_name}": "admin",
    "DELETE /signals/strategies/{strategy_name}": "admin",
    "GET /backtests": EVERYBODY,
    "GET /backtests/compare": EVERYBODY,
    "GET /backtests/{backtest_id}": EVERYBODY,
    "GET /backtests/{backtest_id}/orders": EVERYBODY,
    "GET /backtests/{backtest_id}/fills": EVERYBODY,
    "GET /backtests/{backtest_id}/equity": EVERYBODY,
    "GET /backtests/{backtest_id}/report.html": EVERYBODY,
    "POST /backtests": TRADERS,
    "DELETE /backtests/{backtest_id}": TRADERS,
    "GET /strategies": EVERYBODY,
    "GET /strategies/{strategy_name}": EVERYBODY,
    "POST /strategies": "admin",
    "PATCH /strategies/{strategy_name}": TRADERS,  # of code, portfolio and limits: admin
    "POST /strategies/{strategy_name}:start": TRADERS,
    "POST /strategies/{strategy_name}:pause": "trader approver risk admin",
    "POST /strategies/{strategy_name}:stop": "trader approver risk admin",
    "POST /orders:group": TRADERS,
    "PATCH /orders/{order_id}": TRADERS,
    "POST /orders/{order_id}/cancel": "trader approver risk admin",
    "POST /orders/{order_id}/bust": WATCHERS,
    "POST /orders/{order_id}/correct": WATCHERS,
    "POST /orders/{order_id}/approve": "trader approver risk admin",  # the policy names who of them
    "POST /orders/{order_id}/reject": "trader approver risk admin",
    "POST /orders/{order_id}/override": TRADERS,
    "POST /orders:cancel-all": "trader approver risk admin",
    "POST /positions:close": TRADERS,
    "PUT /positions/{portfolio}/{symbol}/exits": TRADERS,
    "POST /trade": TRADERS,
    "POST /trades:batch": TRADERS,
    "POST /trades/{trade_id}:reverse": TRADERS,
    "GET /audit": WATCHERS,
    "GET /audit/export": WATCHERS,
    "GET /audit/head": WATCHERS,
    "GET /trades/export": WATCHERS,
    "GET /trades/heads": WATCHERS,
    "GET /users": WATCHERS,
    "GET /users/{user_id}": WATCHERS,
    "POST /users": "admin",
    "PATCH /users/{user_id}": "admin",
    "PUT /slack-status": "admin",
    "POST /roles": "admin",
    "PATCH /roles/{user_id}": "admin",
    "GET /api-keys": "admin",
    "GET /api-keys/{key_id}": "admin",
    "POST /api-keys": "admin",
    "PATCH /api-keys/{key_id}": "admin",
    "POST /api-keys/{key_id}:rotate": "admin",
    "POST /portfolios": TRADERS,
    "PATCH /portfolios/{name}": "admin",
    "GET /portfolios/{name}/cash": EVERYBODY,
    "POST /portfolios/{name}/cash": "admin",
    "GET /tenants": "admin",
    "GET /tenants/{slug}": "admin",
    "PATCH /tenants/{slug}": "admin",
    "POST /tenants": "",
    "POST /tenants/{slug}/workspaces": "",
    "POST /tenants/{slug}/workspaces:release": "admin",
    "POST /workspaces:claim": "admin",
    "GET /broker-connections": "viewer trader approver risk admin",
    "GET /broker-connections/{connection_name}": "viewer trader approver risk admin",
    "GET /reconciliation/issues": "viewer trader approver risk admin",
    "POST /reconciliation:run": "risk admin",
    "POST /reconciliation/issues/{issue_id}/resolve": "risk admin",
    "POST /broker-connections": "admin",
    "PATCH /broker-connections/{connection_name}": "admin",
    "DELETE /broker-connections/{connection_name}": "admin",
    "POST /broker-connections/{connection_name}:test": "admin",
    "POST /broker-connections/{connection_name}:enable-live": "admin",
    "GET /brokers/{connection_name}/session": "risk admin",
    "POST /brokers/{connection_name}/session": "risk admin",
    "GET /slack-settings": "admin",
    "PUT /slack-groups": "admin",
    "GET /webhooks": "admin",
    "GET /webhooks/{webhook_id}": "admin",
    "GET /webhooks/{webhook_id}/deliveries": "admin",
    "POST /webhooks": "admin",
    "PUT /webhooks/by-name/{webhook_name}": "admin",
    "PATCH /webhooks/{webhook_id}": "admin",
    "DELETE /webhooks/{webhook_id}": "admin",
    "POST /webhooks/{webhook_id}:rotate": "admin",
    "POST /webhooks/{webhook_id}:enable": "admin",
    "POST /webhooks/{webhook_id}:test": "admin",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}:resend": "admin",
}
OWN_OF_BOTS = "POST /workspaces:claim"  # asked by the bot's key itself: see test_workspace_statements.py


@pytest.fixture(scope="module")
def members(service):
    api = service.create_client()
    return Members(service, api)


@pytest.fixture(scope="module")
def operations(service):
    return list_guarded_operations(service.app.openapi())


def test_every_operation_is_in_the_access_matrix(operations):
    assert {call.name for call in operations} == set(EXPECTED)


def test_every_operation_names_its_permission_and_every_permission_is_used(operations):
    operations_in_document = {call.definition.get("x-operation") for call in operations}
    assert (
        operations_in_document
        == {operation.value for operation in Operation}
        == {row.value for row in PERMISSION_RULES}
    )


def test_openapi_document_names_the_permitted_roles(operations):
    for call in operations:
        assert call.definition["x-roles"] == EXPECTED[call.name].split(), call.name


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", EXPECTED)
def test_role_may_call_exactly_the_operations_of_the_matrix(service, members, operations, name, role):
    call = next(call for call in operations if call.name == name)
    path = call.build_path(*["none-of-that"] * len(call.parameters))
    response = send_call(service, call, path, members.headers(role))
    if role.value in EXPECTED[name].split():
        own_refusals = {"no-session"}  # a key has nothing to log out of
        assert response.status_code not in {401, 403} or _get_kind(response) in own_refusals, response.text
    else:
        assert (response.status_code, _get_kind(response)) == (403, "forbidden"), response.text


@pytest.mark.parametrize("name", EXPECTED)
def test_request_without_a_key_is_rejected_before_its_body_is_read(service, operations, name):
    call = next(call for call in operations if call.name == name)
    path = call.build_path(*["none-of-that"] * len(call.parameters))
    assert send_call(service, call, path, {}).status_code == 401
    assert send_call(service, call, path, {"X-API-Key": "oms_wrong"}).status_code == 401
    assert send_call(service, call, path, {"Authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != OWN_OF_BOTS])
def test_act_as_key_alone_has_no_access(service, members, operations, name):
    bot = service.create_key("act_as", members.api.tenant_id)
    call = next(call for call in operations if call.name == name)
    path = call.build_path(*["none-of-that"] * len(call.parameters))
    assert send_call(service, call, path, {"X-API-Key": bot}).status_code == 403


BOTS_MAY = {
    *("GET /events", "GET /events/stream", "GET /orders/{order_id}", "GET /slack-settings"),
    *("PUT /slack-groups", "PUT /slack-status"),
}
BOTS_MAY |= {name for name in EXPECTED if "/webhooks" in name}


@pytest.mark.parametrize("name", EXPECTED)
def test_key_with_only_the_scope_bot_is_limited_to_bot_operations(service, members, operations, name):
    bot = service.create_key("bot", members.api.tenant_id)
    call = next(call for call in operations if call.name == name)
    path = call.build_path(*["none-of-that"] * len(call.parameters))
    response = send_call(service, call, path, {"X-API-Key": bot})
    assert (response.status_code == 403) is (name not in BOTS_MAY), response.text


ADMINISTRATION = [name for name, roles in EXPECTED.items() if roles == "admin" and name != OWN_OF_BOTS]


@pytest.mark.parametrize("name", ADMINISTRATION)
def test_bot_key_cannot_administer_for_an_admin(service, members, operations, name):
    bot = service.create_key("act_as", members.api.tenant_id)
    call = next(call for call in operations if call.name == name)
    path = call.build_path(*["none-of-that"] * len(call.parameters))
    sent = {"X-API-Key": bot, "X-On-Behalf-Of": members.person(Role.ADMIN)}
    assert send_call(service, call, path, sent).status_code == 403


def _get_kind(response) -> str:
    problem = response.json()
    return str(problem["type"]).rpartition("/")[2] if isinstance(problem, dict) else ""
