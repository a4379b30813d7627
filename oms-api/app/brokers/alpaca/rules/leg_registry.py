"""The links between our orders and the legs of orders at Alpaca.

Alpaca chooses the client order ids of legs. A leg is recognized by the order that it was sent with, and by
its kind: a take-profit is a LIMIT order, a stop-loss a stop order.
"""

import re
from collections.abc import Iterable

from app.brokers.alpaca.rules.requests import OrderClass
from app.brokers.rules.linked_orders import STOPS, LegLink
from app.brokers.rules.order_reports import OrderReport
from app.brokers.rules.values import BrokerOrder

WAITING = "held"  # until the entry has filled
_WORKING = "new"
_CHOSEN_BY_ALPACA = re.compile(r"[0-9a-f]{32}")


class LegRegistry:
    """The links of all orders, and Alpaca's ids of the legs. Not thread-safe."""

    def __init__(self) -> None:
        self._legs: dict[str, dict[bool, str]] = {}  # by primary and `is_stop`
        self._ended_legs: dict[str, dict[bool, str]] = {}  # the legs that ended before this process began
        self._links_by_leg: dict[str, LegLink] = {}
        self._broker_ids: dict[str, str] = {}
        self._leg_ids_by_broker_id: dict[str, str] = {}
        self._waiting_broker_ids: set[str] = set()  # of the legs whose entries have not filled
        self._filled_entries: set[str] = set()  # before the ids of their legs were known
        self._held_reports_by_leg: dict[str, OrderReport] = {}

    def add(self, links: Iterable[LegLink]) -> None:
        """Note legs that were, or are about to be, sent."""
        for link in links:
            legs = self._ended_legs if link.has_ended else self._legs
            legs.setdefault(link.primary_id, {})[link.is_stop] = link.leg_id
            self._links_by_leg[link.leg_id] = link

    def remove(self, primary_id: str) -> None:
        """Forget the legs of an order that was not sent."""
        self._filled_entries.discard(primary_id)
        for leg_id in self._legs.pop(primary_id, {}).values():
            del self._links_by_leg[leg_id]

    def move_legs(self, primary_id: str, successor_id: str) -> None:
        """Assign the legs of a replaced order to its successor."""
        moved_links = [
            self._links_by_leg[leg]._replace(primary_id=successor_id) for leg in self.list_legs(primary_id)
        ]
        self.remove(primary_id)
        self.add(moved_links)

    def find_primary(self, leg_id: str) -> str | None:
        """Return the order that a leg was sent with, None for an order that is not a leg."""
        link = self._links_by_leg.get(leg_id)
        return None if link is None else link.primary_id

    def find_broker_id(self, leg_id: str) -> str | None:
        """Return Alpaca's id of a leg, None if it was not reported yet."""
        return self._broker_ids.get(leg_id)

    def list_legs(self, primary_id: str) -> list[str]:
        """Return the legs of an order."""
        return list(self._legs.get(primary_id, {}).values())

    def list_group(self, order_id: str) -> list[str]:
        """Return the orders that were sent together with an order, and the order itself."""
        primary_id = self.find_primary(order_id) or order_id
        return list(dict.fromkeys([primary_id, *self.list_legs(primary_id), order_id]))

    def list_held(self, order_ids: Iterable[str]) -> list[OrderReport]:
        """Return the latest reports of the legs that are held beside other orders of their groups."""
        given_ids = set(order_ids)
        groups = {self.find_primary(order_id) or order_id for order_id in given_ids}
        legs = {leg for primary_id in sorted(groups) for leg in self.list_legs(primary_id)}
        return [
            self._translate_hold(self._held_reports_by_leg[leg])
            for leg in sorted(legs - given_ids)
            if leg in self._held_reports_by_leg
        ]

    def list_unreported(self) -> list[LegLink]:
        """Return the links of the legs whose ids at Alpaca are not known, the oldest first."""
        unreported = [link for link in self._links_by_leg.values() if link.leg_id not in self._broker_ids]
        return sorted(unreported, key=lambda link: link.created_at)

    def remove_unreported_ended_legs(self) -> None:
        """Forget the legs that have ended here and that Alpaca did not report when they were read."""
        for link in self.list_unreported():
            if link.has_ended:
                del self._links_by_leg[link.leg_id]
                del self._ended_legs[link.primary_id][link.is_stop]

    def is_unknown_leg(self, report: OrderReport) -> bool:
        """Return whether a report belongs to a leg whose id here is not known yet."""
        is_chosen = _CHOSEN_BY_ALPACA.fullmatch(report.order_id) is not None
        return bool(report.order_class) and is_chosen and report.broker_id not in self._leg_ids_by_broker_id

    def assign_order_ids(self, report: OrderReport) -> list[OrderReport]:
        """Return a report and the reports of its legs, each under our id."""
        self._record_legs(report)
        named_legs = [self.assign_order_id(leg) for leg in report.legs]
        return [self.assign_order_id(report._replace(legs=())), *named_legs]

    def assign_order_id(self, report: OrderReport) -> OrderReport:
        """Return a report under our id, and its status in our words.

        A leg that is held while its entry has filled works: Alpaca holds the stop of a pair until its price.
        A take-profit that is replaced without a request was replaced by its stop.
        """
        if report.status == "replaced" and report.order_class and self._is_replaced_by_stop(report):
            report = report._replace(status="canceled", replaced_by=None)
        name = self._leg_ids_by_broker_id.get(report.broker_id)
        if name is None:
            return report
        identified_report = report._replace(order_id=name)
        if identified_report.status == WAITING:
            self._held_reports_by_leg[name] = identified_report
            return self._translate_hold(identified_report)
        self._held_reports_by_leg.pop(name, None)
        return identified_report

    def _is_replaced_by_stop(self, report: OrderReport) -> bool:
        successor = self._links_by_leg.get(self._leg_ids_by_broker_id.get(report.replaced_by or "", ""))
        is_stop = successor is not None and successor.is_stop
        return report.replaced_by is None or (is_stop and report.type not in STOPS)

    def _translate_hold(self, report: OrderReport) -> OrderReport:
        return report if report.broker_id in self._waiting_broker_ids else report._replace(status=_WORKING)

    def _record_legs(self, report: OrderReport) -> None:
        """Note Alpaca's ids of the legs, and whether they wait for their entry."""
        primary_id = self._leg_ids_by_broker_id.get(report.broker_id, report.order_id)
        legs, ended = self._legs.get(primary_id, {}), self._ended_legs.get(primary_id, {})
        is_entry = report.order_class in {OrderClass.BRACKET, OrderClass.OTO}
        renamed = {leg.type in STOPS for leg in report.legs if not _CHOSEN_BY_ALPACA.fullmatch(leg.order_id)}
        for leg in report.legs:
            is_stop = leg.type in STOPS
            if _CHOSEN_BY_ALPACA.fullmatch(leg.order_id) is None:
                self._note(leg.order_id, leg.broker_id)  # its replacement has our id
            elif is_stop in ended:
                self._note(ended[is_stop], leg.broker_id)  # a working leg of its kind is its replacement
            elif is_stop not in renamed and is_stop in legs:
                self._note(legs[is_stop], leg.broker_id)
            if is_entry and report.status != "filled" and primary_id not in self._filled_entries:
                self._waiting_broker_ids.add(leg.broker_id)
            else:
                self._waiting_broker_ids.discard(leg.broker_id)
        if report.status == "filled":
            self._waiting_broker_ids -= {self._broker_ids.get(leg_id, "") for leg_id in legs.values()}
            if not self._broker_ids.keys() >= set(legs.values()):
                self._filled_entries.add(primary_id)  # an older report will name the legs

    def _note(self, leg_id: str, broker_id: str) -> None:
        self._leg_ids_by_broker_id[broker_id] = leg_id
        self._broker_ids[leg_id] = broker_id


def build_leg_links(order: BrokerOrder) -> list[LegLink]:
    """Return the links of the orders that are sent with an order."""
    return [LegLink(order.id, leg.id, leg.type in STOPS, leg.accepted_at) for leg in order.linked_orders]
