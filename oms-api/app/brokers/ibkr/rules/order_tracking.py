"""The state of orders at IBKR as far as it was reported. It turns reports into events, each exactly once.

Reports arrive twice, late and out of order: as events, and from a new reading after a reconnect. A replaced
order keeps its id and its reference at IBKR, so that one tracked order has the ids of all its successors.
"""

from collections.abc import Iterable
from datetime import datetime

from app.brokers.ibkr.rules.messages import MessageEffect, find_effect, format_reason
from app.brokers.ibkr.rules.reports import (
    ACCEPTED,
    CANCELED,
    FILLED,
    INACTIVE,
    OPEN,
    PENDING_CANCEL,
    ChargeReport,
    IbkrFillReport,
    IbkrOrderReport,
    StatusReport,
)
from app.brokers.ibkr.rules.tracked_order import (
    ENDED_BY_BROKER,
    IbkrTrackedOrder,
    ReplacementChain,
    build_execution,
)
from app.brokers.rules.values import (
    Accepted,
    BrokerEvent,
    Busted,
    Canceled,
    CancelRejected,
    Charged,
    Rejected,
    Replaced,
    UnfilledCanceled,
)
from app.money import ZERO

_REJECTED = "IBKR rejected the order."
_ENDED = "The order had ended."
_CORRECTED = "IBKR corrected the execution."
_UNKNOWN_NOW = "IBKR does not know the order any more."


