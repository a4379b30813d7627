"""The OpenAPI document describes every operation; its pages load nothing from other hosts."""

import json
import re

import jsonschema
import jsonschema_rs
import pytest
from schemathesis.openapi import from_dict

from app.main import create_app
from tests.factories import build_ticket_body
from tests.support.service import build_settings

pytestmark = pytest.mark.any_database

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
# Routes of trading, without those of people and tenants.
TRADING = tuple(
    f"/api/v1/{name}"
    for name in (
        *("trade", "orders", "positions", "limits", "kill-switch", "instruments", "quotes", "costs"),
        *("preferences", "alerts", "signals/strategies", "trading"),
    )
)
OPEN = {"/health", "/health/live", "/health/ready"}
DEPOSIT = {"kind": "deposit", "amount": "5", "currency": "USD", "reason": "Capital"}
COSTS = {"schedule": "zerodha", "exchange": "NSE", "side": "SELL", "quantity": "40", "price": "1100"}
SPLIT = {
    "kind": "split",
    "symbol": "MSFT",
    "new_units": "2",
    "old_units": "1",
    "ex_date": "2026-11-20",
    "reason": "Announced",
}
CONNECTION = {"name": "alpaca", "broker": "alpaca", "credentials": {"key_id": "K", "secret_key": "S"}}
WEBHOOK = {"url": "https://hooks.example.com/oms", "event_types": ["order.*"]}
SIGNAL = {"symbol": "AAPL", "side": "buy", "qty": "1", "portfolio": "growth", "id": "breakout-1"}
STRATEGY = {
    "name": "trend",
    "entry_point": "moving_average_cross",
    "portfolio": "growth",
    "symbols": ["AAPL"],
}
BACKTEST = {
    "strategy": "moving_average_cross",
    "symbols": ["AAPL"],
    "from": "2026-11-02",
    "to": "2026-11-03",
}
PROBLEMS = {"401", "403", "422", "429", "503"}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(build_settings(f"sqlite:///{tmp_path_factory.mktemp('openapi')}/x.db"))


@pytest.fixture(scope="module")
def document(app):
    return app.openapi()


def list_operations(document):
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def list_guarded_operations(document):
    return {
        name: body
        for name, body in list_operations(document).items()
        if name[1].removeprefix("/api/v1") not in OPEN and body["x-operation"] != "anybody"
    }


def list_write_operations(document):
    return {
        name: operation for name, operation in list_operations(document).items() if "requestBody" in operation
    }


