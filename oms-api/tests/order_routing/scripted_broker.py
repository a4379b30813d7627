"""A broker outside of the process, in memory: it outlives crashes of the OMS, and fails as a test says."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from typing_extensions import override

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.in_memory.broker import InMemoryBroker
from app.brokers.protocol import BrokerEventRecord, OrderState
from app.brokers.queries import CONNECTIONS, StoredConnection, find_connection
from app.brokers.rules.values import (
    Account,
    BrokerEvent,
    BrokerOrder,
    Charged,
    Executed,
)
from app.database import set_tenant_scope, unit_of_work
from app.errors import Unexpected
from app.money import ZERO, multiply
from app.order_routing.service.broker_session import BrokerSession
from app.orders.rules.values import Order
from app.reconciliation.service.reconciler import Reconciler
from tests.orders.writer_harness import WriterHarness

NAME = "paper"
LIMIT: dict[str, Any] = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}
DOWN = "down"  # not reached
GARBLED = "garbled"  # the answer has an unknown form
LOST = "lost"  # not received, and the sender has no answer
UNANSWERED = "unanswered"  # received, and the sender has no answer
KILLED_BEFORE = "killed before"  # the OMS dies before it sends
KILLED_AFTER = "killed after"  # the OMS dies before it reads the answer


class Killed(BaseException):
    """The process ends here."""


class ScriptedBroker(InMemoryBroker):
    """Works orders, and counts how often each was received."""

    is_in_process = False
    name = "alpaca"

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[str, list[str]] = defaultdict(list)  # by the name of the call
        self.received: list[tuple[str, str]] = []
        self.number, self.is_paper = "PA1", True
        self.is_silent = False  # events are not reported
        self.charges: list[Charged] = []  # of all executions

    @override
    def submit(self, order: BrokerOrder, at: Any) -> Sequence[BrokerEvent]:
        return self._receive("submit", order.id, lambda: InMemoryBroker.submit(self, order, at))

    @override
    def cancel(self, order_id: str, at: Any) -> Sequence[BrokerEvent]:
        return self._receive("cancel", order_id, lambda: InMemoryBroker.cancel(self, order_id, at))

    @override
    def replace(self, order_id: str, successor: BrokerOrder, at: Any) -> Sequence[BrokerEvent]:
        return self._receive(
            "replace", order_id, lambda: InMemoryBroker.replace(self, order_id, successor, at)
        )

    @override
    def find(self, order_id: str) -> OrderState | None:
        self._fail("find")
        return super().find(order_id)

    @override
    def get_account(self) -> Account:
        self._fail("account")
        return Account("USD", ZERO, ZERO, self.number, self.is_paper)

    @override
    def list_events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        self._fail("events")
        return [] if self.is_silent else super().list_events(after)

    def list_execution_charges(self) -> Sequence[Charged]:
        """Return the charges of the broker for all executions."""
        return self.charges

    def report(self, *events: BrokerEvent) -> None:
        """Report events that no order of the book caused."""
        self._events.extend(events)

    def fill(
        self, order: Order, quantity: str, price: str = "90", execution_id: str | None = None
    ) -> Executed:
        """Fill a part of a working order. Return the execution."""
        units = Decimal(quantity)
        at = self._book.find(order.id).accepted_at + timedelta(seconds=1)  # type: ignore[union-attr]  # it works
        execution_id = execution_id or f"X-{order.id}-{len(self._events)}"
        fill = Executed(order.id, execution_id, units, Decimal(price), multiply(units, Decimal(price)), at)
        self._events.append(fill)
        self._events.extend(self._book.apply(fill, order.symbol, at))
        return fill

    def _receive(
        self, call: str, order_id: str, work: Callable[[], Sequence[BrokerEvent]]
    ) -> Sequence[BrokerEvent]:
        fault = self._fail(call)
        self.received.append((call, order_id))
        events = work()
        if fault == UNANSWERED:
            raise BrokerOutcomeUnknown
        if fault == KILLED_AFTER:
            raise Killed
        return events

    def _fail(self, call: str) -> str | None:
        fault = self.faults[call].pop(0) if self.faults[call] else None
        if fault == DOWN:
            raise BrokerUnavailable
        if fault == GARBLED:
            raise KeyError("status")
        if fault == LOST:
            raise BrokerOutcomeUnknown
        if fault == KILLED_BEFORE:
            raise Killed
        return fault


@dataclass
class RoutingHarness:
    """A portfolio Growth that trades over a connection, and the session of the process."""

    harness: WriterHarness
    broker: ScriptedBroker = field(default_factory=ScriptedBroker)
    kills: list[str] = field(default_factory=list)  # "before" or "after" the next commits of the writer
    has_queue: bool = False  # whether the session gets new orders in memory
    broker_name: str = "alpaca"
    refused: set[str] = field(default_factory=set)  # orders whose events the writer refuses

    def __post_init__(self) -> None:
        harness = self.harness
        harness.open_portfolio()
        with unit_of_work(harness.engine) as connection:
            set_tenant_scope(connection, [harness.tenant])
            CONNECTIONS.insert(connection, _build_connection(harness)._replace(broker=self.broker_name))
            change = "UPDATE portfolios SET broker = :broker, broker_connection = :name WHERE name = 'Growth'"
            connection.execute(text(change), {"broker": self.broker_name, "name": NAME})
        self.restart()
        self.run_session()

    def restart(self) -> None:
        """Begin again with nothing in memory, as another process would."""
        self.harness.restart()
        self.session = BrokerSession(
            *(self.harness.engine, self.get_connection(), self.broker, self._write, lambda: self.harness.now),
            Reconciler(self.harness.engine, lambda: self.harness.now).run,
            queue=self.harness.broker_notifier.get_queue(self.harness.tenant, NAME)
            if self.has_queue
            else None,
        )

    def get_connection(self) -> StoredConnection:
        """Return the connection as the database has it."""
        with self.harness.engine.connect() as connection:
            connection_row = find_connection(connection, self.harness.tenant, NAME)
        assert connection_row is not None
        return connection_row

    def run_session(self, seconds: int = 2) -> None:
        """Let time pass, and the session do all that is due; a killed process starts again."""
        for _ in range(seconds):
            self.harness.advance_clock()
            try:
                while self.session.run_step():
                    pass
            except Killed:
                self.restart()

    def place_order(self, **changes: Any) -> Order:
        """Place an order, which is committed and not sent yet."""
        return self.harness.place_order(**(LIMIT | changes))

    def place_working_order(self, **changes: Any) -> Order:
        """Place an order and let the broker work it."""
        order = self.place_order(**changes)
        self.run_session()
        return self.harness.get_order(order)

    def list_executions(self) -> list[tuple[Any, ...]]:
        """Return (execution id, quantity) of the booked executions."""
        return self.harness.query("SELECT execution_id, quantity FROM executions ORDER BY execution_id")

    def list_open_requests(self) -> list[tuple[Any, ...]]:
        """Return the requests that are not done."""
        return self.harness.query("SELECT kind, status FROM broker_requests WHERE completed_at IS NULL")

    def _write(self, commands: Sequence[Any]) -> list[Any]:
        kill = self.kills.pop(0) if self.kills else None
        if kill == "before":
            raise Killed
        written = [command for command in commands if command.order_id not in self.refused]
        outcomes = iter(self.harness.run(*written) if written else [])
        if kill == "after":
            raise Killed
        return [Unexpected() if command.order_id in self.refused else next(outcomes) for command in commands]


def set_outage(routing: RoutingHarness, status: str) -> None:
    """Store the status of the connection, while orders of the portfolio wait for their broker."""
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        connection.execute(text("UPDATE portfolios SET when_broker_down = 'hold'"))
        connection.execute(text("UPDATE broker_connections SET status = :status"), {"status": status})


def _build_connection(harness: WriterHarness) -> StoredConnection:
    nothing: dict[str, Any] = dict.fromkeys(
        ("account", "live_enabled_by", "live_enabled_at", "error", "connected_since", "last_event_at"), None
    ) | dict.fromkeys(("checked_at", "requests_left", "session_expires_at"), None)
    return StoredConnection(
        id="bc_1", tenant_id=harness.tenant, name=NAME, broker="alpaca", is_live=False,
        base_url="https://paper-api.alpaca.markets", credentials="v1:x:", status="new", cursor=0, version=1,
        created_by="a", changed_by="a", created_at=harness.now, updated_at=harness.now, **nothing,
    )  # fmt: skip
