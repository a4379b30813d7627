"""The state of orders at a broker as far as it was reported. It turns reports into events, each exactly once.

Reports arrive twice, late and out of order: from responses, from the stream, and from a new reading after a
reconnect. An order is accepted once, ends once, and each execution counts once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.brokers.rules.fill_matching import select_missing_fills
from app.brokers.rules.order_reports import FillReport, OrderReport, OrderUpdate
from app.brokers.rules.values import (
    Accepted,
    BrokerEvent,
    Busted,
    Canceled,
    CancelRejected,
    Executed,
    Expired,
    Rejected,
    Replaced,
    UnfilledCanceled,
)
from app.money import ZERO, multiply

_NOT_YET_ACCEPTED = frozenset({"pending_new", "pending_review", "rejected", "held"})
_REFUSALS = {
    "order_cancel_rejected": "The broker did not cancel the order.",
    "order_replace_rejected": "The broker did not replace the order.",
}
_CORRECTIONS = frozenset({"trade_bust", "trade_correct"})
_NEED_ALL_FILLS = frozenset({"canceled", "expired", "rejected"})  # the unfilled quantity depends on them
MAX_READINGS_WITHOUT_FILLS = 5  # then the end of an order is reported without its missing fills
_REJECTED, _ENDED_BY_BROKER = "The broker rejected the order.", "The broker canceled the order."

OrderEnd = Canceled | Expired | Rejected | Replaced


@dataclass(slots=True)
class TrackedOrder:
    """The reported state of an order.

    `report` is the latest state. `assumed_filled` is the filled quantity that a replacement request assumed.
    If `is_replaced_by_cancel`, the adapter replaces the order by a cancel and a new order, and reports the
    end. `held_end` is the end that is reported once all fills are known.
    """

    order_id: str
    broker_id: str | None = None
    is_accepted: bool = False
    is_closed: bool = False
    is_cancel_requested: bool = False
    successor_id: str | None = None
    assumed_filled: Decimal | None = None
    is_replaced_by_cancel: bool = False
    report: OrderReport | None = None
    held_end: OrderReport | None = None
    incomplete_readings: int = 0
    reported_filled: Decimal = ZERO
    executions: dict[str, FillReport] = field(default_factory=dict)
    busted_ids: set[str] = field(default_factory=set)

    @property
    def has_missing_fills(self) -> bool:
        """Whether the broker reported a larger filled quantity than its executions add up to."""
        return self.reported_filled > sum((fill.quantity for fill in self.executions.values()), ZERO)


class OrderTracker:
    """All orders that were reported, by our id. Not thread-safe."""

    def __init__(self) -> None:
        self._orders: dict[str, TrackedOrder] = {}
        self._by_broker_id: dict[str, TrackedOrder] = {}

    def track(self, order_id: str) -> TrackedOrder:
        """Return the state of an order, which begins here if nothing was reported yet."""
        return self._orders.setdefault(order_id, TrackedOrder(order_id))

    def find(self, order_id: str) -> TrackedOrder | None:
        """Return the state of an order by our id, or None."""
        return self._orders.get(order_id)

    def untrack(self, order_id: str) -> None:
        """Remove an order that the broker never received."""
        tracked = self._orders.get(order_id)
        if tracked is not None and tracked.broker_id is None and not tracked.is_closed:
            del self._orders[order_id]

    def link(self, order_id: str, broker_id: str) -> None:
        """Note the broker's id of an order."""
        tracked = self.track(order_id)
        tracked.broker_id = broker_id
        self._by_broker_id[broker_id] = tracked

    def find_by_broker_id(self, broker_id: str) -> TrackedOrder | None:
        """Return the state of an order by the broker's id, or None."""
        return self._by_broker_id.get(broker_id)

    def list_incomplete(self) -> list[TrackedOrder]:
        """Return the orders that are open, or lack executions."""
        return [order for order in self._orders.values() if not order.is_closed or order.has_missing_fills]

    def reject(self, order_id: str, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the rejection of an order, unless it was reported before."""
        tracked = self.track(order_id)
        if tracked.is_closed or tracked.is_accepted:
            return []
        tracked.is_closed = True
        return [Rejected(order_id, reason, at)]

    def apply_report(self, report: OrderReport, reason: str | None = None) -> list[BrokerEvent]:
        """Return the events of a report that are new. Apply its fills first, with `apply_fill`.

        The end of an order waits for its fills: the order that replaces it depends on the unfilled quantity.
        """
        tracked = self._track_report(report)
        tracked.reported_filled = max(tracked.reported_filled, report.filled)
        events = self._accept(tracked, report)
        if tracked.is_closed or report.is_open:
            return events
        if self._must_wait(tracked, report):
            tracked.held_end = report._replace(reason=reason or report.reason)
            return events
        tracked.is_closed, tracked.held_end = True, None
        events += self._replace_predecessor(report, report.changed_at)
        if report.status == "filled" or tracked.is_replaced_by_cancel:
            return events
        return events + self._close(tracked, report, reason or report.reason)

    def apply_fill(self, fill: FillReport) -> list[BrokerEvent]:
        """Return the execution of a fill of the stream, unless the fill is known or its order is unknown."""
        tracked = self._by_broker_id.get(fill.broker_id)
        if tracked is None or not self._select_missing(tracked, [fill]):
            return []
        tracked.executions[fill.execution_id] = fill
        return [*self._accept_filled(tracked, fill), build_execution(tracked.order_id, fill)]

    def apply_listed_fills(self, fills: Sequence[FillReport]) -> list[BrokerEvent]:
        """Return the executions of listed fills, without fills that the stream reported under another id."""
        by_order: dict[str, list[FillReport]] = {}
        for fill in fills:
            by_order.setdefault(fill.broker_id, []).append(fill)
        events: list[BrokerEvent] = []
        for broker_id, fill_reports in by_order.items():
            tracked = self._by_broker_id.get(broker_id)
            if tracked is None:
                continue
            for fill in self._select_missing(tracked, fill_reports):
                tracked.executions[fill.execution_id] = fill
                events += self._accept_filled(tracked, fill)
                events.append(build_execution(tracked.order_id, fill, tracked.reported_filled))
        return events

    @staticmethod
    def _select_missing(tracked: TrackedOrder, fills: Sequence[FillReport]) -> list[FillReport]:
        applied_fills = list(tracked.executions.values())
        return select_missing_fills(applied_fills, fills, tracked.reported_filled, tracked.busted_ids)

    def apply_reading(self, reports: Sequence[OrderReport], fills: Iterable[FillReport]) -> list[BrokerEvent]:
        """Return the new events of orders and fills that were read: acceptances, then fills, then endings."""
        events: list[BrokerEvent] = []
        for report in reports:
            tracked = self._track_report(report)
            tracked.reported_filled = max(tracked.reported_filled, report.filled)
            events += self._accept(tracked, report)
        events += self.apply_listed_fills(list(fills))
        for report in reports:
            tracked = self.track(report.order_id)
            tracked.incomplete_readings += not report.is_open and tracked.has_missing_fills
            events += self.apply_report(report)
        return events

    def apply_update(self, update: OrderUpdate) -> list[BrokerEvent]:
        """Return the events of an event of the stream that are new."""
        tracked = self._track_report(update.order)
        if update.event in _REFUSALS:
            return self._refuse(tracked, update.reason or _REFUSALS[update.event], update.at)
        if update.event in _CORRECTIONS:
            return self._correct(tracked, update)
        events = self._accept(tracked, update.order)
        tracked.reported_filled = max(tracked.reported_filled, update.order.filled)
        if update.fill is not None:
            events += self.apply_fill(update.fill)
        events += self.apply_report(update.order, update.reason)
        return events if tracked.held_end is None else events + self.apply_report(tracked.held_end)

    @staticmethod
    def _must_wait(tracked: TrackedOrder, report: OrderReport) -> bool:
        is_incomplete = report.status in _NEED_ALL_FILLS and tracked.has_missing_fills
        return is_incomplete and tracked.incomplete_readings < MAX_READINGS_WITHOUT_FILLS

    def _track_report(self, report: OrderReport) -> TrackedOrder:
        tracked = self.track(report.order_id)
        self.link(report.order_id, report.broker_id)
        if tracked.report is None or report.changed_at >= tracked.report.changed_at:
            tracked.report = report
        return tracked

    def _accept(self, tracked: TrackedOrder, report: OrderReport) -> list[BrokerEvent]:
        if tracked.is_accepted or report.status in _NOT_YET_ACCEPTED or report.has_ended_while_held:
            return []
        tracked.is_accepted = True
        if report.replaces is not None:
            return []  # Replaced was reported for its predecessor
        return [Accepted(report.order_id, report.submitted_at)]

    def _accept_filled(self, tracked: TrackedOrder, fill: FillReport) -> list[BrokerEvent]:
        """Return the acceptance of an order whose fill was reported before the acceptance."""
        if tracked.report is not None and tracked.report.replaces is not None:
            return self._replace_predecessor(tracked.report, fill.at)
        if tracked.is_accepted:
            return []
        tracked.is_accepted = True
        return [Accepted(tracked.order_id, fill.at)]

    def _replace_predecessor(self, report: OrderReport, at: datetime) -> list[BrokerEvent]:
        """Return the replacement that a fill or the end of a successor proves, unless it was reported.

        It must be applied first, because the OMS has no order of the successor before it.
        """
        previous = self._by_broker_id.get(report.replaces or "")
        if previous is None or previous.is_closed or report.status == "rejected":
            return []
        previous.is_closed, previous.held_end = True, None
        return [Replaced(previous.order_id, previous.successor_id or report.order_id, at)]

    def _close(self, tracked: TrackedOrder, report: OrderReport, reason: str | None) -> list[BrokerEvent]:
        order_id, at = report.order_id, report.changed_at
        match report.status:
            case "expired":
                return [Expired(order_id, at)]
            case "replaced":
                return [Replaced(order_id, tracked.successor_id or self._find_successor(report), at)]
            case "rejected" if report.replaces is not None:
                return self._refuse_replacement(report, reason or _REJECTED)
            case "rejected" if not report.filled:  # else the unfilled quantity lapses
                return [Rejected(order_id, reason or _REJECTED, at)]
            case _ if tracked.is_cancel_requested:
                return [Canceled(order_id, at)]
            case _:
                return [UnfilledCanceled(order_id, reason or _ENDED_BY_BROKER, at)]

    def _find_successor(self, report: OrderReport) -> str:
        successor = self._by_broker_id.get(report.replaced_by or "")
        return report.replaced_by or "" if successor is None else successor.order_id

    def _refuse_replacement(self, report: OrderReport, reason: str) -> list[BrokerEvent]:
        previous = self._by_broker_id.get(report.replaces or "")
        return [] if previous is None else self._refuse(previous, reason, report.changed_at)

    def _refuse(self, tracked: TrackedOrder, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the refusal of the pending request, if there is one."""
        is_pending = tracked.is_cancel_requested or tracked.successor_id is not None
        tracked.is_cancel_requested, tracked.successor_id, tracked.assumed_filled = False, None, None
        return [CancelRejected(tracked.order_id, reason, at)] if is_pending and not tracked.is_closed else []

    def _correct(self, tracked: TrackedOrder, update: OrderUpdate) -> list[BrokerEvent]:
        """Return the bust of an execution, and for a correction the execution that replaces it."""
        tracked.reported_filled = update.order.filled
        execution_id = update.previous_execution_id or (update.fill.execution_id if update.fill else "")
        if tracked.executions.pop(execution_id, None) is None:
            return []
        tracked.busted_ids.add(execution_id)
        reason = update.reason or f"The broker reported {update.event}."
        events: list[BrokerEvent] = [Busted(tracked.order_id, execution_id, reason, update.at)]
        if update.event == "trade_correct" and update.fill is not None:
            new_id = update.fill.execution_id
            renamed = f"{new_id}:{update.at:%Y%m%d%H%M%S%f}" if new_id == execution_id else new_id
            corrected = update.fill._replace(execution_id=renamed)
            tracked.executions[renamed] = corrected
            events.append(build_execution(tracked.order_id, corrected))
        return events


def build_execution(order_id: str, fill: FillReport, order_filled: Decimal | None = None) -> Executed:
    """Return the execution of a fill. `order_filled` is given where the fill was listed."""
    value = multiply(fill.quantity, fill.price)
    return Executed(order_id, fill.execution_id, fill.quantity, fill.price, value, fill.at, order_filled)


def build_end(report: OrderReport, successor_id: str | None) -> OrderEnd | None:
    """Return the event that ended an order without filling it, or None."""
    order_id, at = report.order_id, report.changed_at
    match report.status:
        case "canceled":
            return Canceled(order_id, at)
        case "expired":
            return Expired(order_id, at)
        case "rejected" if report.filled:
            return Canceled(order_id, at)
        case "rejected":
            return Rejected(order_id, report.reason or _REJECTED, at)
        case "replaced":
            return Replaced(order_id, successor_id or report.replaced_by or "", at)
        case _:
            return None