def resolve_schema(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_openapi_document_is_valid(document):
    assert document["openapi"].startswith("3.1")
    assert list(from_dict(document).get_all_operations())
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("type") == "object" or "enum" in schema, name


def test_every_endpoint_of_the_contract_is_documented(document):
    assert set(list_operations(document)) >= {
        ("POST", "/api/v1/trade"),
        ("POST", "/api/v1/trades:batch"),
        ("POST", "/api/v1/trades/{trade_id}:reverse"),
        ("GET", "/api/v1/trades"),
        ("GET", "/api/v1/trades/{trade_id}"),
        ("GET", "/api/v1/portfolio/{name}"),
        ("GET", "/api/v1/portfolio/{name}/history"),
        ("GET", "/api/v1/portfolio/{name}/performance"),
        ("GET", "/api/v1/health/detailed"),
        ("GET", "/api/v1/portfolios"),
        ("GET", "/api/v1/portfolios/{name}/cash"),
        ("POST", "/api/v1/portfolios/{name}/cash"),
        ("POST", "/api/v1/orders"),
        ("POST", "/api/v1/orders:group"),
        ("POST", "/api/v1/orders:preview"),
        ("POST", "/api/v1/orders:cancel-all"),
        ("POST", "/api/v1/orders/{order_id}/cancel"),
        ("POST", "/api/v1/orders/{order_id}/bust"),
        ("POST", "/api/v1/orders/{order_id}/correct"),
        ("PATCH", "/api/v1/orders/{order_id}"),
        ("GET", "/api/v1/orders"),
        ("GET", "/api/v1/orders/{order_id}"),
        ("GET", "/api/v1/positions"),
        ("GET", "/api/v1/positions/{portfolio}/{symbol}"),
        ("POST", "/api/v1/positions:close"),
        ("PUT", "/api/v1/positions/{portfolio}/{symbol}/exits"),
        ("GET", "/api/v1/limits"),
        ("PUT", "/api/v1/limits"),
        ("GET", "/api/v1/kill-switch"),
        ("POST", "/api/v1/kill-switch"),
        ("GET", "/api/v1/instruments"),
        ("GET", "/api/v1/instruments/{symbol}"),
        ("PUT", "/api/v1/instruments/{symbol}"),
        ("GET", "/api/v1/quotes/{symbol}"),
        ("PUT", "/api/v1/quotes/{symbol}"),
        ("GET", "/api/v1/bars/{symbol}"),
        ("POST", "/api/v1/market-data/subscriptions"),
        ("GET", "/api/v1/market-data/subscriptions"),
        ("DELETE", "/api/v1/market-data/subscriptions/{symbol}"),
        ("GET", "/api/v1/market-data/health"),
        ("GET", "/api/v1/marks"),
        ("PUT", "/api/v1/marks/{symbol}"),
        ("DELETE", "/api/v1/marks/{symbol}"),
        ("GET", "/api/v1/pnl"),
        ("GET", "/api/v1/pnl/today"),
        ("GET", "/api/v1/pnl/explain"),
        ("GET", "/api/v1/daily-stats"),
        ("POST", "/api/v1/day-close/{date}"),
        ("GET", "/api/v1/day-close/{date}"),
        ("GET", "/api/v1/day-close/{date}/statements/{portfolio}"),
        ("GET", "/api/v1/exposure"),
        ("GET", "/api/v1/round-trips"),
        ("GET", "/api/v1/lots"),
        ("GET", "/api/v1/exports/{table}"),
        ("GET", "/api/v1/slack-settings"),
        ("PUT", "/api/v1/slack-groups"),
        ("GET", "/api/v1/preferences"),
        ("PUT", "/api/v1/slack-status"),
        ("GET", "/api/v1/alerts"),
        ("POST", "/api/v1/alerts"),
        ("DELETE", "/api/v1/alerts/{alert_id}"),
        ("PUT", "/api/v1/preferences"),
        ("POST", "/api/v1/costs:estimate"),
        ("GET", "/api/v1/calendar"),
        ("GET", "/api/v1/clock"),
        ("PUT", "/api/v1/calendar/{market}/{date}"),
        ("GET", "/api/v1/corporate-actions"),
        ("POST", "/api/v1/corporate-actions"),
        ("POST", "/api/v1/corporate-actions:preview"),
        ("GET", "/api/v1/corporate-actions/{action_id}"),
        ("POST", "/api/v1/corporate-actions/{action_id}:reverse"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/events/stream"),
        ("GET", "/api/v1/reconciliation/issues"),
        ("POST", "/api/v1/reconciliation:run"),
        ("POST", "/api/v1/reconciliation/issues/{issue_id}/resolve"),
        ("GET", "/api/v1/broker-connections"),
        ("POST", "/api/v1/broker-connections"),
        ("GET", "/api/v1/broker-connections/{connection_name}"),
        ("PATCH", "/api/v1/broker-connections/{connection_name}"),
        ("DELETE", "/api/v1/broker-connections/{connection_name}"),
        ("POST", "/api/v1/broker-connections/{connection_name}:test"),
        ("POST", "/api/v1/broker-connections/{connection_name}:enable-live"),
        ("GET", "/api/v1/brokers/{connection_name}/session"),
        ("POST", "/api/v1/brokers/{connection_name}/session"),
        ("GET", "/api/v1/webhooks"),
        ("POST", "/api/v1/webhooks"),
        ("PATCH", "/api/v1/webhooks/{webhook_id}"),
        ("DELETE", "/api/v1/webhooks/{webhook_id}"),
        ("PUT", "/api/v1/webhooks/by-name/{webhook_name}"),
        ("POST", "/api/v1/webhooks/{webhook_id}:rotate"),
        ("POST", "/api/v1/webhooks/{webhook_id}:test"),
        ("POST", "/api/v1/webhooks/{webhook_id}:enable"),
        ("GET", "/api/v1/webhooks/{webhook_id}/deliveries"),
        ("POST", "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}:resend"),
        ("GET", "/api/v1/strategies"),
        ("POST", "/api/v1/strategies"),
        ("GET", "/api/v1/strategies/{strategy_name}"),
        ("PATCH", "/api/v1/strategies/{strategy_name}"),
        ("POST", "/api/v1/strategies/{strategy_name}:start"),
        ("POST", "/api/v1/strategies/{strategy_name}:pause"),
        ("POST", "/api/v1/strategies/{strategy_name}:stop"),
        ("GET", "/api/v1/backtests"),
        ("POST", "/api/v1/backtests"),
        ("GET", "/api/v1/backtests/compare"),
        ("GET", "/api/v1/backtests/{backtest_id}"),
        ("DELETE", "/api/v1/backtests/{backtest_id}"),
        ("GET", "/api/v1/backtests/{backtest_id}/orders"),
        ("GET", "/api/v1/backtests/{backtest_id}/fills"),
        ("GET", "/api/v1/backtests/{backtest_id}/equity"),
        ("GET", "/api/v1/backtests/{backtest_id}/report.html"),
        ("GET", "/api/v1/jobs"),
        ("POST", "/api/v1/jobs/{job_name}:run"),
        ("POST", "/api/v1/signals"),
        ("POST", "/api/v1/signals/hooks"),
        ("GET", "/api/v1/signals/hooks"),
        ("POST", "/api/v1/signals/hooks/{hook_id}:rotate"),
        ("DELETE", "/api/v1/signals/hooks/{hook_id}"),
        ("POST", "/api/v1/signals/hook/{token}"),
        ("GET", "/api/v1/signals"),
        ("GET", "/api/v1/signals/{signal_id}"),
        ("GET", "/api/v1/signals/strategies"),
        ("PUT", "/api/v1/signals/strategies/{strategy_name}"),
        ("DELETE", "/api/v1/signals/strategies/{strategy_name}"),
        ("POST", "/api/v1/trading/signal"),
        ("GET", "/api/v1/trading/orders"),
        ("GET", "/api/v1/trading/positions"),
        ("GET", "/api/v1/trading/portfolio"),
        ("GET", "/metrics"),
    }


def test_every_operation_except_health_requires_the_key(document):
    assert document["components"]["securitySchemes"]["ApiKey"] == {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
    }
    for name, operation in list_guarded_operations(document).items():
        assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}], name
    for name, operation in list_operations(document).items():
        assert ("security" in operation) == (name in list_guarded_operations(document)), name


