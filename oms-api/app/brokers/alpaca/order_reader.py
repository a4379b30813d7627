"""Reads orders and executions at Alpaca, page by page."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app.brokers.alpaca.client import AlpacaClient
from app.brokers.alpaca.rules.responses import format_client_order_id, parse_activity, parse_order
from app.brokers.remote.rest_client import RequestRefused
from app.brokers.rules.order_reports import FillReport, OrderReport
from app.timestamps import iso

MAX_ORDERS_PER_PAGE = 500
MAX_FILLS_PER_PAGE = 100
_OVERLAP = timedelta(milliseconds=1)


class OrderReader:
    """Reads the orders and fills of an account."""

    def __init__(self, client: AlpacaClient) -> None:
        self._client = client

    def find(self, order_id: str) -> OrderReport | None:
        """Return the order of our id, or None if Alpaca never received it."""
        return self._find(
            "/v2/orders:by_client_order_id", {"client_order_id": format_client_order_id(order_id)}
        )

    def find_by_broker_id(self, broker_id: str) -> OrderReport | None:
        """Return the order of Alpaca's id, or None."""
        return self._find(f"/v2/orders/{broker_id}", {})

    def list_open(self) -> list[OrderReport]:
        """Return the open orders, oldest first."""
        return list(self._list("open", None))

    def list_since(self, since: datetime) -> list[OrderReport]:
        """Return all orders that were submitted after `since`, oldest first."""
        return list(self._list("all", since))

    def list_fills(self, since: datetime) -> list[FillReport]:
        """Return the fills after `since`, oldest first."""
        return [parse_activity(activity) for activity in self._list_activities(since)]

    def _find(self, path: str, parameters: dict[str, str]) -> OrderReport | None:
        try:
            return parse_order(self._client.get(path, parameters))
        except RequestRefused as refusal:
            if refusal.is_not_found:
                return None
            raise

    def _list(self, status: str, since: datetime | None) -> Iterator[OrderReport]:
        seen: set[str] = set()
        while True:
            parameters = {"status": status, "limit": str(MAX_ORDERS_PER_PAGE), "direction": "asc"}
            if since is not None:
                parameters["after"] = iso(since)
            page = [parse_order(item) for item in self._client.get("/v2/orders", parameters)]
            fresh = [order for order in page if order.broker_id not in seen]
            seen.update(order.broker_id for order in fresh)
            yield from fresh
            if len(page) < MAX_ORDERS_PER_PAGE or not fresh:
                return
            since = page[-1].submitted_at - _OVERLAP  # orders of the same instant may be on the next page

    def _list_activities(self, since: datetime) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            parameters = {"after": iso(since), "direction": "asc", "page_size": str(MAX_FILLS_PER_PAGE)}
            if token is not None:
                parameters["page_token"] = token
            page = self._client.get("/v2/account/activities/FILL", parameters)
            yield from page
            if len(page) < MAX_FILLS_PER_PAGE:
                return
            token = str(page[-1]["id"])
