"""Read orders and executions at Alpaca, page by page."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from app.brokers.alpaca.client import AlpacaClient
from app.brokers.alpaca.rules.responses import format_client_order_id, parse_activity, parse_order
from app.brokers.alpaca.shared_leg_registry import SharedLegRegistry
from app.brokers.remote.rest_client import RequestRefused
from app.brokers.rules.order_reports import FillReport, MalformedResponse, OrderReport, require_list
from app.timestamps import format_timestamp

MAX_ORDERS_PER_PAGE = 500
MAX_FILLS_PER_PAGE = 100
MAX_SINGLE_READS = 20  # of orders with legs, in a reading of the open orders
_OVERLAP = timedelta(milliseconds=1)
_CLOCK_SKEW = timedelta(minutes=5)
_LOG = logging.getLogger(__name__)


class AlpacaOrderReader:
    """Reads the orders and fills of an account."""

    def __init__(self, client: AlpacaClient, leg_registry: SharedLegRegistry) -> None:
        self._client, self._leg_registry = client, leg_registry

    def find(self, order_id: str) -> OrderReport | None:
        """Return the order of our id, or None if Alpaca never received it."""
        primary_id = self._leg_registry.find_primary(order_id)
        if primary_id is None:
            return self._find_primary(order_id)
        broker_id = self._leg_registry.find_broker_id(order_id)
        if broker_id is None and self._find_primary(primary_id) is not None:
            broker_id = self._leg_registry.find_broker_id(order_id)
        return self._find_by_client_id(order_id) if broker_id is None else self.find_by_broker_id(broker_id)

    def find_by_broker_id(self, broker_id: str) -> OrderReport | None:
        """Return the order of Alpaca's id, or None."""
        return self._find(
            f"/v2/orders/{broker_id}", {"nested": "true"}, lambda report: report.broker_id == broker_id
        )

    def list_open(self) -> list[OrderReport]:
        """Return the open orders, oldest first, and the legs that Alpaca holds, which its list leaves out."""
        self._read_legs()
        reports = self._leg_registry.assign_order_ids(list(self._iterate_orders({"status": "open"}, None)))
        return reports + self._leg_registry.list_held(reports)

    def list_since(self, since: datetime) -> list[OrderReport]:
        """Return all orders that were submitted after `since`, oldest first."""
        return self._leg_registry.assign_order_ids(
            list(self._iterate_orders({"status": "all", "nested": "true"}, since))
        )

    def list_fills(self, since: datetime) -> list[FillReport]:
        """Return the fills after `since`, oldest first."""
        return [parse_activity(activity) for activity in self._iterate_activities(since)]

    def _parse_page(self, page: list[Any]) -> list[OrderReport]:
        """Parse the orders of a page, without orders that this service cannot express.

        They are orders of other programs, for example of several legs of options. An order of ours that is
        not in a list is read by its id.
        """
        reports: list[OrderReport] = []
        for item in page:
            try:
                reports.append(parse_order(item))
            except MalformedResponse as error:
                _LOG.warning("an order at Alpaca was left out: %s", error)
        return reports

    def _read_legs(self) -> None:
        """Read Alpaca's ids of the legs that an earlier process sent. Many are read page by page."""
        links = self._leg_registry.list_unreported()
        primaries = sorted({link.primary_id for link in links})
        if len(primaries) > MAX_SINGLE_READS:
            self.list_since(links[0].created_at - _CLOCK_SKEW)
        else:
            for primary_id in primaries:
                self._find_primary(primary_id)
        self._leg_registry.remove_unreported_ended_legs()

    def _find_primary(self, order_id: str) -> OrderReport | None:
        """Return an order, and note its legs. Alpaca reports them with the order of its own id only."""
        report = self._find_by_client_id(order_id)
        unreported = [link for link in self._leg_registry.list_unreported() if link.primary_id == order_id]
        if report is None or not unreported:
            return report
        return self.find_by_broker_id(report.broker_id)

    def _find_by_client_id(self, order_id: str) -> OrderReport | None:
        return self._find(
            "/v2/orders:by_client_order_id",
            {"client_order_id": format_client_order_id(order_id)},
            lambda report: report.order_id == order_id,
        )

    def _find(
        self, path: str, parameters: dict[str, str], is_wanted: Callable[[OrderReport], bool]
    ) -> OrderReport | None:
        """Return an order, or None if Alpaca does not know it.

        A 404 without Alpaca's code, of a proxy for example, proves nothing and is raised.
        """
        try:
            report = parse_order(self._client.get(path, parameters))
        except RequestRefused as error:
            if error.is_not_found and error.code is not None:
                return None
            raise
        if not is_wanted(report):
            raise MalformedResponse("another order")
        return self._leg_registry.assign_order_ids([report])[0]

    def _iterate_orders(self, selection: dict[str, str], since: datetime | None) -> Iterator[OrderReport]:
        listed_ids: set[str] = set()
        while True:
            parameters = selection | {"limit": str(MAX_ORDERS_PER_PAGE), "direction": "asc"}
            if since is not None:
                parameters["after"] = format_timestamp(since)
            page = require_list(self._client.get("/v2/orders", parameters), "the orders")
            reports = self._parse_page(page)
            fresh = [order for order in reports if order.broker_id not in listed_ids]
            listed_ids.update(order.broker_id for order in fresh)
            yield from fresh
            if len(page) < MAX_ORDERS_PER_PAGE or not fresh:
                return
            since = reports[-1].submitted_at - _OVERLAP  # orders of the same instant may be on the next page

    def _iterate_activities(self, since: datetime) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            parameters = {
                "after": format_timestamp(since),
                "direction": "asc",
                "page_size": str(MAX_FILLS_PER_PAGE),
            }
            if token is not None:
                parameters["page_token"] = token
            page = require_list(self._client.get("/v2/account/activities/FILL", parameters), "the activities")
            yield from page
            if len(page) < MAX_FILLS_PER_PAGE:
                return
            token = str(page[-1]["id"])