def test_every_operation_has_examples_of_its_problems(document):
    for name, operation in list_guarded_operations(document).items():
        responses = operation["responses"]
        required_fields = (
            PROBLEMS
            | ({"413", "415"} if "requestBody" in operation else set())
            | ({"404"} if "{" in name[1] else set())
        )
        assert required_fields <= set(responses), name
        for status, described in responses.items():
            if status.startswith("2"):
                continue
            media = described["content"]["application/problem+json"]
            jsonschema.validate(media["example"], resolve_schema(document, media["schema"]))
            assert media["example"]["status"] == int(status)
        for status in ("429", "503"):
            assert "Retry-After" in responses[status]["headers"], name


def test_framework_error_schemas_are_not_documented(document):
    assert "HTTPValidationError" not in str(document)


def test_every_body_has_a_schema_and_a_valid_example(document):
    store = {"components": document["components"]}
    for operation in list_write_operations(document).values():
        media = operation["requestBody"]["content"]["application/json"]
        assert isinstance(operation["requestBody"]["required"], bool)
        jsonschema_rs.validate({**media["schema"], **store}, media["example"])
        assert resolve_schema(document, media["schema"])["additionalProperties"] is False


def test_documented_examples_are_accepted(document, api):
    for (method, path), operation in list_operations(document).items():
        needs_more = operation.get("x-operation") in {"decide_approval", "request_override", "bust_execution"}
        if method in {"POST", "PUT", "PATCH"} and path.startswith(TRADING) and not needs_more:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            response = send_body(api.service.create_client(), method, path.removeprefix("/api/v1"), example)
            assert response.status_code in {200, 201}, response.text


