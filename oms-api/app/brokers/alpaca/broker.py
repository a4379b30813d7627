"""Alpaca behind the interface of a broker."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from typing_extensions import override

from app.brokers.alpaca.client import AlpacaClient, AlpacaCredentials, is_duplicate_order
from app.brokers.alpaca.linked_orders import LinkedOrders
from app.brokers.alpaca.order_reader import AlpacaOrderReader
from app.brokers.alpaca.rules import requests, responses
from app.brokers.alpaca.rules.capabilities import (
    find_linked_replacement_refusal,
    find_refusal,
    find_replacement_refusal,
)
from app.brokers.alpaca.rules.links import build_links
from app.brokers.alpaca.stream import AlpacaOrderStream
from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.protocol import OrderState
from app.brokers.remote.adapter import NOT_WORKING, RemoteBroker
from app.brokers.remote.request_budget import RequestBudget
from app.brokers.remote.rest_client import RequestRefused, RestTimeouts
from app.brokers.rules.linked_orders import OrderLink
from app.brokers.rules.order_reports import MalformedResponse, OrderReport, OrderUpdate, require_list
from app.brokers.rules.values import Account, BrokerEvent, BrokerOrder, BrokerPosition, CancelRejected
from app.clock import Now, utc_now

NAME = "alpaca"
_LOG = logging.getLogger(__name__)


class AlpacaBroker(RemoteBroker):
    """Implements `Broker`. Nothing is sent before the first call."""

    name = NAME

    def __init__(
        self,
        base_url: str,
        credentials: AlpacaCredentials,
        portfolio_id: int = 0,
        *,
        now: Now = utc_now,
        budget: RequestBudget | None = None,
        timeouts: RestTimeouts = RestTimeouts(),  # noqa: B008  # immutable
    ) -> None:
        self._client = AlpacaClient(base_url, credentials, budget, timeouts)
        self._linked = LinkedOrders()
        super().__init__(self._client, AlpacaOrderReader(self._client, self._linked), portfolio_id, now)
        stream_url = base_url.rstrip("/").replace("http", "ws", 1) + "/stream"
        self.stream = AlpacaOrderStream(stream_url, credentials, self)

    # The interface of a broker

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Submit an order and the orders that are linked to it. A repeated id reads the order instead."""
        refusal = find_refusal(order)
        if refusal is not None:
            return self._state.reject(order.id, refusal, at)
        self._require_stream()
        self._track(order)
        try:
            response = self._client.post("/v2/orders", requests.build_order(order))
        except BrokerUnavailable:
            self._untrack(order)
            raise
        except RequestRefused as refused:
            if not is_duplicate_order(refused):
                self._untrack(order)
                return self._state.reject(order.id, refused.message, at)
            self.find(order.id)
            return ()
        return self._apply(_parse_outcome(response, order.id))

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Request the cancellation of an order. The stream reports the result."""
        tracked = self._state.track(order_id)
        if tracked.broker_id is None and self._read(order_id) is None:
            self._state.untrack(order_id)
            return self._state.record([CancelRejected(order_id, NOT_WORKING, at)])
        tracked.is_cancel_requested = True
        for linked_id in self._linked.list_group(order_id):  # Alpaca cancels them too
            self._state.await_report(linked_id)
        try:
            self._client.delete(f"/v2/orders/{tracked.broker_id}")
        except BrokerUnavailable:
            tracked.is_cancel_requested = False
            raise
        except RequestRefused as refused:
            tracked.is_cancel_requested = False
            return self._state.record([CancelRejected(order_id, refused.message, at)])
        return ()

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Request the replacement of an order. The stream reports the result."""
        report = self._read(order_id)
        refusal = self._find_replacement_refusal(report, successor)
        if report is not None and report.order_class and refusal is None:
            refusal = find_linked_replacement_refusal(report, successor)
        if report is None or refusal is not None:
            return self._state.record([CancelRejected(order_id, refusal or NOT_WORKING, at)])
        self._require_stream()
        tracked = self._state.track(order_id)
        tracked.successor_id, tracked.assumed_filled = successor.id, report.filled
        self._state.track(successor.id)
        self._state.await_report(order_id)
        is_linked = bool(report.order_class)
        body = requests.build_replacement(successor, successor.quantity - report.filled, is_linked=is_linked)
        self._linked.move_legs(order_id, successor.id)
        try:
            response = self._client.patch(f"/v2/orders/{report.broker_id}", body)
        except (BrokerUnavailable, RequestRefused) as error:
            tracked.successor_id = tracked.assumed_filled = None
            self._state.untrack(successor.id)
            self._linked.move_legs(successor.id, order_id)
            if isinstance(error, BrokerUnavailable):
                raise
            return self._state.record([CancelRejected(order_id, error.message, at)])
        return self._apply(_parse_outcome(response, successor.id))

    @override
    def find(self, order_id: str) -> OrderState | None:
        """Return Alpaca's state of an order, and read the orders that were sent with it."""
        state = super().find(order_id)
        if state is not None:
            for leg_id in self._linked.list_legs(order_id):
                if self._state.track(leg_id).report is None:
                    self._read(leg_id)
            self._receive_waiting_updates()
        return state

    def add_links(self, links: Iterable[OrderLink]) -> None:
        """Note the linked orders that an earlier process sent."""
        self._linked.add(links)

    def list_positions(self) -> Sequence[BrokerPosition]:
        """Return the open positions."""
        return self.query(self._list_positions)

    def get_account(self) -> Account:
        """Return cash and buying power."""
        return self.query(lambda: responses.parse_account(self._client.get("/v2/account")))

    # The listener of the stream

    def receive_update(self, update: OrderUpdate) -> None:
        """Apply an event of the stream."""
        identified_update = self._linked.assign_update_order_id(update)
        if identified_update is not None:
            self._apply_update(identified_update)

    def _apply_update(self, update: OrderUpdate) -> None:
        excess = self._state.receive_update(update)
        if update.order.status == "filled":  # Alpaca reports no event of the stop that it holds
            for held_report in self._linked.list_held([update.order]):
                self._state.apply_report(held_report)
        if excess is not None:
            _LOG.warning(
                "order %s filled while it was replaced: its successor is canceled", update.order.order_id
            )
            self.cancel(excess.order_id, update.at)

    @override
    def find_replacement_problem(self, order: BrokerOrder, successor: BrokerOrder) -> str | None:
        """Return why Alpaca cannot replace an order by `successor`, or None if it can."""
        return find_replacement_refusal(order, successor)

    def _apply(self, report: OrderReport) -> Sequence[BrokerEvent]:
        """Record the new events of an order and its legs, and the events that the stream reported before."""
        events = list[BrokerEvent]()
        for identified_report in self._linked.assign_order_ids([report]):
            events += self._state.apply_report(identified_report)
        self._receive_waiting_updates()
        return events

    def _receive_waiting_updates(self) -> None:
        for update in self._linked.pop_updates():
            self.receive_update(update)

    def _track(self, order: BrokerOrder) -> None:
        self._linked.add(build_links(order))
        for tracked_order in (order, *order.linked):
            self._state.track(tracked_order.id)
        self._state.await_report(order.id)

    def _untrack(self, order: BrokerOrder) -> None:
        self._linked.remove(order.id)
        for tracked_order in (order, *order.linked):
            self._state.untrack(tracked_order.id)

    def _list_positions(self) -> list[BrokerPosition]:
        response = require_list(self._client.get("/v2/positions"), "the positions")
        return [responses.parse_position(position, self._portfolio_id) for position in response]


def _parse_outcome(response: object, order_id: str) -> OrderReport:
    try:
        report = responses.parse_order(response)  # type: ignore[arg-type]
    except MalformedResponse as error:
        raise BrokerOutcomeUnknown(f"Alpaca's answer was not understood: {error}.") from None
    if report.order_id != order_id:
        raise BrokerOutcomeUnknown("Alpaca answered with another order.")
    return report
