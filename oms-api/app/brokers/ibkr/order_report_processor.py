"""The reported orders of an account at IBKR, the events that follow, and awaited reports."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from app.brokers.ibkr.messages import IbkrReport
from app.brokers.ibkr.rules.messages import MessageEffect, find_effect
from app.brokers.ibkr.rules.order_tracking import IbkrOrderTracker
from app.brokers.ibkr.rules.reports import ChargeReport, IbkrFillReport, IbkrOrderReport, StatusReport
from app.brokers.ibkr.rules.tracked_order import IbkrTrackedOrder, ReplacementChain
from app.brokers.remote.event_log import EventLog
from app.brokers.rules.values import BrokerEvent, Charged, Executed
from app.clock import Now

MAX_ABSENCE = timedelta(seconds=90)  # an order that TWS does not show for longer has ended
MIN_READINGS = 3  # before an order counts as ended; after its restart TWS shows orders late


class OrderReportProcessor:
    """Applies reports from any source, each once. Thread-safe."""

    def __init__(self, client_id: int, log: EventLog, now: Now) -> None:
        self.log = log
        self.tracker = IbkrOrderTracker(client_id)
        self.last_event_at: datetime | None = None
        self._paced_venue_ids: set[int] = set()  # orders whose cancel TWS may have dropped
        self._now = now
        self._changed = threading.Condition(threading.RLock())
        self.losses = 0  # how often the connection was lost
        self.on_pending_report: Callable[[], None] = lambda: None  # called in the thread of the connection
        self._is_reading_requested = False
        self._absences: dict[str, tuple[datetime, int]] = {}  # since when, and how often read since

    # Reports

    def receive(self, report: IbkrReport) -> None:
        """Record the new events of a report."""
        at = self._now()
        with self._changed:
            self.last_event_at = at
            match report:
                case IbkrOrderReport():
                    events = self.tracker.apply_order(report, at)
                case StatusReport():
                    events = self.tracker.apply_status(report, at)
                case IbkrFillReport():
                    events = self.tracker.apply_fill(report, at)
                case ChargeReport():
                    events = self.tracker.apply_charge(report, at)
            self._record(events)
        self._notify_pending_report()

    def receive_message(self, venue_id: int, code: int, text: str) -> None:
        """Record the new events of a message about an order."""
        with self._changed:
            if find_effect(code) is MessageEffect.IS_UNKNOWN:
                self._paced_venue_ids.add(venue_id)
            self._record(self.tracker.apply_message(venue_id, code, text, self._now()))
        self._notify_pending_report()

    def request_reading(self) -> None:
        """Let orders and executions be read again, because a report could not be read."""
        with self._changed:
            self._is_reading_requested = True

    def finish_reading(self, open_reports: Sequence[IbkrOrderReport]) -> None:
        """Note which orders were read. An order that stays absent has ended.

        TWS forgets orders of earlier days.
        """
        at = self._now()
        with self._changed:
            self._is_reading_requested = False
            self._record(self.tracker.accept_waiting_exits((report.venue_id for report in open_reports), at))
            absent = {*self.tracker.list_absent(report.perm_id for report in open_reports)}
            absent |= {order_id for order_id in self._absences if self.tracker.find(order_id) is None}
            absences = {order_id: self._absences.get(order_id, (at, 0)) for order_id in absent}
            self._absences = {order_id: (since, number + 1) for order_id, (since, number) in absences.items()}
            for order_id, (since, number) in list(self._absences.items()):
                if number >= MIN_READINGS and at - since >= MAX_ABSENCE:
                    del self._absences[order_id]
                    self._record(self.tracker.close_absent_order(order_id, at))

    def list_orders_awaiting_fills(self) -> list[IbkrTrackedOrder]:
        """Return the orders whose end waits for fills."""
        with self._changed:
            return self.tracker.orders_awaiting_fills

    def note_reading(self, held_orders: Sequence[IbkrTrackedOrder]) -> None:
        """Note that all executions were read since the ends of these orders were held."""
        with self._changed:
            self._record(self.tracker.note_reading(held_orders, self._now()))

    # Requests

    def note_absent(self, order_id: str) -> None:
        """Note that a caller requested an order that TWS does not show."""
        with self._changed:
            self._absences.setdefault(order_id, (self._now(), 0))

    @property
    def is_reading_due(self) -> bool:
        """Whether orders or executions are missing."""
        with self._changed:
            is_missing = any(order.has_missing_fills for order in self.tracker.orders)
            is_requested = self._is_reading_requested or bool(self._absences)
            return is_requested or is_missing or self.tracker.has_undecided_exits

    def add_chains(self, chains: Sequence[ReplacementChain]) -> None:
        """Note the replacements of earlier processes."""
        with self._changed:
            self.tracker.add_chains(chains)

    def find(self, order_id: str) -> IbkrTrackedOrder | None:
        """Return an order by one of our ids."""
        with self._changed:
            return self.tracker.find(order_id)

    def register(self, order_id: str, venue_id: int, parent_venue_id: int = 0) -> IbkrTrackedOrder:
        """Note an order that is about to be sent, for an exit with TWS's id of its entry."""
        with self._changed:
            return self.tracker.register(order_id, venue_id, parent_venue_id)

    def has_exits(self, tracked: IbkrTrackedOrder) -> bool:
        """Return whether open exits were sent with an order."""
        with self._changed:
            return self.tracker.has_exits(tracked)

    def untrack(self, tracked: IbkrTrackedOrder) -> None:
        """Remove an order that was not sent."""
        with self._changed:
            self.tracker.untrack(tracked)

    def reject(self, order_id: str, reason: str, at: datetime) -> Sequence[BrokerEvent]:
        """Record the rejection of an order that is not sent."""
        with self._changed:
            return self._record(self.tracker.reject(order_id, reason, at))

    def record(self, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
        """Add events to the log, and return them."""
        with self._changed:
            return self._record(events)

    def note_connection_loss(self) -> None:
        """Note that the connection is lost: nothing that is awaited will arrive."""
        with self._changed:
            self.losses += 1
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], losses: int, seconds: float) -> bool:
        """Wait until a report makes a condition true. Return False if none does.

        A connection that was lost since there were `losses` will bring no report.
        """
        with self._changed:
            self._changed.wait_for(lambda: condition() or self.losses != losses, seconds)
            return condition()

    def pop_paced_cancels(self) -> list[int]:
        """Return the orders whose cancel TWS dropped because of too many messages."""
        with self._changed:
            dropped, self._paced_venue_ids = self._paced_venue_ids, set()
            canceling_venue_ids = {
                order.venue_id for order in self.tracker.orders if order.is_cancel_requested
            }
            return sorted(dropped & canceling_venue_ids)

    def list_orders(self) -> list[IbkrTrackedOrder]:
        """Return all orders, oldest first."""
        with self._changed:
            return self.tracker.orders

    def list_executions(self, order_id: str | None = None) -> list[Executed]:
        """Return the executions of one order or of all, oldest first."""
        with self._changed:
            tracked = None if order_id is None else self.tracker.find(order_id)
            orders = self.tracker.orders if order_id is None else [] if tracked is None else [tracked]
            executions = [execution for order in orders for execution in order.list_executions(order_id)]
        return sorted(executions, key=lambda execution: (execution.at, execution.execution_id))

    def list_charges(self) -> list[Charged]:
        """Return the charges of IBKR for the executions."""
        with self._changed:
            return [charged for order in self.tracker.orders for charged in order.list_charges()]

    def _notify_pending_report(self) -> None:
        if self.list_orders_awaiting_fills():
            self.on_pending_report()

    def _record(self, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
        self.log.append(events)
        self._changed.notify_all()
        return events
