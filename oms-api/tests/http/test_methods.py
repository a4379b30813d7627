"""A 405 lists every method of the path, and its message names what to use instead."""

import re

import pytest
from fastapi.routing import APIRoute

from app.http.methods import ALTERNATIVES_BY_METHOD, MethodTable
from app.http_server.request_middleware import API_PREFIX
from app.main import ROUTERS

pytestmark = pytest.mark.any_database

TABLE = MethodTable(API_PREFIX, ROUTERS)
WAYS = [
    (method, template) for method, alternatives in ALTERNATIVES_BY_METHOD.items() for template in alternatives
]
ROUTES = {
    (method, API_PREFIX + route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
}
PLAIN = {(method, re.sub(r":(?:id|path)}", "}", path)) for method, path in ROUTES}
ADDRESS = re.compile(r"(GET|POST|PUT|PATCH) (/\S+?)[,.]?(?=\s|$)")


def build_example_path(template: str) -> str:
    return API_PREFIX + re.sub(r"{[^}]*}", "X1", template)


@pytest.mark.parametrize(
    ("method", "path", "allow", "instead"),
    [
        ("DELETE", "/orders/O1", "GET, PATCH", "POST /api/v1/orders/{order_id}/cancel"),
        ("PUT", "/orders/O1", "GET, PATCH", "GET, PATCH"),
        ("DELETE", "/orders", "GET, POST", "POST /api/v1/orders:cancel-all"),
        ("DELETE", "/trades/T1", "GET", "POST /api/v1/trades/{trade_id}:reverse"),
        ("PATCH", "/trades/T1", "GET", "POST /api/v1/trades/{trade_id}:reverse"),
        ("POST", "/trades", "GET", "POST /api/v1/trade,"),
        ("DELETE", "/positions/Growth/BTC/USD", "GET", "POST /api/v1/positions:close"),
        ("DELETE", "/api-keys/000000000000", "GET, PATCH", "`revoked` true"),
        ("PUT", "/users/1", "GET, PATCH", "GET, PATCH"),
        ("PATCH", "/limits", "GET, PUT", "GET, PUT"),
        ("PUT", "/tenants", "GET, POST", "GET, POST"),
        ("PUT", "/orders:preview", "POST", "POST"),
        ("PUT", "/health/ready", "GET, HEAD", "GET, HEAD"),
    ],
)
def test_method_not_allowed_lists_allowed_methods_and_suggests_one(api, method, path, allow, instead):
    response = api.service.client.request(method, f"/api/v1{path}", headers={"X-API-Key": api.key})
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert instead in response.json()["detail"]


def test_page_with_one_route_lists_its_methods(api):
    response = api.service.client.delete("/docs", headers={"X-API-Key": api.key})
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(("method", "template"), WAYS)
def test_every_method_suggestion_names_an_existing_route(method, template):
    path = build_example_path(template)
    assert TABLE.list_methods(path), "no such path"
    assert method not in TABLE.list_methods(path)
    addresses = ADDRESS.findall(TABLE.suggest_other_method(method, path) or "")
    assert addresses
    assert set(addresses) <= PLAIN