def send_body(api, method, path, body):
    """Send a body to a path with the ids of an existing trade, portfolio or working order."""
    trade = api.record_trade()
    here = {
        "trade_id": trade["trade_id"],
        "portfolio": trade["portfolio_name"],
        "order_id": api.place_order(type="LIMIT", limit_price="1")["id"],
        "strategy_name": "momentum",
        "symbol": "RELIANCE" if path.startswith("/instruments") else "AAPL",  # held: keeps its currency
    }
    return {"POST": api.post, "PUT": api.put, "PATCH": api.patch}[method](path.format(**here), body)


def test_answers_match_their_schemas(document, api):
    trade = api.record_trade()
    order = api.place_order(type="LIMIT", limit_price="1")
    ticket = build_ticket_body(type="LIMIT", limit_price="1")
    responses = {
        ("POST", "/api/v1/orders"): api.post_order(),
        ("GET", "/api/v1/orders"): api.get("/orders"),
        ("GET", "/api/v1/orders/{order_id}"): api.get(f"/orders/{order['id']}"),
        ("PATCH", "/api/v1/orders/{order_id}"): api.patch(f"/orders/{order['id']}", {"quantity": "2"}),
        ("POST", "/api/v1/orders:preview"): api.post("/orders:preview", ticket),
        ("POST", "/api/v1/costs:estimate"): api.post("/costs:estimate", COSTS),
        ("POST", "/api/v1/orders:group"): api.post("/orders:group", {"kind": "OTO", "orders": [ticket] * 2}),
        ("POST", "/api/v1/orders:cancel-all"): api.post("/orders:cancel-all", {}),
        ("POST", "/api/v1/positions:close"): api.post(
            "/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"}
        ),
        ("GET", "/api/v1/trades"): api.get("/trades"),
        ("GET", "/api/v1/trades/{trade_id}"): api.get(f"/trades/{trade['trade_id']}"),
        ("GET", "/api/v1/portfolio/{name}"): api.get("/portfolio/growth"),
        ("GET", "/api/v1/portfolio/{name}/history"): api.get("/portfolio/growth/history", period="1D"),
        ("GET", "/api/v1/portfolio/{name}/performance"): api.get("/portfolio/growth/performance"),
        ("GET", "/api/v1/health/detailed"): api.get("/health/detailed"),
        ("GET", "/api/v1/portfolios"): api.get("/portfolios", detail="true"),
        ("POST", "/api/v1/portfolios/{name}/cash"): api.post("/portfolios/growth/cash", DEPOSIT),
        ("GET", "/api/v1/portfolios/{name}/cash"): api.get("/portfolios/growth/cash"),
        ("GET", "/api/v1/calendar"): api.get("/calendar", market="XNSE", from_="2026-11-06", to="2026-11-10"),
        ("GET", "/api/v1/clock"): api.get("/clock", market="XNYS"),
        ("POST", "/api/v1/corporate-actions:preview"): api.post("/corporate-actions:preview", SPLIT),
        ("POST", "/api/v1/corporate-actions"): api.post("/corporate-actions", SPLIT),
        ("GET", "/api/v1/corporate-actions"): api.get("/corporate-actions"),
        ("POST", "/api/v1/trade"): api.post_trade(),
        ("POST", "/api/v1/trades:batch"): api.post("/trades:batch", {"trades": [{}]}),
        ("POST", "/api/v1/trades/{trade_id}:reverse"): api.post_reversal(trade["trade_id"]),
        ("POST", "/api/v1/webhooks"): (created := api.post("/webhooks", WEBHOOK)),
        ("GET", "/api/v1/webhooks"): api.get("/webhooks"),
        ("POST", "/api/v1/broker-connections"): api.post("/broker-connections", CONNECTION),
        ("POST", "/api/v1/reconciliation:run"): api.post("/reconciliation:run"),
        ("GET", "/api/v1/reconciliation/issues"): api.get("/reconciliation/issues"),
        ("GET", "/api/v1/broker-connections"): api.get("/broker-connections"),
        ("POST", "/api/v1/broker-connections/{connection_name}:test"): api.post(
            f"/broker-connections/{CONNECTION['name']}:test"
        ),
        ("POST", "/api/v1/webhooks/{webhook_id}:test"): api.post(
            f"{(hook := build_webhook_path(created))}:test"
        ),
        ("GET", "/api/v1/webhooks/{webhook_id}/deliveries"): api.get(f"{hook}/deliveries"),
        ("PUT", "/api/v1/signals/strategies/{strategy_name}"): api.put("/signals/strategies/a", {"qty": "1"}),
        ("GET", "/api/v1/signals/strategies"): api.get("/signals/strategies"),
        ("POST", "/api/v1/signals/hooks"): api.post("/signals/hooks", {"name": "a"}),
        ("GET", "/api/v1/signals/hooks"): api.get("/signals/hooks"),
        ("POST", "/api/v1/signals"): api.post("/signals", SIGNAL),
        ("GET", "/api/v1/signals"): api.get("/signals"),
        ("GET", "/api/v1/signals/{signal_id}"): api.get("/signals/breakout-1"),
        ("POST", "/api/v1/backtests"): (queued := api.post("/backtests", BACKTEST)),
        ("GET", "/api/v1/backtests"): api.get("/backtests"),
        ("GET", "/api/v1/backtests/{backtest_id}"): api.get(f"/backtests/{queued.json()['id']}"),
        ("POST", "/api/v1/strategies"): api.post("/strategies", STRATEGY),
        ("GET", "/api/v1/strategies"): api.get("/strategies"),
        ("POST", "/api/v1/strategies/{strategy_name}:start"): api.post("/strategies/trend:start", {}),
        ("POST", "/api/v1/strategies/{strategy_name}:pause"): api.post("/strategies/trend:pause", {}),
        ("POST", "/api/v1/strategies/{strategy_name}:stop"): api.post("/strategies/trend:stop", {}),
        ("PATCH", "/api/v1/strategies/{strategy_name}"): api.patch(
            "/strategies/trend", {"parameters": {"fast": 12}}
        ),
        ("GET", "/api/v1/strategies/{strategy_name}"): api.get("/strategies/trend"),
        ("POST", "/api/v1/market-data/subscriptions"): api.post(
            "/market-data/subscriptions", {"symbols": ["AAPL"]}
        ),
        ("GET", "/api/v1/market-data/subscriptions"): api.get("/market-data/subscriptions"),
        ("GET", "/api/v1/market-data/health"): api.get("/market-data/health"),
        ("GET", "/api/v1/trading/portfolio"): api.get("/trading/portfolio", portfolio="growth"),
    }
    for name, response in responses.items():
        assert response.is_success, (name, response.text)
        described = list_operations(document)[name]["responses"][str(response.status_code)]["content"][
            "application/json"
        ]
        jsonschema_rs.validate({**described["schema"], "components": document["components"]}, response.json())


