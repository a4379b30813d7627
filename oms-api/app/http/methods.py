"""The methods of each path, and suggestions for methods that a path does not support."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from app.http.app_state import Component

_DELETE_ALTERNATIVES: Mapping[str, str] = {
    "/orders": "Cancel an order with POST {api}/orders/{{order_id}}/cancel, or POST {api}/orders:cancel-all.",
    "/orders/{order_id}": "Cancel an order with POST {api}/orders/{{order_id}}/cancel.",
    "/trade": "Reverse a trade with POST {api}/trades/{{trade_id}}:reverse.",
    "/trades": "Reverse a trade with POST {api}/trades/{{trade_id}}:reverse.",
    "/trades/{trade_id}": "Reverse a trade with POST {api}/trades/{{trade_id}}:reverse.",
    "/positions": "Close positions with POST {api}/positions:close.",
    "/positions/{portfolio}/{symbol:position_symbol}": "Close a position with POST {api}/positions:close.",
    "/portfolio/{name}": "A portfolio is kept for good. Rename it with PATCH {api}/portfolios/{{name}}.",
    "/portfolios/{name}": "A portfolio is kept for good. Rename it with PATCH {api}/portfolios/{{name}}.",
    "/limits": "Remove a limit with PUT {api}/limits and `value` null.",
    "/kill-switch": "Release a kill switch with POST {api}/kill-switch and `state` ACTIVE.",
    "/latches": "Release a latch with POST {api}/latches/{{latch_id}}/release.",
    "/tenants/{slug}": "Suspend a tenant with PATCH {api}/tenants/{{slug}} and `status` suspended.",
    "/tenants/{slug}/workspaces": "Release a workspace with POST {api}/tenants/{{slug}}/workspaces:release.",
    "/users/{user_id}": "Disable a user with PATCH {api}/users/{{user_id}} and `status` disabled.",
    "/roles/{user_id}": "Change a role with PATCH {api}/roles/{{user_id}}.",
    "/api-keys/{key_id:id}": "Revoke a key with PATCH {api}/api-keys/{{key_id}} and `revoked` true.",
    "/auth/me": "Log out with POST {api}/auth/logout.",
}
_UPDATE_ALTERNATIVES: Mapping[str, str] = {
    "/orders": "Replace an order with PATCH {api}/orders/{{order_id}}.",
    "/trades/{trade_id}": "A trade is never changed. Reverse it with POST {api}/trades/{{trade_id}}:reverse.",
    "/portfolio/{name}": "Rename a portfolio with PATCH {api}/portfolios/{{name}}.",
}
_CREATE_ALTERNATIVES: Mapping[str, str] = {
    "/orders/{order_id}": (
        "Replace an order with PATCH {api}/orders/{{order_id}}, or cancel it with "
        "POST {api}/orders/{{order_id}}/cancel."
    ),
    "/trades": "Report a trade with POST {api}/trade, or several with POST {api}/trades:batch.",
    "/trades/{trade_id}": "Reverse a trade with POST {api}/trades/{{trade_id}}:reverse.",
    "/positions": "Close positions with POST {api}/positions:close.",
    "/portfolio/{name}": "Create a portfolio with POST {api}/portfolios.",
}
_READ_ALTERNATIVES: Mapping[str, str] = {
    "/trade": "List trades with GET {api}/trades.",
    "/portfolios/{name}": "Get a portfolio with GET {api}/portfolio/{{name}}.",
    "/roles/{user_id}": "Get a user with GET {api}/users/{{user_id}}.",
    "/auth/login": "See who you are with GET {api}/auth/me.",
}
ALTERNATIVES_BY_METHOD: Mapping[str, Mapping[str, str]] = {
    "DELETE": _DELETE_ALTERNATIVES,
    "PUT": _UPDATE_ALTERNATIVES,
    "PATCH": _UPDATE_ALTERNATIVES,
    "POST": _CREATE_ALTERNATIVES,
    "GET": _READ_ALTERNATIVES,
}


class _Route(NamedTuple):
    pattern: Any  # matches the whole path
    template: str  # without the prefix
    methods: frozenset[str]


class MethodTable:
    """The methods of all paths. The framework's 405 response only lists those of one route."""

    def __init__(self, prefix: str, routers: Iterable[APIRouter]) -> None:
        self._prefix = prefix
        self._routes = [
            _Route(compile_path(prefix + route.path)[0], route.path, frozenset(route.methods or ()))
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]

    def list_methods(self, path: str) -> list[str]:
        """Return the methods of a path in alphabetical order."""
        return sorted({method for route in self._find_routes(path) for method in route.methods})

    def suggest_other_method(self, method: str, path: str) -> str | None:
        """Return a sentence that names the request to use instead of `method`, or None."""
        alternatives = ALTERNATIVES_BY_METHOD.get(method, {})
        for route in self._find_routes(path):
            if route.template in alternatives:
                return alternatives[route.template].format(api=self._prefix)
        return None

    def _find_routes(self, path: str) -> Iterator[_Route]:
        return (route for route in self._routes if route.pattern.match(path))


METHOD_TABLE = Component[MethodTable]("methods")
