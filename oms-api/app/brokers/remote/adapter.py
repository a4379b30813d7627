"""The base of the adapters of brokers with REST and a stream: reading, and following the stream."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from app.brokers.errors import BrokerUnavailable
from app.brokers.protocol import BrokerEventRecord, OrderState
from app.brokers.remote.account_state import AccountState, BrokerOrderReader, FilledOrder
from app.brokers.remote.event_log import EventLog
from app.brokers.remote.rest_client import RequestObserver, RequestRefused, RestClient
from app.brokers.remote.stream import BrokerStream
from app.brokers.rules.order_reports import FillReport, MalformedResponse, OrderReport
from app.brokers.rules.order_tracking import TrackedOrder, build_end, build_execution
from app.brokers.rules.values import BrokerOrder, Executed
from app.clock import Now, to_milliseconds

READY_TIMEOUT_SECONDS = 5.0
HISTORY = timedelta(days=7)
NOT_WORKING = "There is no such working order."
_CURSORS_PER_MILLISECOND = 1000
_Result = TypeVar("_Result")
_LOG = logging.getLogger(__name__)


class ConnectionState(NamedTuple):
    """The state of the connection.

    `requests_left` is the number of requests that the rate limit allows at once.
    """

    is_ready: bool
    last_event_at: datetime | None
    requests_left: int
    missed_events: int
    error: str | None


class RemoteBroker(ABC):
    """The common part of adapters, and the listener of their stream.

    The stream starts with the first order or the first reading of events. Orders are only sent while it is
    logged in. Cancels do not need it.
    """

    is_in_process = False
    stream: BrokerStream

    def __init__(self, client: RestClient, reader: BrokerOrderReader, portfolio_id: int, now: Now) -> None:
        self.label = client.label
        self._rest, self._orders = client, reader
        self._portfolio_id, self._now = portfolio_id, now
        log = EventLog(to_milliseconds(now()) * _CURSORS_PER_MILLISECOND)
        self._state = AccountState(reader, log, now)

    def close(self) -> None:
        """Stop the stream and close the connections."""
        self.stream.close()
        self._rest.close()

    def observe_requests(self, observe: RequestObserver) -> None:
        """Call `observe` after each request."""
        self._rest.observe = observe

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each new event. It must return at once."""
        self._state.log.subscribe(listener)

    def get_connection_state(self) -> ConnectionState:
        """Return the state of the connection. It sends nothing."""
        return ConnectionState(
            self.stream.is_ready.is_set(),
            self._state.last_event_at,
            self._rest.rate_limiter.requests_left,
            self._state.missed_events,
            self.stream.last_error,
        )

    # The interface of a broker

    def find(self, order_id: str) -> OrderState | None:
        """Return the broker's state of an order, or None if the broker never received it.

        While the stream is logged in, orders that it reported are not read again. After a reconnect
        thousands of them would use up the rate limit. An order that has ended counts as open until its fills
        are known.
        """
        current = self._find_current(order_id)
        report = self._read(order_id) if current is None else current.report
        if report is None:
            return None
        order, tracked = report.build_order(self._portfolio_id), self._state.track(order_id)
        if tracked.final_report is not None:
            return OrderState(order, is_open=True)
        end = build_end(report, tracked.successor_id)
        return OrderState(order, report.is_open, end, is_waiting_for_entry=report.is_waiting_for_entry)

    def list_open_orders(self) -> Sequence[BrokerOrder]:
        """Return the working orders, oldest first."""
        reports = self.query(self._orders.list_open)
        return [
            report.build_order(self._portfolio_id) for report in reports if not report.is_waiting_for_entry
        ]

    def list_executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order, or of all within the last seven days."""
        current = None if order_id is None else self._find_current(order_id)
        if current is not None:
            filled_quantity = current.reported_filled
            return [
                build_execution(current.order_id, fill, filled_quantity)
                for fill in current.executions.values()
            ]
        return self.query(lambda: self._list_executions(order_id))

    def list_events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        """Return the events after the cursor."""
        self.stream.start()
        return self._state.log.list_after(after)

    # The listener of the stream

    def synchronize(self) -> None:
        """Read orders and fills again, after a login of the stream."""
        self.query(self._state.synchronize)

    def check_silence(self) -> None:
        """Read the orders whose reports the stream should have sent by now.

        Connect again if one is missing.
        """
        try:
            has_missed = self.query(self._state.check_silence)
        except BrokerUnavailable as error:
            _LOG.warning("orders of %s could not be read: %s", self.label, error)
            return
        if has_missed:
            _LOG.warning("the stream of %s missed an event: connecting again", self.label)
            self.stream.reconnect()

    def query(self, read: Callable[[], _Result]) -> _Result:
        """Return the result of a query. Raises BrokerUnavailable if it is refused or not understood."""
        try:
            return read()
        except RequestRefused as refused:
            raise BrokerUnavailable(f"{self.label} refused a query: {refused.message}") from None
        except MalformedResponse as error:
            raise BrokerUnavailable(f"{self.label}'s answer was not understood: {error}.") from None

    @abstractmethod
    def find_replacement_problem(self, order: BrokerOrder, successor: BrokerOrder) -> str | None:
        """Return why the broker cannot replace an order by `successor`, or None if it can."""

    def _read(self, order_id: str) -> OrderReport | None:
        return self.query(lambda: self._state.read_order(order_id))

    def _find_current(self, order_id: str) -> TrackedOrder | None:
        self.stream.start()
        is_ready = self.stream.is_ready.wait(READY_TIMEOUT_SECONDS if self.stream.last_error is None else 0)
        return self._state.find_current(order_id) if is_ready else None

    def _require_stream(self) -> None:
        self.stream.start()
        if not self.stream.is_ready.wait(READY_TIMEOUT_SECONDS):
            reason = self.stream.last_error or "it is not logged in yet"
            raise BrokerUnavailable(f"The stream of {self.label} is down ({reason}). Nothing was sent.")

    def _find_replacement_refusal(self, report: OrderReport | None, successor: BrokerOrder) -> str | None:
        if report is None or not report.is_open:
            return NOT_WORKING
        if successor.quantity <= report.filled:
            return "The order has filled that quantity already: cancel the order to end it."
        return self.find_replacement_problem(report.build_order(self._portfolio_id), successor)

    def _list_executions(self, order_id: str | None) -> list[Executed]:
        if order_id is None:
            return self._list_all_executions()
        report = self._orders.find(order_id)
        if report is None:
            return []
        fills = self._orders.list_fills(report.submitted_at)
        fill_reports = [fill for fill in fills if fill.broker_id == report.broker_id]
        return [build_execution(order_id, fill, report.filled) for fill in fill_reports]

    def _list_all_executions(self) -> list[Executed]:
        since = self._now() - HISTORY
        fills = self._orders.list_fills(since)
        orders = self._state.find_filled_orders({fill.broker_id for fill in fills}, since - HISTORY)
        return [_build_listed_execution(fill, orders.get(fill.broker_id)) for fill in fills]


def _build_listed_execution(fill: FillReport, order: FilledOrder | None) -> Executed:
    """Return the execution of a fill; one of an unknown order has the broker's id of the order."""
    if order is None:
        return build_execution(fill.broker_id, fill)
    return build_execution(order.order_id, fill, order.filled)