def build_webhook_path(created):
    assert created.status_code == 201, created.text
    return f"/webhooks/{created.json()['id']}"


def test_idempotency_and_paging_are_described(document):
    for path in ("/api/v1/trade", "/api/v1/trades:batch", "/api/v1/trades/{trade_id}:reverse"):
        parameters = {
            parameter["name"] for parameter in list_operations(document)["POST", path]["parameters"]
        }
        assert "Idempotency-Key" in parameters, path
    for path in ("/api/v1/trades", "/api/v1/portfolios"):
        body = list_operations(document)["GET", path]
        assert "Link" in body["responses"]["200"]["headers"]
        assert {"limit", "cursor"} <= {parameter["name"] for parameter in body["parameters"]}


def test_operations_have_unique_ids_and_descriptions(document):
    operation_ids = [operation["operationId"] for operation in list_operations(document).values()]
    assert len(operation_ids) == len(set(operation_ids))
    assert all(operation["description"] for operation in list_operations(document).values())


VERBS = {
    "Approve",
    "Bust",
    "Cancel",
    "Check",
    "Claim",
    "Close",
    "Compare",
    "Correct",
    "Create",
    "Delete",
    "Enable",
    "Estimate",
    "Export",
    "Get",
    "Grant",
    "List",
    "Log",
    "Pause",
    "Place",
    "Preview",
    "Publish",
    "Record",
    "Refresh",
    "Reject",
    "Release",
    "Rename",
    "Replace",
    "Report",
    "Request",
    "Resend",
    "Resolve",
    "Reverse",
    "Revoke",
    "Rotate",
    "Send",
    "Set",
    "Start",
    "Stop",
    "Stream",
    "Test",
    "Update",
}


