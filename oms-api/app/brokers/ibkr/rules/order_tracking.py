"""The state of orders at IBKR as far as it was reported. It turns reports into events, each exactly once.

Reports arrive twice, late and out of order: as events, and from a new reading after a reconnect. A replaced
order keeps its id and its reference at IBKR, so that one tracked order has the ids of all its successors.
"""

from collections.abc import Iterable
from datetime import datetime

from app.brokers.ibkr.rules.messages import Effect, find_effect, format_reason
from app.brokers.ibkr.rules.reports import (
    ACCEPTED,
    CANCELED,
    FILLED,
    INACTIVE,
    OPEN,
    PENDING_CANCEL,
    ChargeReport,
    FillReport,
    OrderReport,
    StatusReport,
)
from app.brokers.ibkr.rules.tracked_order import Chain, TrackedOrder, build_execution
from app.brokers.rules.values import (
    Accepted,
    BrokerEvent,
    Busted,
    Canceled,
    Charged,
    Expired,
    Lapsed,
    Refused,
    Rejected,
    Replaced,
)
from app.money import ZERO

_ENDED_BY_BROKER = "IBKR canceled the order."
_REJECTED = "IBKR rejected the order."
_ENDED = "The order had ended."
_CORRECTED = "IBKR corrected the execution."
_UNKNOWN_NOW = "IBKR does not know the order any more."


