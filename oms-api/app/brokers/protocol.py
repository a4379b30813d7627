"""What any broker does for us, and the tests in `tests/brokers/contract.py` hold it to."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from app.brokers.rules.values import Account, BrokerEvent, BrokerOrder, Executed, Holding


class Found(NamedTuple):
    """An order that the broker knows, as it stands there."""

    order: BrokerOrder
    is_open: bool


class Told(NamedTuple):
    """An event, and where to go on reading after it."""

    cursor: int
    event: BrokerEvent


class Broker(Protocol):
    """A place where orders are executed.

    Orders carry our ids, and the same id is the same order: submitting it twice does nothing twice. Calls
    return what the broker says at once; `events` has all that it ever said, in order. Every event is about
    one order. Executions may come late, after a cancel, and carry an id of their own. `at` is now.

    Calls raise BrokerUnavailable where nothing was sent, and OutcomeOpen where that is not known.
    """

    @property
    def name(self) -> str:
        """How it is called, in executions and settings; at most 20 characters."""
        ...

    @property
    def answers_inside(self) -> bool:
        """Whether it works in memory alone, so that it may be called within a transaction. One that talks to
        the outside world is called after the commit.
        """
        ...

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Send an order: Accepted or Rejected, now or later, then whatever becomes of it."""
        ...

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Ask for the end of an order: Canceled, or Refused where it is not working."""
        ...

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Ask for `successor` in the place of an order: Replaced, or Refused where it is not working.

        The successor's quantity is the total of both: what the old order has filled counts, whatever `leaves`
        the successor comes with.
        """
        ...

    def find(self, order_id: str) -> Found | None:
        """Return what the broker knows of an order of ours, or None: it never got there."""
        ...

    def open_orders(self) -> Sequence[BrokerOrder]:
        """Return the orders that work, oldest first."""
        ...

    def positions(self) -> Sequence[Holding]:
        """Return what is held and not flat."""
        ...

    def executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order or of all, oldest first."""
        ...

    def account(self) -> Account:
        """Return cash and buying power."""
        ...

    def events(self, after: int = 0) -> Sequence[Told]:
        """Return what was said past the cursor `after`, oldest first; what is not yet said is not waited
        for.
        """
        ...
