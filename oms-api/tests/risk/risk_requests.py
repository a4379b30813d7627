"""REST requests of a risk manager."""

from typing import Any

from tests.support.service import ApiClient


def put_limit(
    api: ApiClient, code: str, value: str | None, scope: str = "tenant", name: str | None = None, **more: Any
) -> Any:
    """PUT a limit."""
    return api.put("/limits", {"scope": scope, "name": name, "code": code, "value": value, **more})


def set_switch(
    api: ApiClient,
    state: str,
    scope: str = "tenant",
    name: str | None = None,
    key: str | None = None,
    **more: Any,
) -> Any:
    """POST a turn of a kill switch."""
    headers = {"Idempotency-Key": key} if key else None
    return api.post("/kill-switch", {"scope": scope, "name": name, "state": state, **more}, headers)


def set_quote(api: ApiClient, symbol: str = "AAPL", **changes: Any) -> None:
    """Set the quote of a symbol: bid 99 and ask 101 unless changed."""
    response = api.put(f"/quotes/{symbol}", {"bid": "99", "ask": "101", "last": "100"} | changes)
    assert response.status_code == 200, response.text


def post_order(api: ApiClient, **changes: Any) -> Any:
    """POST an order: a BUY of 10 AAPL at the market unless changed."""
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    ticket |= changes
    api.open_portfolio(ticket["portfolio_name"])
    return api.post("/orders", ticket)


def list_events(api: ApiClient, kind: str, **params: Any) -> list[dict[str, Any]]:
    """Return the newest events of a type."""
    response = api.get("/events", type=kind, **params)
    assert response.status_code == 200, response.text
    body: list[dict[str, Any]] = response.json()
    return body