class IbkrOrderTracker:
    """All orders that were reported. Not thread-safe."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._by_id: dict[str, IbkrTrackedOrder] = {}
        self._by_venue_id: dict[int, IbkrTrackedOrder] = {}  # of our client only
        self._by_perm_id: dict[int, IbkrTrackedOrder] = {}
        self._by_execution: dict[str, IbkrTrackedOrder] = {}
        self._charges_without_execution: dict[str, ChargeReport] = {}  # by execution id
        self._chains: dict[str, ReplacementChain] = {}
        self._orders_with_held_end: dict[str, IbkrTrackedOrder] = {}  # by their first id

    @property
    def orders(self) -> list[IbkrTrackedOrder]:
        """All orders, oldest first."""
        orders_by_identity = {id(tracked): tracked for tracked in self._by_id.values()}
        return sorted(orders_by_identity.values(), key=lambda tracked_order: tracked_order.perm_id)

    def add_chains(self, chains: Iterable[ReplacementChain]) -> None:
        """Note the replacements of orders that IBKR knows under their first id."""
        self._chains |= {chain.ids[0]: chain for chain in chains}

    def find(self, order_id: str) -> IbkrTrackedOrder | None:
        """Return an order by one of our ids."""
        return self._by_id.get(order_id)

    def register(self, order_id: str, venue_id: int, parent_venue_id: int = 0) -> IbkrTrackedOrder:
        """Note an order that is about to be sent, for an exit with TWS's id of its entry."""
        tracked = IbkrTrackedOrder([order_id], venue_id, parent_venue_id=parent_venue_id)
        tracked.is_waiting = parent_venue_id > 0
        self._by_id[order_id] = self._by_venue_id[venue_id] = tracked
        return tracked

    def untrack(self, tracked: IbkrTrackedOrder) -> None:
        """Remove an order that was not sent."""
        self._by_id.pop(tracked.order_id, None)
        self._by_venue_id.pop(tracked.venue_id, None)

    def reject(self, order_id: str, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the rejection of an order that is not sent, once."""
        if order_id in self._by_id:
            return []
        self._by_id[order_id] = IbkrTrackedOrder([order_id], is_closed=True)
        return [Rejected(order_id, reason, at)]

    def apply_order(self, report: IbkrOrderReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a report."""
        tracked = self._identify(report.ref, report.venue_id, report.client_id, report.perm_id)
        if tracked.report is None and report.parent_venue_id and not tracked.is_accepted:
            tracked.parent_venue_id, tracked.is_waiting = report.parent_venue_id, report.status in OPEN
        previous, tracked.report = tracked.report, report
        status = StatusReport(report.venue_id, report.client_id, report.perm_id, report.status, report.filled)
        events: list[BrokerEvent] = []
        pending, is_open = tracked.pending, report.status in OPEN
        if pending is not None and is_open and report.is_changed_to(pending, previous):
            events.append(Replaced(tracked.order_id, pending.id, at, report.quantity))
            self._add_id(tracked, pending.id)
            tracked.pending = None
        return events + self._apply_state(tracked, status, at)

    def apply_status(self, report: StatusReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a status. Ignore an unknown order, whose own report follows."""
        own_order = self._by_venue_id.get(report.venue_id) if report.client_id == self._client_id else None
        tracked = own_order or self._by_perm_id.get(report.perm_id)
        return [] if tracked is None else self._apply_state(tracked, report, at)

    def apply_fill(self, fill: IbkrFillReport, at: datetime) -> list[BrokerEvent]:
        """Return the new events of an execution. A correction reverses the executions before it."""
        tracked = self._identify(fill.ref, fill.venue_id, fill.client_id, fill.perm_id)
        fill_report = tracked.fills.get(fill.base_id)
        if fill_report is not None and fill.number <= fill_report.number:
            return []
        owner = tracked.order_ids_by_execution.setdefault(fill.base_id, tracked.order_id)
        numbers = range(1, fill.number) if fill_report is None else (fill_report.number,)
        events = self._accept(tracked, at)
        for number in numbers:
            events.append(Busted(owner, f"{fill.base_id}.{number:02d}", _CORRECTED, at))
        tracked.fills[fill.base_id] = fill
        if fill.quantity:
            events.append(build_execution(owner, fill))
        self._by_execution[fill.execution_id] = tracked
        waiting_charge = self._charges_without_execution.pop(fill.execution_id, None)
        charged = [] if waiting_charge is None else self.apply_charge(waiting_charge, at)
        return events + charged + self._report_end(tracked, at)

    def apply_charge(self, report: ChargeReport, at: datetime) -> list[BrokerEvent]:
        """Return the charge of an execution, unless it was reported before."""
        tracked = self._by_execution.get(report.execution_id)
        if tracked is None:
            self._charges_without_execution[report.execution_id] = report
            return []
        if report.execution_id in tracked.charges:
            return []
        owner = tracked.order_ids_by_execution.get(report.execution_id.rpartition(".")[0], tracked.order_id)
        charged = Charged(owner, report.execution_id, report.amount, report.currency, at)
        tracked.charges[report.execution_id] = charged
        return [charged]

    def apply_message(self, venue_id: int, code: int, text: str, at: datetime) -> list[BrokerEvent]:
        """Return the new events of a message about an order."""
        tracked, effect, reason = self._by_venue_id.get(venue_id), find_effect(code), format_reason(text)
        if tracked is None or tracked.is_closed or effect in {MessageEffect.NONE, MessageEffect.IS_UNKNOWN}:
            return []
        if effect is MessageEffect.CANCELS:
            tracked.reason = ENDED_BY_BROKER if reason == text.strip() else reason
            return self._cancel(tracked, at, is_filled_known=False)
        if tracked.held_end is not None:
            return []  # the refusal of a request that arrived after its end
        if effect is MessageEffect.REFUSES_LAST_REQUEST and not tracked.is_accepted:
            return self._reject(tracked, reason, at)
        return self._refuse(tracked, reason, at)

    def lapse_order(self, order_id: str, at: datetime) -> list[BrokerEvent]:
        """Return the end of an order that IBKR does not know any more."""
        tracked = self._by_id.setdefault(order_id, IbkrTrackedOrder([order_id]))
        if tracked.is_closed:
            return []
        end = UnfilledCanceled(order_id, _UNKNOWN_NOW, at)
        self._close(tracked, end)
        return [end]

    def accept_waiting_exits(self, open_venue_ids: Iterable[int], at: datetime) -> list[BrokerEvent]:
        """Return the acceptances of open exits whose entry is not open, after all orders were read."""
        read = set(open_venue_ids)
        waiting_orders = [order for order in self.orders if order.is_waiting and order.venue_id in read]
        return [
            event
            for order in waiting_orders
            if order.parent_venue_id not in read
            for event in self._accept(order, at)
        ]

    @property
    def orders_with_held_end(self) -> list[IbkrTrackedOrder]:
        """The orders whose end waits for fills."""
        return list(self._orders_with_held_end.values())

    def note_reading(self, held_orders: Iterable[IbkrTrackedOrder], at: datetime) -> list[BrokerEvent]:
        """Return the ends that no longer wait, because all executions were read since they were held."""
        events: list[BrokerEvent] = []
        for tracked in held_orders:
            if tracked.held_end is not None:
                tracked.held_end = tracked.held_end.count_reading()
                events += self._report_end(tracked, at)
        return events

    @property
    def has_undecided_exits(self) -> bool:
        """Whether the entry of waiting exits has ended: they work for the part that filled, or end too."""
        return any(order.is_waiting and self._has_ended_entry(order) for order in self.orders)

    def has_exits(self, tracked: IbkrTrackedOrder) -> bool:
        """Return whether open exits were sent with an order."""
        return any(order.parent_venue_id == tracked.venue_id for order in self.orders if not order.is_closed)

    def list_absent(self, perm_ids: Iterable[int]) -> list[str]:
        """Return the orders that should be open, but were not read."""
        read = set(perm_ids)
        return [
            order.order_id
            for order in self.orders
            if order.is_accepted and not order.is_closed and order.perm_id not in read
        ]

    def _identify(self, ref: str, venue_id: int, client_id: int, perm_id: int) -> IbkrTrackedOrder:
        is_ours_to_change = client_id == self._client_id and venue_id > 0
        tracked_order = self._by_venue_id.get(venue_id) if is_ours_to_change else None
        tracked_order = tracked_order or self._by_perm_id.get(perm_id) or self._by_id.get(ref)
        if tracked_order is None:
            chain = self._chains.get(ref, ReplacementChain((ref or f"ib-{perm_id}",)))
            tracked_order = IbkrTrackedOrder(list(chain.ids), pending=chain.pending)
            self._by_id |= dict.fromkeys(chain.ids, tracked_order)
        if is_ours_to_change:
            tracked_order.venue_id = venue_id
            self._by_venue_id[venue_id] = tracked_order
        if perm_id:
            tracked_order.perm_id = perm_id
            self._by_perm_id[perm_id] = tracked_order
        return tracked_order

    def _add_id(self, tracked: IbkrTrackedOrder, order_id: str) -> None:
        tracked.ids.append(order_id)
        self._by_id[order_id] = tracked

    def _apply_state(
        self, tracked: IbkrTrackedOrder, report: StatusReport, at: datetime
    ) -> list[BrokerEvent]:
        tracked.reported_filled = max(tracked.reported_filled, report.filled or ZERO)
        if tracked.is_closed:
            return []
        tracked.is_cancel_confirmed |= report.status == PENDING_CANCEL
        is_known = report.filled is not None
        if report.status in CANCELED:
            return self._cancel(tracked, at, is_filled_known=is_known)
        if report.status == INACTIVE:
            return self._reject(tracked, tracked.reason or _REJECTED, at, is_filled_known=is_known)
        if report.status == FILLED:
            self._close(tracked)
            if tracked.report is not None:
                tracked.reported_filled = tracked.report.quantity
            events = self._accept(tracked, at) + self._refuse(tracked, _ENDED, at)
            return events + self._accept_exits(tracked, at)
        is_held = tracked.is_waiting and not self._has_ended_entry(tracked)
        return self._accept(tracked, at) if report.status in ACCEPTED and not is_held else []

    def _has_ended_entry(self, tracked: IbkrTrackedOrder) -> bool:
        entry = self._by_venue_id.get(tracked.parent_venue_id)
        return entry is not None and entry.is_closed

    def _accept_exits(self, entry: IbkrTrackedOrder, at: datetime) -> list[BrokerEvent]:
        """Return the acceptances of the exits that waited for an entry."""
        exits = [order for order in self.orders if order.is_waiting and not order.is_closed]
        exits_of_entry = [
            order for order in exits if entry.venue_id and order.parent_venue_id == entry.venue_id
        ]
        return [event for order in exits_of_entry for event in self._accept(order, at)]

    def _accept(self, tracked: IbkrTrackedOrder, at: datetime) -> list[BrokerEvent]:
        if tracked.is_accepted:
            return []
        tracked.is_accepted, tracked.is_waiting = True, False
        return [Accepted(tracked.order_id, at)]

    def _cancel(self, tracked: IbkrTrackedOrder, at: datetime, *, is_filled_known: bool) -> list[BrokerEvent]:
        """Return the end of an order, unless it waits for fills.

        TWS does not guarantee the order of its messages: an execution may be reported after the cancel that
        followed it.
        """
        tracked.hold_end(at, is_filled_known=is_filled_known)
        self._orders_with_held_end[tracked.ids[0]] = tracked
        return self._report_end(tracked, at)

    def _report_end(self, tracked: IbkrTrackedOrder, at: datetime) -> list[BrokerEvent]:
        """Return the end of an order that waits for no fill any more."""
        held_end = tracked.held_end
        if held_end is None or tracked.must_wait:
            return []
        self._close(tracked, Canceled(tracked.order_id, at))
        tracked.is_cancel_requested = False
        return [held_end.event, *self._refuse(tracked, _ENDED, at)]

    def _close(
        self, tracked: IbkrTrackedOrder, end: Canceled | UnfilledCanceled | Rejected | None = None
    ) -> None:
        tracked.close(end)
        self._orders_with_held_end.pop(tracked.ids[0], None)

    def _reject(
        self, tracked: IbkrTrackedOrder, reason: str, at: datetime, *, is_filled_known: bool = False
    ) -> list[BrokerEvent]:
        if tracked.is_accepted:
            tracked.reason = reason
            return self._cancel(tracked, at, is_filled_known=is_filled_known)
        end = tracked.build_rejection(reason, at)
        self._close(tracked, end)
        return [end]

    def _refuse(self, tracked: IbkrTrackedOrder, reason: str, at: datetime) -> list[BrokerEvent]:
        """Return the refusal of the pending request, if there is one."""
        is_pending = tracked.is_cancel_requested or tracked.pending is not None
        tracked.is_cancel_requested, tracked.pending = False, None
        tracked.reason = reason
        return [CancelRejected(tracked.order_id, reason, at)] if is_pending else []
