"""What some adapters know beyond the interface of a broker."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, runtime_checkable

from app.brokers.rules.linked_orders import OrderLink


class AdapterState(Protocol):
    """What an adapter with a stream and a rate limit knows of its connection."""

    @property
    def is_ready(self) -> bool:
        """Whether the broker reports events now."""

    @property
    def requests_left(self) -> int:
        """The requests that the broker takes at once."""


@runtime_checkable
class HasConnectionState(Protocol):
    """An adapter that knows the state of its connection. Asking for it sends nothing."""

    def get_connection_state(self) -> AdapterState:
        """Return the state of the connection."""


@runtime_checkable
class HasDailyOrders(Protocol):
    """An adapter whose broker forgets the orders of earlier days. None of them works any more."""

    def get_day_start(self, now: datetime) -> datetime:
        """Return the time before which the broker knows no order."""


@runtime_checkable
class HasLinks(Protocol):
    """An adapter whose broker chooses the ids of orders that are sent in the request of another one."""

    def add_links(self, links: Iterable[OrderLink]) -> None:
        """Note the orders that an earlier process sent."""
