"""The reported orders of an account at a broker, the events that follow, and awaited reports."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

from app.brokers.remote.event_log import EventLog
from app.brokers.rules.order_reports import FillReport, OrderReport, OrderUpdate
from app.brokers.rules.order_tracking import OrderTracker, TrackedOrder
from app.brokers.rules.values import BrokerEvent
from app.clock import Now, monotonic_seconds

REPORT_TIMEOUT_SECONDS = 5.0
FILL_TIMEOUT_SECONDS = 2.0
SYNCHRONIZATION_PERIOD_SECONDS = 60.0
MAX_READS_OF_UNKNOWN_ORDER = 5  # about an order that the broker does not know
_MAX_SINGLE_READS = 10
_OVERLAP = timedelta(minutes=1)
_CLOCK_SKEW = timedelta(minutes=1)  # by which a broker's clock may be ahead


class BrokerOrderReader(Protocol):
    """Reads the orders and fills of an account. Raises BrokerUnavailable."""

    def find(self, order_id: str) -> OrderReport | None:
        """Return the order of our id, or None if the broker never received it."""

    def find_by_broker_id(self, broker_id: str) -> OrderReport | None:
        """Return the order of the broker's id, or None."""

    def list_open(self) -> list[OrderReport]:
        """Return the open orders, oldest first."""

    def list_since(self, since: datetime) -> list[OrderReport]:
        """Return all orders that were submitted after `since`, oldest first."""

    def list_fills(self, since: datetime) -> list[FillReport]:
        """Return the fills after `since`, oldest first."""


class FilledOrder(NamedTuple):
    """Our id of an order, and its filled quantity at the broker."""

    order_id: str
    filled: Decimal


