"""A session with one broker account: connect, send requests, apply events, and keep the status."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable, RateLimitExceeded
from app.brokers.protocol import Broker, BrokerEventRecord
from app.brokers.queries import StoredConnection, find_connection, update_session_state
from app.brokers.rules.circuit_breaker import Circuit, FailureKind, begin_attempt, record_failure
from app.brokers.rules.connections import ConnectionStatus
from app.brokers.rules.values import Accepted, BrokerEvent
from app.brokers.service.account_checks import (
    ConnectionRefused,
    LogInNeeded,
    check_account,
    require_own_account,
)
from app.clock import EPOCH, Now
from app.order_routing.queries import open_snapshot, open_transaction, publish_status
from app.order_routing.service.account_comparison import Reconcile, compare_nothing
from app.order_routing.service.adapter_state import AdapterState, HasConnectionState, HasLegLinks
from app.order_routing.service.leg_links import load_leg_links
from app.order_routing.service.missed_reports import MissedReports
from app.order_routing.service.report_writer import ReportWriter, RunCommands
from app.order_routing.service.request_sender import RequestSender
from app.orders.service.broker_request_notifier import SubmissionQueue

STATUS_INTERVAL = timedelta(seconds=1)
RECONNECT_INTERVAL = timedelta(seconds=1)  # between two checks whether the stream is logged in
RECONCILE_INTERVAL = timedelta(minutes=5)
CONFIRMATION_INTERVAL = timedelta(seconds=3)  # until a comparison confirms a difference
MAX_CONFIRMATIONS = 3  # in a row, because the figures of an account that trades all the time always differ
REFUSED_INTERVAL = timedelta(seconds=60)  # until a refused connection is tried again
MAX_REQUESTS_PER_STEP = 50
MAX_ACCEPTANCE_WAIT_SECONDS = 0.005  # a fill often follows an acceptance within milliseconds
_NO_RESPONSE = "The broker does not answer."
_LOG = logging.getLogger(__name__)


class StreamDown(BrokerUnavailable):
    """Raised when the stream of the broker's events is not logged in."""


class ConnectionChanged(Exception):
    """Raised when the connection was changed or deleted.

    The session must end. Another session begins with the new terms.
    """


