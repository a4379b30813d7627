"""Ambiguous requests are refused, and the fast route answers like the framework's."""

import asyncio
import json

import pytest

from app.http_server.protocol import MAX_HEAD_BYTES
from tests.factories import build_trade_body
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process

pytestmark = pytest.mark.any_database

TRADE = json.dumps(build_trade_body()).encode()


@pytest.mark.parametrize("path", ["/trade", "/trades:batch"])
@pytest.mark.parametrize("name", ["X-API-Key", "Idempotency-Key", "Content-Type"])
def test_repeated_security_header_is_rejected(api, path, name):
    headers = [("X-API-Key", api.key), ("Content-Type", "application/json"), ("Idempotency-Key", "one")]
    twice = [*headers, (name, dict(headers)[name])]
    response = api.service.client.post(f"/api/v1{path}", content=TRADE, headers=twice)
    assert response.status_code == 422
    assert response.json()["detail"] == f"The header {name.lower()} occurs twice; send it once."
    assert api.list_trades() == []


def test_repeated_query_parameter_is_rejected(api):
    response = api.get("/trades?limit=1&limit=2")
    assert (response.status_code, response.json()["detail"]) == (
        422,
        "A query parameter occurs twice; send it once.",
    )


@pytest.mark.parametrize("limit", ["1_0", "+5", " 5", "5.0", "\u0665", "1e2", "-1", ""])
def test_query_number_must_contain_only_digits(api, limit):
    for name in ("limit", "skip"):
        response = api.get("/trades", **{name: limit})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == name


def test_unknown_query_parameter_of_a_portfolio_is_rejected(api):
    api.record_trade()
    response = api.get("/portfolio/Growth", as_off="1")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "as_off")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-16", "application/json; charset=latin-1", "text/json"]
)
def test_other_charset_is_rejected(api, kind):
    assert api.post("/trade", TRADE, {"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", 'APPLICATION/JSON; charset="UTF-8"'])
def test_utf_8_charset_is_accepted(api, kind):
    assert api.post("/trade", TRADE, {"Content-Type": kind}).status_code == 201


def test_compressed_body_is_rejected_but_not_an_empty_one(api):
    assert api.post("/trade", TRADE, {"Content-Encoding": "gzip"}).status_code == 415
    assert api.get("/trades", {"Content-Encoding": "gzip"}).status_code == 200


def test_error_names_at_most_a_hundred_invalid_fields(api):
    response = api.post("/trade", {f"field{number}": 1 for number in range(5000)})
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 100


def test_error_of_two_fields_is_shown_at_one_of_them(api):
    response = api.post("/trade", build_trade_body(gmv="1", price="1"))
    assert response.json()["errors"] == [
        {"field": "gmv", "message": "Send either `gmv` or `price`.", "code": "priced_once"}
    ]
    assert api.post("/trade", []).json()["errors"][0]["message"] == "Must be a JSON object."


@pytest.mark.parametrize(
    "name", ["Growth", "growth", "GROWTH ", "nothing", "a\u202eb", "x" * 500, "Café", "%00"]
)
def test_fast_portfolio_route_answers_like_the_framework_route(api, name):
    for portfolio in ("Growth", "Cafe\u0301"):
        api.buy("3", "33.33", portfolio_name=portfolio)
        api.sell("1", "30", portfolio_name=portfolio)
    quick, other = api.get(f"/portfolio/{name}"), api.get(f"/portfolio/{name}?as_of=2")
    assert quick.status_code == other.status_code
    same = ("type", "detail", "errors", "positions", "cash", "realized_pnl", "total_trades", "last_sequence")
    assert [quick.json().get(part) for part in same] == [other.json().get(part) for part in same]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_probes_may_use_head(service, path):
    response = service.client.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_production_sends_strict_transport_security(serve):
    with serve(environment="production") as service:
        assert service.client.get("/health").headers["strict-transport-security"] == "max-age=31536000"
    with serve(environment="development") as service:
        assert "strict-transport-security" not in service.client.get("/health").headers


async def _build_head(port: int, size: int, piece: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        for _ in range(size // piece):
            writer.write(b"a" * piece)
            await writer.drain()
        writer.write(b"\r\n\r\n")
        return await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
    except ConnectionError:
        return b"closed"
    finally:
        writer.close()


@pytest.mark.any_database
def test_endless_head_is_disconnected_but_a_long_one_is_not(database_url):
    with run_process(DATABASE_URL=database_url) as process:
        port = int(process.url.rpartition(":")[2])
        assert b"200" in asyncio.run(_build_head(port, MAX_HEAD_BYTES // 2, 1024))
        refused = asyncio.run(_build_head(port, 40 * MAX_HEAD_BYTES, 8192))
        assert refused == b"closed" or b"431" in refused


WRITTEN_IN_ANY_CASE = [
    ("POST", "/kill-switch", {"scope": "TENANT", "state": "active", "reason": "Go", "exits": "Keep"}),
    ("PUT", "/limits", {"scope": "Tenant", "name": None, "code": "max_order_value", "value": "5"}),
    ("PUT", "/instruments/COIN", {"tick_size": "1", "lot_size": "1", "asset_class": "Crypto"}),
    ("POST", "/portfolios", {"name": "Rupees", "base_currency": "inr"}),
    ("POST", "/users", {"person": "slack:T1:UCASE", "name": "Bob", "role": "Viewer"}),
    ("POST", "/api-keys", {"name": "case", "scopes": ["READ"]}),
    ("PATCH", "/tenants/{slug}", {"slack_default_role": "Viewer", "base_currency": "eur"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITTEN_IN_ANY_CASE)
def test_enumerated_values_of_a_body_are_case_insensitive(api, method, path, body):
    send = {"POST": api.post, "PUT": api.put, "PATCH": api.patch}[method]
    response = send(path.format(slug=f"desk-{api.tenant_id}"), body)
    assert response.status_code in {200, 201}, response.text
