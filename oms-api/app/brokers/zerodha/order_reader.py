"""Read orders and trades at Kite. Kite has no search by tag, so the order book of the day is read."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.brokers.rules.order_reports import FillReport, OrderReport, require_list
from app.brokers.zerodha.client import KiteClient
from app.brokers.zerodha.rules.responses import Json, parse_order, parse_trade
from app.brokers.zerodha.rules.tags import build_tag, parse_tag


class ZerodhaOrderReader:
    """Reads the orders and fills of the day. The id of an order without our tag is Kite's with a prefix."""

    def __init__(self, client: KiteClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}  # our ids of another form, by tag
        self.seen_ids: set[str] = set()  # our ids in the order books that were read

    def create_tag(self, order_id: str) -> str:
        """Return the tag of an order, and keep it if it cannot be parsed."""
        tag = build_tag(order_id)
        if parse_tag(tag) is None:
            self._ids[tag] = order_id
        return tag

    def resolve_order_id(self, json: Json) -> str:
        """Return our id of an order of Kite."""
        tag = str(json.get("tag") or "")
        return parse_tag(tag) or self._ids.get(tag) or f"kite:{json['order_id']}"

    def find(self, order_id: str) -> OrderReport | None:
        """Return the order of our id, or None if it is not in the order book of the day."""
        self.create_tag(order_id)
        return self._find(lambda report: report.order_id == order_id)

    def find_by_broker_id(self, broker_id: str) -> OrderReport | None:
        """Return the order of Kite's id, or None."""
        return self._find(lambda report: report.broker_id == broker_id)

    def list_all(self) -> list[OrderReport]:
        """Return all orders of the day, oldest first."""
        reports = [parse_order(item, self.resolve_order_id) for item in self._read("/orders")]
        self.seen_ids.update(report.order_id for report in reports)
        return sorted(reports, key=lambda report: report.submitted_at)

    def list_open(self) -> list[OrderReport]:
        """Return the open orders, oldest first."""
        return [report for report in self.list_all() if report.is_open]

    def list_since(self, since: datetime) -> list[OrderReport]:
        """Return all orders of the day that were submitted after `since`, oldest first."""
        return [report for report in self.list_all() if report.submitted_at > since]

    def list_fills(self, since: datetime) -> list[FillReport]:
        """Return the fills of the day after `since`, oldest first."""
        fills = [parse_trade(item) for item in self._read("/trades")]
        return sorted((fill for fill in fills if fill.at >= since), key=lambda fill: fill.at)

    def _read(self, path: str) -> list[Any]:
        return require_list(self._client.get(path), path)

    def _find(self, matches: Callable[[OrderReport], bool]) -> OrderReport | None:
        order_reports = [report for report in self.list_all() if matches(report)]
        # A person can repeat a tag in another order. The order that was not rejected counts.
        return max(order_reports, key=lambda report: report.status != "rejected", default=None)