def test_summaries_are_a_verb_and_its_object(document):
    for name, operation in list_operations(document).items():
        verb, *object_words = operation["summary"].split(" ")
        assert verb in VERBS, name
        assert object_words, name
        assert all(word[0].islower() or not word.istitle() for word in object_words), name  # no "Make Key"


def test_tags_are_described_in_reading_order_and_used(document):
    tags = [tag["name"] for tag in document["tags"]]
    used = {tag for operation in list_operations(document).values() for tag in operation["tags"]}
    assert set(tags) == used
    assert tags[:3] == ["Trades", "Orders", "Positions"]
    assert all(tag["description"].endswith(".") for tag in document["tags"])


def test_every_field_has_a_description_and_a_valid_example(document):
    for model, schema in document["components"]["schemas"].items():
        for name, field in schema.get("properties", {}).items():
            assert field.get("description"), f"{model}.{name}"
            assert field.get("examples") or is_nested(field), f"{model}.{name}"
            # To compile all components takes much longer than to validate an example.
            components = {"components": document["components"]} if '"$ref"' in json.dumps(field) else {}
            for example in field.get("examples", ()):
                jsonschema_rs.validate({**field, **components}, example)


def is_nested(field):
    """Whether the field consists of other models, which have separate examples."""
    inner = (field, *field.get("anyOf", ()), field.get("items", {}), field.get("additionalProperties") or {})
    return any("$ref" in schema for schema in inner)


def test_every_answer_has_a_valid_example(document):
    for name, operation in list_operations(document).items():
        for status, response in operation["responses"].items():
            media = response.get("content", {}).get("application/json")
            if status.startswith("2") and media is not None:
                schema = {**media["schema"], "components": document["components"]}
                jsonschema_rs.validate(schema, media["example"])
                assert media["example"], name


def test_every_parameter_is_described(document):
    for name, operation in list_operations(document).items():
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])


def test_models_have_names_without_their_modules(document):
    assert not [name for name in document["components"]["schemas"] if "__" in name]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_documentation_pages_load_nothing_from_other_hosts(service, path):
    page = service.client.get(path)
    assert page.status_code == 200
    for address in re.findall(r"""(?:src|href)=["']([^"']+)""", page.text):
        assert address.startswith("/"), address
        assert service.client.get(address).status_code == 200, address
    assert "/openapi.json" in page.text or "openapi.json" in page.text
    assert service.client.get("/openapi.json").json()["info"]["title"] == "SlackOMS OMS API"


def test_documentation_pages_can_be_disabled(serve):
    with serve(docs_enabled=False) as service:
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert service.client.get(path).status_code == 404