class BrokerSession:
    """Runs one connection. Only one instance runs at a time, in the process that has the lease.

    `step` is called again and again. All state that must survive a crash is in the database: requests, the
    cursor of the broker's events, and the orders. The cursor is stored with the status, since events that
    are applied again change nothing.
    """

    def __init__(
        self,
        engine: Engine,
        stored: StoredConnection,
        broker: Broker,
        run: RunCommands,
        now: Now,
        reconcile: Reconcile = compare_nothing,
        reconcile_interval: timedelta = RECONCILE_INTERVAL,
        queue: SubmissionQueue | None = None,
        are_requests_announced: Callable[[], bool] = lambda: False,
        wait_for_event: Callable[[float], None] = lambda _: None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_send = may_send  # whether this process still has the lease
        self._wait_for_event = wait_for_event  # for at most that many seconds
        self._reconcile, self._reconcile_interval = reconcile, reconcile_interval
        self._reconciled_at = self._next_reconciliation = EPOCH
        self._confirmations = 0
        self._engine, self._stored, self._broker, self._now = engine, stored, broker, now
        self._reports = ReportWriter(engine, stored.tenant_id, run, now)
        connection_key = (engine, stored.tenant_id, stored.name)
        self._missed_reports = MissedReports(*connection_key, broker, self._reports, now)
        self._sender = RequestSender(
            *connection_key,
            broker,
            self._apply_response_events,
            now,
            queue=queue,
            are_requests_announced=are_requests_announced,
            count_missing_response=self._count_missing_response,
        )
        self._cursor = stored.cursor
        self._is_connected = False
        self._circuit = Circuit()
        self._next_connect = self._next_status = EPOCH
        self._last_event_at: datetime | None = stored.last_event_at

    def close(self) -> None:
        """Return the requests that this session has in memory, so that another session sends them."""
        self._sender.return_queued_orders()
        self._sender.save_progress()

    def run_step(self, *, is_idle: bool = True) -> bool:
        """Read events, send requests and do the other tasks of a session. Return whether there was work.

        Raises ConnectionChanged or NotApplied.

        While the session is not idle, only many done requests are marked at once, because the broker's events
        would wait for that.
        """
        try:
            if not self._is_connected and not self._connect():
                self._sender.return_queued_orders()
                self._sender.reject_overdue()
                return False
            has_worked = self._read_events()
            for _ in range(MAX_REQUESTS_PER_STEP):
                if not self._is_connected or not self._may_send() or not self._sender.send_next():
                    break
                has_worked = True
                self._read_events()  # a fill must not wait for the other requests
            if not self._is_connected:
                return False
            self._sender.save_progress(is_idle=is_idle)
            self._reports.retry_refused()
            self._update_status()
            self._reconcile_if_due()
        except RateLimitExceeded:
            return False  # the broker works, and the unsent requests are tried again
        except (BrokerUnavailable, BrokerOutcomeUnknown) as error:
            self._record_failure(_get_failure_kind(error), str(error) or _NO_RESPONSE)
            return False
        return has_worked

    def _connect(self) -> bool:
        """Check the account and read the events that may have been missed.

        Return whether orders can go out.
        """
        now = self._now()
        if now < self._next_connect:
            self._require_unchanged(now)
            return False
        self._next_connect = now + RECONNECT_INTERVAL
        self._begin_attempt(now)
        try:
            number, _ = check_account(self._stored, self._broker)
            with open_snapshot(self._engine, self._stored.tenant_id) as connection:
                require_own_account(connection, self._stored, number)
        except ConnectionRefused as error:
            self._next_connect, self._circuit = now + REFUSED_INTERVAL, Circuit()  # the broker answered
            changes = {"session_expires_at": None} if isinstance(error, LogInNeeded) else {}
            self._save(
                status=ConnectionStatus.REFUSED.value, error=str(error), connected_since=None, **changes
            )
            return False
        self._add_leg_links()
        self._broker.list_events(self._cursor)  # starts the stream of an adapter that has one
        state = self._get_adapter_state()
        if state is not None and not state.is_ready:
            return False
        self._read_events()  # before the events that the states of the orders prove
        self._missed_reports.apply()
        self._is_connected, self._circuit = True, Circuit()
        self._next_reconciliation = EPOCH
        self._save(
            status=ConnectionStatus.CONNECTED.value, error=None, connected_since=now, checked_at=now,
            account=self._stored.account or number,
        )  # fmt: skip
        return True

    def _add_leg_links(self) -> None:
        broker: object = self._broker
        if isinstance(broker, HasLegLinks):
            broker.add_leg_links(load_leg_links(self._engine, self._stored.tenant_id, self._stored.name))

    def _read_events(self, response_events: Sequence[BrokerEvent] = ()) -> bool:
        """Apply the broker's new events, and the events of a response.

        Return whether the broker reported any.
        """
        records = self._broker.list_events(self._cursor)
        if _has_only_acceptances(records, response_events):
            self._wait_for_event(MAX_ACCEPTANCE_WAIT_SECONDS)
            records = self._broker.list_events(self._cursor)
        self._reports.apply([*(record.event for record in records), *response_events])
        if records:
            self._cursor, self._last_event_at = records[-1].cursor, self._now()
        return bool(records)

    def _apply_response_events(self, events: Sequence[BrokerEvent]) -> bool:
        """Apply the events of a response, together with events that the broker reported meanwhile.

        Return whether the events of the response are applied. Raises NotApplied.
        """
        try:
            self._read_events(events)
        except (BrokerUnavailable, BrokerOutcomeUnknown):
            self._reports.apply(events)  # the next step notices it
        return not self._reports.has_refused(events)

    def _update_status(self) -> None:
        now = self._now()
        if now < self._next_status:
            return
        self._next_status = now + STATUS_INTERVAL
        state = self._get_adapter_state()
        if state is not None and not state.is_ready:
            raise StreamDown
        self._save(checked_at=now, requests_left=None if state is None else state.requests_left)

    def _get_adapter_state(self) -> AdapterState | None:
        broker: object = self._broker
        return broker.get_connection_state() if isinstance(broker, HasConnectionState) else None

    def _reconcile_if_due(self) -> None:
        """Compare the account after a connect, at intervals, and on request."""
        now, requested_at = self._now(), self._stored.reconcile_requested_at
        is_requested = requested_at is not None and requested_at > self._reconciled_at
        if is_requested or now >= self._next_reconciliation:
            if is_requested or self._next_reconciliation > EPOCH:  # else the connect read them
                self._missed_reports.apply(ended_only=True)  # an adopted order may have ended before
            is_suspected = self._reconcile(self._stored, self._broker, self._reports.apply)
            self._reconciled_at = now
            previous = 0 if is_requested else self._confirmations
            self._confirmations = previous + 1 if is_suspected else 0
            is_early = 0 < self._confirmations <= MAX_CONFIRMATIONS
            interval = CONFIRMATION_INTERVAL if is_early else self._reconcile_interval
            self._next_reconciliation = now + interval

    def _require_unchanged(self, now: datetime) -> None:
        """Detect that a person corrected the connection or logged in, before the next attempt."""
        if now < self._next_status:
            return
        self._next_status, stored = now + STATUS_INTERVAL, self._stored
        with open_snapshot(self._engine, stored.tenant_id) as connection:
            current = find_connection(connection, stored.tenant_id, stored.name)
        if current is None or current.version != stored.version:
            raise ConnectionChanged

    def _begin_attempt(self, now: datetime) -> None:
        """Change an open circuit to half-open for this attempt."""
        previous, self._circuit = self._circuit, begin_attempt(self._circuit, now)
        if self._circuit != previous:
            self._save()

    def _count_missing_response(self, is_missing: bool) -> None:  # a callback
        """Count consecutive requests without a response."""
        if is_missing:
            self._record_failure(FailureKind.NO_ANSWER, _NO_RESPONSE)
        elif self._circuit.failures and self._is_connected:
            self._circuit = Circuit()

    def _record_failure(self, kind: FailureKind, reason: str) -> None:
        """Count a failure. If it opens the circuit, the next steps connect again."""
        self._circuit = record_failure(self._circuit, kind, self._now())
        if self._circuit.next_attempt_at is None:
            return
        self._is_connected, self._next_connect = False, self._circuit.next_attempt_at
        self._sender.return_queued_orders()
        self._save(status=ConnectionStatus.DOWN.value, error=reason, connected_since=None)
        self._sender.reject_overdue()

    def _save(self, **changes: Any) -> None:
        stored = self._stored
        with open_transaction(self._engine, stored.tenant_id) as connection:
            changes |= {"cursor": self._cursor, "last_event_at": self._last_event_at}
            changes |= _build_circuit_columns(self._circuit)
            if not update_session_state(connection, stored.tenant_id, stored.name, stored.version, changes):
                raise ConnectionChanged
            updated = find_connection(connection, stored.tenant_id, stored.name)
            if updated is not None and updated.status != stored.status:
                publish_status(connection, updated, self._now())
        if updated is None:
            raise ConnectionChanged
        self._stored = updated


def _get_failure_kind(error: Exception) -> FailureKind:
    if isinstance(error, StreamDown):
        return FailureKind.STREAM_DOWN
    return FailureKind.NO_ANSWER if isinstance(error, BrokerOutcomeUnknown) else FailureKind.NOT_REACHED


def _build_circuit_columns(circuit: Circuit) -> dict[str, Any]:
    """Return the columns of a connection that store the state of its circuit breaker."""
    return {
        "circuit": circuit.state.value,
        "failures": circuit.failures,
        "failure_kind": None if circuit.kind is None else circuit.kind.value,
        "circuit_opened_at": circuit.opened_at,
        "next_attempt_at": circuit.next_attempt_at,
    }


def _has_only_acceptances(
    records: Sequence[BrokerEventRecord], response_events: Sequence[BrokerEvent]
) -> bool:
    """Return whether acceptances were reported and nothing else. They are less urgent than fills."""
    events = [*(record.event for record in records), *response_events]
    return bool(events) and all(isinstance(event, Accepted) for event in events)