class AccountState:
    """Applies reports from any source, each once. Thread-safe."""

    def __init__(
        self,
        reader: BrokerOrderReader,
        log: EventLog,
        now: Now,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self.log = log
        self.last_event_at: datetime | None = None
        self.missed_events = 0
        self._reader, self._now, self._clock = reader, now, clock
        self._tracker = OrderTracker()
        self._lock = threading.RLock()
        self._started = now()
        self._fills_since = self._started - timedelta(days=1)
        self._awaited: dict[str, float] = {}
        self._reads_of_unknown_orders: dict[str, int] = {}
        self._read_at = clock()

    # Requests

    def track(self, order_id: str) -> TrackedOrder:
        """Return the state of an order."""
        with self._lock:
            return self._tracker.track(order_id)

    def await_report(self, order_id: str, seconds: float | None = None) -> None:
        """Expect an event of an order. If none arrives in time, the order is read."""
        with self._lock:
            self._awaited[order_id] = self._clock() + (REPORT_TIMEOUT_SECONDS if seconds is None else seconds)

    def untrack(self, order_id: str) -> None:
        """Stop expecting events of an order, because nothing was sent."""
        with self._lock:
            self._awaited.pop(order_id, None)
            self._tracker.untrack(order_id)

    def record(self, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
        """Add events to the log, and return them."""
        with self._lock:
            return self.log.append(events)

    def reject(self, order_id: str, reason: str, at: datetime) -> Sequence[BrokerEvent]:
        """Record the rejection of an order, once."""
        with self._lock:
            self._awaited.pop(order_id, None)
            return self.log.append(self._tracker.reject(order_id, reason, at))

    def apply_report(self, report: OrderReport) -> Sequence[BrokerEvent]:
        """Record the new events of a report."""
        return self._apply([report], ())

    def link(self, order_id: str, broker_id: str) -> None:
        """Note the broker's id of an order that it accepted for processing."""
        with self._lock:
            self._tracker.link(order_id, broker_id)

    # The stream

    def receive_update(self, update: OrderUpdate) -> TrackedOrder | None:
        """Record the new events of an event of the stream.

        Return the successor of a replacement that must be canceled: the replaced order filled more than the
        request took into account, so that the successor is too large.
        """
        update = update._replace(order=self._limit_time(update.order))
        with self._lock:
            self.last_event_at = self._now()
            self._awaited.pop(update.order.order_id, None)
            self.log.append(self._tracker.apply_update(update))
            tracked = self._tracker.track(update.order.order_id)
            if tracked.has_missing_fills:
                self.await_report(tracked.order_id, FILL_TIMEOUT_SECONDS)
            return self._find_excess(tracked, update.order)

    def receive_report(self, report: OrderReport) -> None:
        """Record the new events of an order that the stream reported.

        Its fills are read if some are missing.
        """
        with self._lock:
            self.last_event_at = self._now()
            self._awaited.pop(report.order_id, None)
        self._apply([report], self._read_fills_of(report))
        with self._lock:
            if self._tracker.track(report.order_id).has_missing_fills:
                self.await_report(report.order_id, FILL_TIMEOUT_SECONDS)

    def synchronize(self) -> None:
        """Read the orders that are or were open, and the fills since the last one."""
        since = self._fills_since
        reports = self._reader.list_open()
        read = {report.order_id for report in reports}
        with self._lock:
            missing = [
                tracked_order.order_id
                for tracked_order in self._tracker.list_incomplete()
                if tracked_order.order_id not in read
            ]
        reports += self._read_missing(missing)
        self._apply(reports, self._reader.list_fills(since))
        with self._lock:
            self._read_at = self._clock()
            for tracked in self._tracker.list_incomplete():
                if tracked.has_missing_fills:  # a fill before `since`: read the fills of this order
                    self.await_report(tracked.order_id, FILL_TIMEOUT_SECONDS)

    def check_silence(self) -> bool:
        """Read the orders whose reports are overdue. Return whether the stream missed an event."""
        now = self._clock()
        with self._lock:
            overdue = [order_id for order_id, at in self._awaited.items() if at <= now]
            is_due = now - self._read_at >= SYNCHRONIZATION_PERIOD_SECONDS
            before = self.log.length
        for order_id in overdue:
            self._read_overdue(order_id)
        if is_due:
            self.synchronize()
        has_missed = self.log.length > before
        self.missed_events += has_missed
        return has_missed

    # Reading

    def find_current(self, order_id: str) -> TrackedOrder | None:
        """Return the state of an order if it is complete and nothing is expected, None otherwise."""
        with self._lock:
            tracked = self._tracker.find(order_id)
            if tracked is None or tracked.report is None or tracked.has_missing_fills:
                return None
            return None if order_id in self._awaited else tracked

    def read_order(self, order_id: str) -> OrderReport | None:
        """Read an order and record its new events, or return None if the broker does not know it."""
        report = self._reader.find(order_id)
        if report is not None:
            self._apply([report], self._read_fills_of(report))
            self._await_held_end(report.order_id)
        return report

    def find_filled_orders(self, broker_ids: Collection[str], since: datetime) -> dict[str, FilledOrder]:
        """Return our id and the filled quantity of orders by the broker's id, without those it does not know.

        Many orders that are not tracked are read page by page, because each request uses the rate limit.
        """
        with self._lock:
            tracked = {broker_id: self._tracker.find_by_broker_id(broker_id) for broker_id in broker_ids}
        filled_orders = {
            name: FilledOrder(tracked_order.order_id, tracked_order.reported_filled)
            for name, tracked_order in tracked.items()
            if tracked_order is not None
        }
        missing = [name for name in broker_ids if name not in filled_orders]
        for report in self._read_by_broker_id(missing, since):
            filled_orders[report.broker_id] = FilledOrder(report.order_id, report.filled)
        return filled_orders

    def _await_held_end(self, order_id: str) -> None:
        with self._lock:
            if self._tracker.track(order_id).final_report is not None:
                self.await_report(order_id, FILL_TIMEOUT_SECONDS)

    def _read_by_broker_id(self, broker_ids: Sequence[str], since: datetime) -> list[OrderReport]:
        if len(broker_ids) > _MAX_SINGLE_READS:
            ids = set(broker_ids)
            return [report for report in self._reader.list_since(since) if report.broker_id in ids]
        found_or_not = [self._reader.find_by_broker_id(name) for name in broker_ids]
        return [report for report in found_or_not if report is not None]

    def _read_missing(self, order_ids: Sequence[str]) -> list[OrderReport]:
        if len(order_ids) > _MAX_SINGLE_READS:
            ids = set(order_ids)
            order_reports = self._reader.list_since(self._started - _OVERLAP)
            return [report for report in order_reports if report.order_id in ids]
        found_or_not = [self._reader.find(order_id) for order_id in order_ids]
        return [report for report in found_or_not if report is not None]

    def _read_fills_of(self, report: OrderReport) -> Sequence[FillReport]:
        with self._lock:
            tracked = self._tracker.track(report.order_id)
            tracked.reported_filled = max(tracked.reported_filled, report.filled)
            if not tracked.has_missing_fills:
                return ()
        return self._reader.list_fills(report.submitted_at - _OVERLAP)

    def _read_overdue(self, order_id: str) -> None:
        with self._lock:
            self._awaited.pop(order_id, None)
        try:
            report = self.read_order(order_id)
        except Exception:
            self.await_report(order_id)  # it was not read: ask again
            raise
        if report is not None:
            return
        with self._lock:
            read_count = self._reads_of_unknown_orders[order_id] = (
                self._reads_of_unknown_orders.get(order_id, 0) + 1
            )
            if read_count < MAX_READS_OF_UNKNOWN_ORDER:
                self.await_report(order_id)
            else:
                self._tracker.untrack(order_id)

    def _apply(self, reports: Sequence[OrderReport], fills: Iterable[FillReport]) -> Sequence[BrokerEvent]:
        fills, reports = list(fills), [self._limit_time(report) for report in reports]
        with self._lock:
            if fills:
                last = min(fills[-1].at, self._now())
                self._fills_since = max(self._fills_since, last - _OVERLAP)
            return self.log.append(self._tracker.apply_reading(reports, fills))

    def _limit_time(self, report: OrderReport) -> OrderReport:
        """Return a report that is not later than now: a wrong time would hide all later ones."""
        latest = self._now() + _CLOCK_SKEW
        return report if report.changed_at <= latest else report._replace(changed_at=latest)

    def _find_excess(self, tracked: TrackedOrder, report: OrderReport) -> TrackedOrder | None:
        assumed = tracked.assumed_filled
        if report.status != "replaced" or assumed is None or tracked.reported_filled <= assumed:
            return None
        tracked.assumed_filled = None  # the successor is canceled once
        return self._tracker.track(tracked.successor_id or "")
