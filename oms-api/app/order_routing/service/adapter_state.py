"""Optional interfaces of broker adapters: connection state, daily orders and linked orders."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, runtime_checkable

from app.brokers.rules.linked_orders import LegLink


class AdapterState(Protocol):
    """The connection state of an adapter that has a stream and a rate limit."""

    @property
    def is_ready(self) -> bool:
        """Whether the broker reports events now."""

    @property
    def requests_left(self) -> int:
        """The number of requests that the rate limit allows now."""


@runtime_checkable
class HasConnectionState(Protocol):
    """An adapter that knows the state of its connection without a request to the broker."""

    def get_connection_state(self) -> AdapterState:
        """Return the state of the connection."""


@runtime_checkable
class HasDailyOrders(Protocol):
    """An adapter whose broker no longer knows orders of earlier days. All of them have ended."""

    def get_day_start(self, now: datetime) -> datetime:
        """Return the time before which the broker knows no order."""


@runtime_checkable
class HasLegLinks(Protocol):
    """An adapter whose broker chooses the ids of orders that are sent in the request of another one."""

    def add_leg_links(self, links: Iterable[LegLink]) -> None:
        """Note the orders that an earlier process sent."""
