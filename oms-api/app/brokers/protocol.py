"""The interface of a broker. The tests in `tests/brokers/contract.py` check every implementation."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from app.brokers.rules.values import (
    Account,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Canceled,
    Charged,
    Executed,
    Expired,
    Rejected,
    Replaced,
)

ObserveRequest = Callable[[str, str, str, float], None]  # broker, method, outcome and seconds of a request


def ignore_request(broker: str, method: str, outcome: str, seconds: float) -> None:
    """Count no requests."""


class OrderState(NamedTuple):
    """An order and its state at the broker.

    `end` is the event that ended the order unfilled; None if the order is open or filled, or its end was not
    reported. `is_waiting` is true for an exit that waits for its entry.
    """

    order: BrokerOrder
    is_open: bool
    end: Canceled | Expired | Rejected | Replaced | None = None
    is_waiting: bool = False


class BrokerEventRecord(NamedTuple):
    """An event, and the cursor after it."""

    cursor: int
    event: BrokerEvent


class Broker(Protocol):
    """Executes orders.

    Orders carry our ids, and submitting the same id again has no effect. Calls return the immediate events;
    `list_events` returns all events in order. Every event concerns one order. Executions have their own ids
    and may arrive late, even after a cancel. `at` is the current time.

    Calls raise BrokerUnavailable if nothing was changed, and BrokerOutcomeUnknown if that is not known.
    """

    @property
    def name(self) -> str:
        """The broker's name in executions and settings, at most 20 characters."""

    @property
    def is_in_process(self) -> bool:
        """Whether the broker works in memory only and may be called within a transaction.

        A broker that uses the network is called after the commit.
        """

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Submit an order. The events are Accepted or Rejected, now or later, then its executions."""

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Request the cancellation of an order: Canceled, or CancelRejected if it is not working."""

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Request the replacement of an order by `successor`.

        The event is Replaced, or CancelRejected if the order is not working.

        The successor's quantity is the total of both orders. Fills of the old order count towards it,
        independent of its `leaves`.
        """

    def find(self, order_id: str) -> OrderState | None:
        """Return the broker's state of an order, or None if the broker never received it."""

    def open_orders(self) -> Sequence[BrokerOrder]:
        """Return the working orders, oldest first."""

    def list_positions(self) -> Sequence[BrokerPosition]:
        """Return the open positions."""

    def list_executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order or of all, oldest first."""

    def get_account(self) -> Account:
        """Return cash and buying power."""

    def close(self) -> None:
        """Release connections and threads. No other call may follow."""

    def list_events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        """Return the events after the cursor `after`, oldest first, without waiting for further ones."""


@runtime_checkable
class HasExecutionCharges(Protocol):
    """A broker that reports its charges for each execution."""

    def list_execution_charges(self) -> Sequence[Charged]:
        """Return the charges of the executions that `list_executions` returned last. It sends nothing."""


class LogIn(Protocol):
    """The daily login of a person at a broker."""

    @property
    def address(self) -> str:
        """The broker's page where a person logs in, and from which the request token comes."""

    def create_session(self, request_token: str) -> str:
        """Return the access token of a new session. Raises LogInRefused or BrokerUnavailable."""