class OrderTracker:
    """All orders that were reported. Not thread-safe."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._by_id: dict[str, TrackedOrder] = {}
        self._by_venue_id: dict[int, TrackedOrder] = {}  # of our client only
        self._by_perm_id: dict[int, TrackedOrder] = {}
        self._by_execution: dict[str, TrackedOrder] = {}
        self._charges: dict[str, ChargeReport] = {}  # whose executions are not known yet
        self._chains: dict[str, Chain] = {}

    @property
    def orders(self) -> list[TrackedOrder]:
        """All orders, oldest first."""
        found = {id(tracked): tracked for tracked in self._by_id.values()}
        return sorted(found.values(), key=lambda tracked_order: tracked_order.perm_id)

    def add_chains(self, chains: Iterable[Chain]) -> None:
        """Note the replacements of orders that IBKR knows under their first id."""
        self._chains |= {chain.ids[0]: chain for chain in chains}

    def find(self, order_id: str) -> TrackedOrder | None:
        """Return an order by one of our ids."""
        return self._by_id.get(order_id)

    def register(self, order_id: str, venue_id: int) -> TrackedOrder:
        """Note an order that is about to be sent."""
        tracked = TrackedOrder([order_id], venue_id)
        self._by_id[order_id] = self._by_venue_id[venue_id] = tracked
        return tracked

    def untrack(self, tracked: TrackedOrder) -> None:
        """Remove an order that was not sent."""
        self._by_id.pop(tracked.order_id, None)
        self._by_venue_id.pop(tracked.venue_id, None)

    def reject(self, order_id: str, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the rejection of an order that is not sent, once."""
        if order_id in self._by_id:
            return []
        self._by_id[order_id] = TrackedOrder([order_id], is_closed=True)
        return [Rejected(order_id, reason, at)]

    def apply_order(self, report: OrderReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a report."""
        tracked = self._identify(report.ref, report.venue_id, report.client_id, report.perm_id)
        tracked.report = report
        filled = ZERO if report.filled is None else report.filled
        status = StatusReport(report.venue_id, report.client_id, report.perm_id, report.status, filled)
        events: list[BrokerEvent] = []
        if tracked.pending is not None and report.has_terms_of(tracked.pending) and report.status in OPEN:
            events.append(Replaced(tracked.order_id, tracked.pending.id, at))
            self._add_id(tracked, tracked.pending.id)
            tracked.pending = None
        return events + self._apply_state(tracked, status, at)

    def apply_status(self, report: StatusReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a status. That of an unknown order is left for the order's own report."""
        own = self._by_venue_id.get(report.venue_id) if report.client_id == self._client_id else None
        tracked = own or self._by_perm_id.get(report.perm_id)
        return [] if tracked is None else self._apply_state(tracked, report, at)

    def apply_fill(self, fill: FillReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of an execution. A correction takes the executions before it back."""
        tracked = self._identify(fill.ref, fill.venue_id, fill.client_id, fill.perm_id)
        fill_report = tracked.fills.get(fill.base_id)
        if fill_report is not None and fill.number <= fill_report.number:
            return []
        owner = tracked.owners.setdefault(fill.base_id, tracked.order_id)
        numbers = range(1, fill.number) if fill_report is None else (fill_report.number,)
        events = self._accept(tracked, at)
        for number in numbers:
            events.append(Busted(owner, f"{fill.base_id}.{number:02d}", _CORRECTED, at))
        tracked.fills[fill.base_id] = fill
        if fill.quantity:
            events.append(build_execution(owner, fill))
        self._by_execution[fill.execution_id] = tracked
        waiting = self._charges.pop(fill.execution_id, None)
        charged = [] if waiting is None else self.apply_charge(waiting, at)
        return events + charged

    def apply_charge(self, report: ChargeReport, at: datetime) -> list[BrokerEvent]:
        """Return the charge of an execution, unless it was reported before."""
        tracked = self._by_execution.get(report.execution_id)
        if tracked is None:
            self._charges[report.execution_id] = report
            return []
        if report.execution_id in tracked.charges:
            return []
        owner = tracked.owners.get(report.execution_id.rpartition(".")[0], tracked.order_id)
        charged = Charged(owner, report.execution_id, report.amount, report.currency, at)
        tracked.charges[report.execution_id] = charged
        return [charged]

    def apply_message(self, venue_id: int, code: int, text: str, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a message about an order."""
        tracked, effect, reason = self._by_venue_id.get(venue_id), find_effect(code), format_reason(text)
        if tracked is None or tracked.is_closed or effect in {Effect.NONE, Effect.IS_UNKNOWN}:
            return []
        if effect is Effect.CANCELS:
            tracked.reason = _ENDED_BY_BROKER if reason == text.strip() else reason
            return self._cancel(tracked, at)
        if effect is Effect.REFUSES_LAST_REQUEST and not tracked.is_accepted:
            return self._reject(tracked, reason, at)
        return self._refuse(tracked, reason, at)

    def lapse(self, order_id: str, at: datetime) -> list[BrokerEvent]:
        """Return the end of an order that IBKR does not know any more."""
        tracked = self._by_id.setdefault(order_id, TrackedOrder([order_id]))
        if tracked.is_closed:
            return []
        tracked.is_closed, tracked.end = True, Canceled(order_id, at)
        return [Lapsed(order_id, _UNKNOWN_NOW, at)]

    def list_absent(self, perm_ids: Iterable[int]) -> list[str]:
        """Return the orders that should be open, but are not among those that were read."""
        read = set(perm_ids)
        return [
            order.order_id
            for order in self.orders
            if order.is_accepted and not order.is_closed and order.perm_id not in read
        ]

    def _identify(self, ref: str, venue_id: int, client_id: int, perm_id: int) -> TrackedOrder:
        is_ours_to_change = client_id == self._client_id and venue_id > 0
        tracked_order = self._by_venue_id.get(venue_id) if is_ours_to_change else None
        tracked_order = tracked_order or self._by_perm_id.get(perm_id) or self._by_id.get(ref)
        if tracked_order is None:
            chain = self._chains.get(ref, Chain((ref or f"ib-{perm_id}",)))
            tracked_order = TrackedOrder(list(chain.ids), pending=chain.pending)
            self._by_id |= dict.fromkeys(chain.ids, tracked_order)
        if is_ours_to_change:
            tracked_order.venue_id = venue_id
            self._by_venue_id[venue_id] = tracked_order
        if perm_id:
            tracked_order.perm_id = perm_id
            self._by_perm_id[perm_id] = tracked_order
        return tracked_order

    def _add_id(self, tracked: TrackedOrder, order_id: str) -> None:
        tracked.ids.append(order_id)
        self._by_id[order_id] = tracked

    def _apply_state(self, tracked: TrackedOrder, report: StatusReport, at: datetime) -> list[BrokerEvent]:
        tracked.reported_filled = max(tracked.reported_filled, report.filled)
        if tracked.is_closed:
            return []
        tracked.is_cancel_confirmed |= report.status == PENDING_CANCEL
        if report.status in CANCELED:
            return self._cancel(tracked, at)
        if report.status == INACTIVE:
            return self._reject(tracked, tracked.reason or _REJECTED, at)
        if report.status == FILLED:
            tracked.is_closed = True
            if tracked.report is not None:
                tracked.reported_filled = tracked.report.quantity
            return self._accept(tracked, at) + self._refuse(tracked, _ENDED, at)
        return self._accept(tracked, at) if report.status in ACCEPTED else []

    def _accept(self, tracked: TrackedOrder, at: datetime) -> list[BrokerEvent]:
        if tracked.is_accepted:
            return []
        tracked.is_accepted = True
        return [Accepted(tracked.order_id, at)]

    def _cancel(self, tracked: TrackedOrder, at: datetime) -> list[BrokerEvent]:
        tracked.is_closed, tracked.end = True, Canceled(tracked.order_id, at)
        end: BrokerEvent = tracked.end
        if not tracked.is_cancel_requested:
            end = self._build_end(tracked, at)
        tracked.is_cancel_requested = False
        return [end, *self._refuse(tracked, _ENDED, at)]

    def _build_end(self, tracked: TrackedOrder, at: datetime) -> BrokerEvent:
        """Return the end of an order that nobody canceled: at the time it was good for, or before."""
        expires_at = None if tracked.report is None else tracked.report.expires_at
        if expires_at is not None and at >= expires_at:
            return Expired(tracked.order_id, at)
        return Lapsed(tracked.order_id, tracked.reason or _ENDED_BY_BROKER, at)

    def _reject(self, tracked: TrackedOrder, reason: str, at: datetime) -> list[BrokerEvent]:
        if tracked.is_accepted:
            tracked.reason = reason
            return self._cancel(tracked, at)
        tracked.is_closed, tracked.end = True, Rejected(tracked.order_id, reason, at)
        return [tracked.end]

    def _refuse(self, tracked: TrackedOrder, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the refusal of the request that is pending, if there is one."""
        is_pending = tracked.is_cancel_requested or tracked.pending is not None
        tracked.is_cancel_requested, tracked.pending = False, None
        tracked.reason = reason
        return [Refused(tracked.order_id, reason, at)] if is_pending else []
