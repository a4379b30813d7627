"""Alpaca behind the interface of a broker."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from app.brokers.alpaca.account_state import AccountState
from app.brokers.alpaca.client import (
    AlpacaClient,
    AlpacaCredentials,
    RequestObserver,
    RequestRefused,
    Timeouts,
)
from app.brokers.alpaca.event_log import EventLog
from app.brokers.alpaca.order_reader import OrderReader
from app.brokers.alpaca.request_budget import RequestBudget
from app.brokers.alpaca.rules import requests, responses
from app.brokers.alpaca.rules.capabilities import find_refusal, find_replacement_refusal
from app.brokers.alpaca.rules.order_tracking import TrackedOrder, build_end, build_execution
from app.brokers.alpaca.rules.responses import MalformedResponse, OrderReport, Update
from app.brokers.alpaca.stream import TradeUpdates
from app.brokers.errors import BrokerUnavailable, OutcomeOpen
from app.brokers.protocol import BrokerEventRecord, OrderState
from app.brokers.rules.values import Account, BrokerEvent, BrokerOrder, Executed, Holding, Refused
from app.clock import Now, milliseconds, utc_now

NAME = "alpaca"
READY_SECONDS = 5.0
HISTORY = timedelta(days=7)
_CURSORS_PER_MILLISECOND = 1000
_NOT_WORKING = "There is no such working order."
_Result = TypeVar("_Result")
_LOG = logging.getLogger(__name__)


class ConnectionState(NamedTuple):
    """The state of the connection. `requests_left` is what the rate limit allows at once."""

    is_ready: bool
    last_event_at: datetime | None
    requests_left: int
    missed_events: int
    error: str | None


class AlpacaBroker:
    """Implements `Broker`. Nothing is sent before the first call.

    The stream starts with the first order or the first reading of events. Orders are only sent while it is
    logged in. Cancels do not need it.
    """

    name = NAME
    is_in_process = False

    def __init__(
        self,
        base_url: str,
        credentials: AlpacaCredentials,
        portfolio_id: int = 0,
        *,
        now: Now = utc_now,
        budget: RequestBudget | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # immutable
        observe: RequestObserver = lambda *_: None,
    ) -> None:
        self._client = AlpacaClient(base_url, credentials, budget, timeouts, observe)
        self._reader = OrderReader(self._client)
        self._portfolio_id, self._now = portfolio_id, now
        log = EventLog(milliseconds(now()) * _CURSORS_PER_MILLISECOND)
        self._state = AccountState(self._reader, log, now)
        stream_url = base_url.rstrip("/").replace("http", "ws", 1) + "/stream"
        self.stream = TradeUpdates(stream_url, credentials, self)

    def close(self) -> None:
        """Stop the stream and close the connections."""
        self.stream.close()
        self._client.close()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each new event. It must return at once."""
        self._state.log.subscribe(listener)

    def get_connection_state(self) -> ConnectionState:
        """Return the state of the connection. It sends nothing."""
        return ConnectionState(
            self.stream.is_ready.is_set(),
            self._state.last_event_at,
            self._client.budget.requests_left,
            self._state.missed_events,
            self.stream.last_error,
        )

    # The interface of a broker

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Submit an order. A repeated id reads the order instead."""
        refusal = find_refusal(order)
        if refusal is not None:
            return self._state.reject(order.id, refusal, at)
        self._require_stream()
        self._state.track(order.id)
        self._state.await_report(order.id)
        try:
            answer = self._client.post("/v2/orders", requests.build_order(order))
        except BrokerUnavailable:
            self._state.forget(order.id)
            raise
        except RequestRefused as refused:
            if not refused.is_duplicate:
                return self._state.reject(order.id, refused.message, at)
            self._read(order.id)
            return ()
        return self._state.apply_report(_parse_outcome(answer))

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Request the cancellation of an order. The stream reports the result."""
        tracked = self._state.track(order_id)
        if tracked.broker_id is None and self._read(order_id) is None:
            self._state.forget(order_id)
            return self._state.record([Refused(order_id, _NOT_WORKING, at)])
        tracked.is_cancel_requested = True
        self._state.await_report(order_id)
        try:
            self._client.delete(f"/v2/orders/{tracked.broker_id}")
        except BrokerUnavailable:
            tracked.is_cancel_requested = False
            raise
        except RequestRefused as refused:
            tracked.is_cancel_requested = False
            return self._state.record([Refused(order_id, refused.message, at)])
        return ()

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Request the replacement of an order. The stream reports the result."""
        report = self._read(order_id)
        refusal = self._find_replacement_refusal(report, successor)
        if report is None or refusal is not None:
            return self._state.record([Refused(order_id, refusal or _NOT_WORKING, at)])
        self._require_stream()
        tracked = self._state.track(order_id)
        tracked.successor_id, tracked.assumed_filled = successor.id, report.filled
        self._state.track(successor.id)
        self._state.await_report(order_id)
        body = requests.build_replacement(successor, successor.quantity - report.filled)
        try:
            answer = self._client.patch(f"/v2/orders/{report.broker_id}", body)
        except (BrokerUnavailable, RequestRefused) as error:
            tracked.successor_id = tracked.assumed_filled = None
            self._state.forget(successor.id)
            if isinstance(error, BrokerUnavailable):
                raise
            return self._state.record([Refused(order_id, error.message, at)])
        return self._state.apply_report(_parse_outcome(answer))

    def find(self, order_id: str) -> OrderState | None:
        """Return Alpaca's state of an order, or None if Alpaca never received it.

        While the stream is logged in, orders that it reported are not read again. After a reconnect
        thousands of them would use up the rate limit.
        """
        current = self._find_current(order_id)
        report = self._read(order_id) if current is None else current.report
        if report is None:
            return None
        order = report.build_order(self._portfolio_id)
        end = build_end(report, self._state.track(order_id).successor_id)
        return OrderState(order, report.is_open, end)

    def open_orders(self) -> Sequence[BrokerOrder]:
        """Return the working orders, oldest first."""
        reports = _query(self._reader.list_open)
        return [report.build_order(self._portfolio_id) for report in reports]

    def positions(self) -> Sequence[Holding]:
        """Return the open positions."""
        return _query(self._list_positions)

    def executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order, or of all within the last seven days."""
        current = None if order_id is None else self._find_current(order_id)
        if current is not None:
            return [build_execution(current.order_id, fill) for fill in current.executions.values()]
        return _query(lambda: self._list_executions(order_id))

    def account(self) -> Account:
        """Return cash and buying power."""
        return _query(lambda: responses.parse_account(self._client.get("/v2/account")))

    def events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        """Return the events after the cursor."""
        self.stream.start()
        return self._state.log.list_after(after)

    # The listener of the stream

    def receive_update(self, update: Update) -> None:
        """Apply an event of the stream."""
        excess = self._state.receive_update(update)
        if excess is not None:
            _LOG.warning(
                "order %s filled while it was replaced: its successor is canceled", update.order.order_id
            )
            self.cancel(excess.order_id, update.at)

    def synchronize(self) -> None:
        """Read orders and fills again, after a log-in of the stream."""
        _query(self._state.synchronize)

    def check_silence(self) -> None:
        """Read what the stream should have reported by now. Connect again if it missed something."""
        try:
            has_missed = _query(self._state.check_silence)
        except BrokerUnavailable as error:
            _LOG.warning("orders of Alpaca could not be read: %s", error)
            return
        if has_missed:
            _LOG.warning("the stream of Alpaca missed an event: connecting again")
            self.stream.reconnect()

    def _read(self, order_id: str) -> OrderReport | None:
        return _query(lambda: self._state.read_order(order_id))

    def _find_current(self, order_id: str) -> TrackedOrder | None:
        self.stream.start()
        is_ready = self.stream.is_ready.wait(READY_SECONDS if self.stream.last_error is None else 0)
        return self._state.find_current(order_id) if is_ready else None

    def _require_stream(self) -> None:
        self.stream.start()
        if not self.stream.is_ready.wait(READY_SECONDS):
            reason = self.stream.last_error or "it is not logged in yet"
            raise BrokerUnavailable(f"The stream of Alpaca is down ({reason}). Nothing was sent.")

    def _find_replacement_refusal(self, report: OrderReport | None, successor: BrokerOrder) -> str | None:
        if report is None or not report.is_open:
            return _NOT_WORKING
        if successor.quantity <= report.filled:
            return "The order has filled that quantity already: cancel the order to end it."
        return find_replacement_refusal(report.build_order(self._portfolio_id), successor)

    def _list_positions(self) -> list[Holding]:
        found = self._client.get("/v2/positions")
        return [responses.parse_position(one, self._portfolio_id) for one in found]

    def _list_executions(self, order_id: str | None) -> list[Executed]:
        since = self._now() - HISTORY
        broker_id = None
        if order_id is not None:
            report = self._reader.find(order_id)
            if report is None:
                return []
            since, broker_id = report.submitted_at, report.broker_id
        fills = [fill for fill in self._reader.list_fills(since) if broker_id in {None, fill.broker_id}]
        ids = {fill.broker_id: order_id or self._state.find_order_id(fill.broker_id) for fill in fills}
        return [build_execution(ids[fill.broker_id] or fill.broker_id, fill) for fill in fills]


def _query(read: Callable[[], _Result]) -> _Result:
    """Return what a query returns. Raise BrokerUnavailable if it is refused or not understood."""
    try:
        return read()
    except RequestRefused as refused:
        raise BrokerUnavailable(f"Alpaca refused a query: {refused.message}") from None
    except MalformedResponse as error:
        raise BrokerUnavailable(f"Alpaca's answer was not understood: {error}.") from None


def _parse_outcome(answer: object) -> OrderReport:
    try:
        return responses.parse_order(answer)  # type: ignore[arg-type]
    except MalformedResponse as error:
        raise OutcomeOpen(f"Alpaca's answer was not understood: {error}.") from None
