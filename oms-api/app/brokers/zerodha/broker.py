"""Zerodha's Kite behind the interface of a broker."""

import logging
import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from typing_extensions import override

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.protocol import OrderState
from app.brokers.remote.adapter import NOT_WORKING, RemoteBroker
from app.brokers.remote.request_budget import RequestBudget
from app.brokers.remote.rest_client import RequestRefused, RestTimeouts
from app.brokers.rules.order_reports import OrderReport, require_list
from app.brokers.rules.order_tracking import TrackedOrder, build_execution
from app.brokers.rules.sessions import compute_session_expiry
from app.brokers.rules.values import (
    Account,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Canceled,
    CancelRejected,
    Replaced,
)
from app.brokers.zerodha.client import KiteClient, KiteCredentials
from app.brokers.zerodha.order_reader import ZerodhaOrderReader
from app.brokers.zerodha.rules import requests, responses
from app.brokers.zerodha.rules.capabilities import find_refusal, find_replacement_refusal, needs_holding
from app.brokers.zerodha.rules.charges import build_charges_request, parse_charges
from app.brokers.zerodha.rules.responses import Json
from app.brokers.zerodha.stream import KiteOrderStream
from app.clock import Now, monotonic_seconds, utc_now
from app.money import ZERO

NAME = "zerodha"
CANCEL_TIMEOUT_SECONDS = 8.0  # for the cancel of an order that is replaced
_POLL_INTERVAL_SECONDS = 0.25
_NOT_SENT = "The order was canceled, but its replacement could not be sent: place a new order."
_LOG = logging.getLogger(__name__)


