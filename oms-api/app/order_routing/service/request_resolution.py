"""Find the outcome of requests at a broker, by reading their orders."""

from collections.abc import Sequence

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.protocol import Broker, OrderState
from app.brokers.rules.values import BrokerEvent, CancelRejected, Rejected, Replaced
from app.clock import Now
from app.orders.rules.broker_requests import (
    UNKNOWN_ORDER_TIMEOUT,
    BrokerRequest,
    RequestKind,
    list_proven_events,
    was_never_received,
)

_NOT_RECEIVED = (
    f"The broker did not know the order {UNKNOWN_ORDER_TIMEOUT.total_seconds():.0f} s after it was sent."
)


class RequestResolver:
    """Reads orders at a broker, and returns the outcome of a request that their state proves."""

    def __init__(self, broker: Broker, now: Now) -> None:
        self._broker, self._now = broker, now

    def add_proven_events(
        self, request: BrokerRequest, events: Sequence[BrokerEvent]
    ) -> Sequence[BrokerEvent]:
        """Return the events of an answer. If it is a refusal, return the order's proven events before them.

        A cancel is often refused because the order has filled.
        """
        if not any(isinstance(event, CancelRejected) for event in events):
            return events
        try:
            return [*self._read_proven_events(request.order_id), *events]
        except (BrokerUnavailable, BrokerOutcomeUnknown):
            return events  # the broker reports the fills later

    def find_outcome(self, request: BrokerRequest) -> Sequence[BrokerEvent] | None:
        """Return the events that the broker's state proves, None if it proves nothing yet."""
        now = self._now()
        is_lost = was_never_received(request, now)
        if request.kind is RequestKind.SUBMIT:
            proven = self._read_proven_events(request.order_id)
            return proven or ([Rejected(request.order_id, _NOT_RECEIVED, now)] if is_lost else None)
        if request.kind is RequestKind.REPLACE and request.successor_id is not None:
            successor = self._broker.find(request.successor_id)
            proven = self._list_proven_events(successor)
            if successor is not None and proven:
                quantity = successor.order.quantity
                return [Replaced(request.order_id, request.successor_id, now, quantity), *proven]
        state = self._broker.find(request.order_id)
        if state is not None and not state.is_open:
            refusal = CancelRejected(request.order_id, "The order had ended.", now)
            return [*self._read_proven_events(request.order_id), refusal]
        if request.kind is RequestKind.CANCEL and state is not None:
            return self._broker.cancel(request.order_id, now)  # harmless to repeat, unlike an order
        return [CancelRejected(request.order_id, _NOT_RECEIVED, now)] if is_lost else None

    def _read_proven_events(self, order_id: str) -> list[BrokerEvent]:
        return self._list_proven_events(self._broker.find(order_id))

    def _list_proven_events(self, state: OrderState | None) -> list[BrokerEvent]:
        if state is None:
            return []
        return list_proven_events(state, self._broker.list_executions(state.order.id), self._now())