class ZerodhaBroker(RemoteBroker):
    """Implements `Broker`. Nothing is sent before the first call.

    Kite has no idempotency: an order whose outcome is not known is looked up by its tag and never sent again.
    """

    name = NAME

    def __init__(
        self,
        base_url: str,
        credentials: KiteCredentials,
        portfolio_id: int = 0,
        *,
        now: Now = utc_now,
        budget: RequestBudget | None = None,
        query_budget: RequestBudget | None = None,
        timeouts: RestTimeouts = RestTimeouts(),  # noqa: B008  # immutable
    ) -> None:
        self._client = KiteClient(base_url, credentials, budget, timeouts, query_budget)
        self._reader = ZerodhaOrderReader(self._client)
        super().__init__(self._client, self._reader, portfolio_id, now)
        self.stream = KiteOrderStream(base_url, credentials, self)
        self._profile: Json | None = None

    # The interface of a broker

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Submit an order, once. A repeated id reads the order instead."""
        refusal = find_refusal(order) or self._find_holding_refusal(order)
        if refusal is not None:
            return self._state.reject(order.id, refusal, at)
        self._require_stream()
        if self._was_sent(order.id):
            if self._read(order.id) is None:
                raise BrokerOutcomeUnknown("The order was sent before, and Kite does not show it yet.")
            return ()
        return self._send(order, order.quantity, at)

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Request the cancellation of an order. A frame reports the result."""
        tracked = self._state.track(order_id)
        if tracked.broker_id is None and self._read(order_id) is None:
            self._state.untrack(order_id)
            return self._state.record([CancelRejected(order_id, NOT_WORKING, at)])
        tracked.is_cancel_requested = True
        self._state.await_report(order_id)
        try:
            self._client.cancel_order(tracked.broker_id or "")
        except BrokerUnavailable:
            tracked.is_cancel_requested = False
            raise
        except RequestRefused as refused:
            tracked.is_cancel_requested = False
            return self._state.record([CancelRejected(order_id, refused.message, at)])
        return ()

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Cancel an order, and send its successor with the unfilled quantity.

        Kite can change an order in place, but its tag stays that of the old order, so that after a crash
        it would be unknown whether the change was made. The order loses its place in the exchange's queue.
        """
        report = self._read(order_id)
        refusal = self._find_replacement_refusal(report, successor)
        if report is None or refusal is not None:
            return self._state.record([CancelRejected(order_id, refusal or NOT_WORKING, at)])
        self._require_stream()
        tracked = self._state.track(order_id)
        tracked.is_replaced_by_cancel, tracked.successor_id = True, successor.id
        try:
            self._client.cancel_order(report.broker_id)
        except (BrokerUnavailable, RequestRefused) as error:
            self._reset_replacement(tracked)
            if isinstance(error, BrokerUnavailable):
                raise
            return self._state.record([CancelRejected(order_id, error.message, at)])
        return self._send_successor(tracked, self._await_end(order_id), successor, at)

    @override
    def find(self, order_id: str) -> OrderState | None:
        """Return Kite's state of an order of the day, or None if Kite never received it."""
        state = super().find(order_id)
        if state is None:
            return None
        tracked = self._state.track(order_id)
        if not tracked.is_replaced_by_cancel or state.is_open:
            return state
        successor = self._state.track(tracked.successor_id or "")
        if successor.broker_id is None:  # it is unknown whether it was received
            return state._replace(is_open=True, end=None)
        return state._replace(end=Replaced(order_id, successor.order_id, self._now()))

    def list_positions(self) -> Sequence[BrokerPosition]:
        """Return the open positions: holdings of earlier days and the day's net positions."""
        return self.query(self._list_positions)

    def get_account(self) -> Account:
        """Return cash and buying power of the equity segment."""
        return self.query(self._read_account)

    def get_day_start(self, now: datetime) -> datetime:
        """Return the time before which Kite knows no order: its order book begins again every morning."""
        return compute_session_expiry(now) - timedelta(days=1)

    def list_charges(self, order_ids: Collection[str]) -> dict[str, Decimal]:
        """Return the charges of Kite for the given orders that ended today."""
        return self.query(lambda: self._read_charges(order_ids))

    # The listener of the stream

    def receive_order(self, json: Json) -> None:
        """Apply the state of an order. Its fills are read, because a frame has only their sum."""
        report = responses.parse_order(json, self._reader.resolve_order_id)
        self.query(lambda: self._state.receive_report(report))

    @override
    def find_replacement_problem(self, order: BrokerOrder, successor: BrokerOrder) -> str | None:
        return find_replacement_refusal(order, successor)

    def _send(self, order: BrokerOrder, quantity: Decimal, at: datetime) -> Sequence[BrokerEvent]:
        self._state.track(order.id)
        self._state.await_report(order.id)
        form = requests.build_order(order, quantity, self._reader.create_tag(order.id))
        self._reader.seen_ids.add(order.id)
        try:
            broker_id = self._client.post_order(form)
        except BrokerUnavailable:
            self._reader.seen_ids.discard(order.id)
            self._state.untrack(order.id)
            raise
        except RequestRefused as refused:
            return self._state.reject(order.id, refused.message, at)
        self._state.link(order.id, broker_id)
        return ()

    def _was_sent(self, order_id: str) -> bool:
        return order_id in self._reader.seen_ids

    def _find_holding_refusal(self, order: BrokerOrder) -> str | None:
        if not needs_holding(order):
            return None
        held_quantity = sum(
            (holding.quantity for holding in self.list_positions() if holding.symbol == order.symbol), ZERO
        )
        if held_quantity >= order.quantity:
            return None
        return (
            f"Zerodha sells as CNC only shares that the account holds ({held_quantity:f}). "
            "Use MIS to sell short."
        )

    def _await_end(self, order_id: str) -> OrderReport:
        """Return the order once its cancel is done. Raises BrokerOutcomeUnknown if that takes too long."""
        deadline = monotonic_seconds() + CANCEL_TIMEOUT_SECONDS
        while True:
            report = self._read(order_id)
            if report is not None and not report.is_open:
                return report
            if monotonic_seconds() >= deadline:
                raise BrokerOutcomeUnknown("The cancel of the replaced order is not confirmed yet.")
            time.sleep(_POLL_INTERVAL_SECONDS)

    def _send_successor(
        self, tracked: TrackedOrder, report: OrderReport, successor: BrokerOrder, at: datetime
    ) -> Sequence[BrokerEvent]:
        order_id, leaves = tracked.order_id, successor.quantity - report.filled
        if report.status != "canceled" or leaves <= ZERO:
            self._reset_replacement(tracked)
            ends = [Canceled(order_id, at)] if report.status == "canceled" else []
            return self._state.record([*ends, CancelRejected(order_id, "The order had ended.", at)])
        try:
            refusals = self._send(successor, leaves, at)
        except BrokerUnavailable as error:
            _LOG.warning("the replacement of an order was not sent: %s", error)
            self._reset_replacement(tracked)
            return self._state.record([Canceled(order_id, at), CancelRejected(order_id, _NOT_SENT, at)])
        fills = [build_execution(order_id, fill) for fill in tracked.executions.values()]
        return [*fills, *self._state.record([Replaced(order_id, successor.id, at)]), *refusals]

    def _reset_replacement(self, tracked: TrackedOrder) -> None:
        tracked.is_replaced_by_cancel, tracked.successor_id = False, None

    def _read_charges(self, order_ids: Collection[str]) -> dict[str, Decimal]:
        reports_by_order: dict[str, Json] = {}
        for item in require_list(self._client.get("/orders"), "the orders"):
            report = responses.parse_order(item, self._reader.resolve_order_id)
            if report.order_id in order_ids and not report.is_open and report.filled > ZERO:
                reports_by_order[report.order_id] = item
        if not reports_by_order:
            return {}
        notes = self._client.post_query("/charges/orders", build_charges_request(reports_by_order.values()))
        return dict(zip(reports_by_order, parse_charges(notes), strict=False))

    def _list_positions(self) -> list[BrokerPosition]:
        holdings = require_list(self._client.get("/portfolio/holdings"), "the holdings")
        positions = self._client.get("/portfolio/positions")
        net = positions.get("net", positions) if isinstance(positions, dict) else positions
        return responses.parse_positions(holdings, require_list(net, "the positions"), self._portfolio_id)

    def _read_account(self) -> Account:
        if self._profile is None:
            self._profile = self._client.get("/user/profile")
        return responses.parse_account(self._profile or {}, self._client.get("/user/margins/equity"))
